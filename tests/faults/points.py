"""Sweeps over the system calls of a command: ``python -m tests.faults.points kill|fault|term|count [--points N] [NAME...]``.

Prints a line for each point at which something was wrong, and one for each command, with the number of points; the exit
code tells whether there was one. ``--points N`` takes so many of each command only, spread evenly, the same ones each time.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import calls
from tests.faults.scenarios import ALL, Place, Scenario, checked, index, listing, place, prepare, problems
from tests.support import warm
from tests.support.listener import Call
from tests.support.warm import Decide, Outcome


@dataclass(kw_only=True)
class Swept:
    """What a sweep of one command has found."""

    name: str
    points: int = 0
    failures: list[str] = field(default_factory=list)

    def note(self, point: str, found: list[str]) -> None:
        """What was wrong after one point."""
        if found:
            self.failures.append(f"{self.name}: {point}: {'; '.join(found[:4])}{' ...' if found[4:] else ''}")
            print(f"  {self.failures[-1]}", flush=True)


def at(wanted: int, act: str) -> Decide:
    """Does ``act`` at the call of that number: "owner" and "caller" are killed, "term" asks the owner to end, and an errno
    is what the call answers."""
    def decide(call: Call, number: int, pid: int) -> int:
        if number != wanted:
            return 0
        if act == "owner":
            os.kill(pid, signal.SIGKILL)
        elif act == "caller":
            os.kill(call.thread, signal.SIGKILL)
        elif act == "term":
            os.kill(pid, signal.SIGTERM)
        else:  # threads may have come in another order than before
            return int(getattr(errno, act)) if act in calls.ERRORS.get(call.kind, ()) else 0
        return 0

    return decide


class Machine:
    """What a command could leave outside of the store."""

    def __init__(self, store: Path) -> None:
        self._store = str(store)
        self._before = self._state()

    def _state(self) -> set[str]:
        """Mounts of our namespace below the store: other tests work on this machine at the same time."""
        with open("/proc/self/mountinfo") as file:
            mounts = {line.split()[4] for line in file}
        return {mount for mount in mounts if mount.startswith(f"{self._store}/")}

    def left(self) -> list[str]:
        return [f"left on the machine: {name}" for name in self._state() - self._before]


class Sweep:
    """The points of one scenario, in one place."""

    def __init__(self, place: Place, scenario: Scenario) -> None:
        self.place, self.scenario = place, scenario
        prepare(place, scenario.base)
        place.restore(scenario.base)
        self.indexes = [index(place)] if (place.store / "index.json").exists() else [{}]
        self.machine = Machine(place.store)
        self.seen = self.run(calls.CHANGES)
        assert self.seen.code in (0, None), self.seen.err
        self.indexes.append(index(place))
        warm.run(scenario.recovery(place))
        self.expected = listing(place)
        assert not problems(place), problems(place)

    def run(self, names: calls.Names, decide: Decide | None = None) -> Outcome:
        return warm.run(self.scenario.command(self.place), names, decide, quiet=self.scenario.quiet)

    def aftermath(self, *, ended: bool = True) -> list[str]:
        """What is wrong after a command was cut short, and after the next one."""
        found = problems(self.place) + checked(self.place)
        now = index(self.place) if (self.place.store / "index.json").exists() else {}
        if now not in self.indexes and now != {}:
            found.append(f"the index names {now}")
        again = warm.run(self.scenario.recovery(self.place))
        if again.code not in self.scenario.codes:
            found.append(f"the next command ended with {again.code}: {again.err.strip()[-300:]}")
        after = problems(self.place) + checked(self.place)
        found += [f"after the next command: {problem}" for problem in after]
        if index(self.place) != self.indexes[-1]:
            found.append(f"after the next command the index names {index(self.place)}")
        now_listed = listing(self.place)
        found += [f"left: {name}" for name in sorted(now_listed - self.expected)]
        found += [f"lost: {name}" for name in sorted(self.expected - now_listed)]
        return found + self.machine.left()


def numbers(last: int, points: int) -> list[int]:
    """So many of 1 to ``last``, spread evenly, always the same ones; all of them for 0."""
    if not points or points >= last:
        return list(range(1, last + 1))
    return sorted({1 + round(number * (last - 1) / max(1, points - 1)) for number in range(points)})


def kill(place: Place, scenario: Scenario, points: int) -> Swept:
    """SIGKILL at every call that changes something (ST-01, ST-32, ST-34)."""
    sweep, swept = Sweep(place, scenario), Swept(name=scenario.name)
    acts = ("owner", "caller") if scenario.words[0] == "run" else ("owner",)
    for number in numbers(len(sweep.seen.calls), points):
        for act in acts:
            place.restore(scenario.base)
            outcome = sweep.run(calls.CHANGES, at(number, act))
            if len(outcome.calls) < number:
                continue
            swept.points += 1
            found = [f"{outcome.survivors} processes outlived it"] if outcome.survivors else []
            if outcome.hung and scenario.quiet is None:
                found.append("it hung")
            found += sweep.aftermath()
            swept.note(f"{act} killed at {number}, {outcome.calls[number - 1]}", found)
    return swept


def fault(place: Place, scenario: Scenario, points: int) -> Swept:
    """Each error that a call can return, at every call (ST-09, LC-20)."""
    sweep, swept = Sweep(place, scenario), Swept(name=scenario.name)
    place.restore(scenario.base)
    seen = sweep.run(calls.FALLIBLE)
    errors = [(n, error) for n, name in enumerate(seen.calls, 1) for error in calls.ERRORS[name]]
    for position in numbers(len(errors), points):
        number, error = errors[position - 1]
        place.restore(scenario.base)
        outcome = sweep.run(calls.FALLIBLE, at(number, error))
        if len(outcome.calls) < number:
            continue
        swept.points += 1
        name = outcome.calls[number - 1]
        found = judged(outcome, scenario) + sweep.aftermath()
        swept.note(f"{error} at {number}, {name}", found)
    return swept


def judged(outcome: Outcome, scenario: Scenario) -> list[str]:
    """An error in one clear line, or success; and an end."""
    found = [f"{outcome.survivors} processes outlived it"] if outcome.survivors else []
    if outcome.hung and "Exception ignored in thread started by" in outcome.err:
        return found  # CPython waits for ever for a thread that had no memory for its first step (Thread.start)
    if outcome.hung:
        return found if scenario.quiet is not None else [*found, "it hung"]
    known = outcome.code in (0, 1, 125, 126, 127) and "Traceback" not in outcome.err and "internal error" not in outcome.err
    lines = outcome.err.count("pyrt: ") - outcome.err.count("pyrt: note: ")
    if known and (outcome.code == 0 or lines == 1):  # not always at a line's start: newlines fail too
        return found
    return [*found, f"it ended with {outcome.code}: {outcome.err.strip()[-300:]!r}"]


def term(place: Place, scenario: Scenario, points: int) -> Swept:
    """SIGTERM at every call that changes something: 143, and as if it had never been tried (LC-03)."""
    sweep, swept = Sweep(place, scenario), Swept(name=scenario.name)
    for number in numbers(len(sweep.seen.calls), points):
        place.restore(scenario.base)
        outcome = sweep.run(calls.CHANGES, at(number, "term"))
        if len(outcome.calls) < number:
            continue
        swept.points += 1
        found = [f"{outcome.survivors} processes outlived it"] if outcome.survivors else []
        if outcome.hung:
            found.append("it hung")
        elif outcome.code not in (143, 0):
            found.append(f"it ended with {outcome.code}: {outcome.err.strip()[-300:]!r}")
        found += sweep.aftermath()
        swept.note(f"SIGTERM at {number}, {outcome.calls[number - 1]}", found)
    return swept


def count(place: Place, scenario: Scenario, points: int) -> Swept:
    """Does nothing to the command; prints how often it makes each call."""
    seen = Counter(Sweep(place, scenario).seen.calls)
    print("  " + " ".join(f"{name}={seen[name]}" for name in sorted(seen)))
    return Swept(name=scenario.name, points=seen.total())


SWEEPS = {"kill": kill, "fault": fault, "term": term, "count": count}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweep", choices=SWEEPS)
    parser.add_argument("--points", type=int, default=0)
    parser.add_argument("names", nargs="*")
    given = parser.parse_intermixed_args()
    chosen = [scenario for scenario in ALL if not given.names or scenario.name in given.names]
    warm.adopt_orphans()
    failed = False
    with tempfile.TemporaryDirectory() as directory, place(Path(directory)) as here:
        for scenario in chosen:
            prepare(here, scenario.base)
            here.restore(scenario.base)
            ends = [scenario.command(here)] if scenario.quiet is None else []
            warm.load_modules(*ends, scenario.recovery(here), here.command("check"))
            begun = time.monotonic()
            swept = SWEEPS[given.sweep](here, scenario, given.points)
            took = time.monotonic() - begun
            counted = f"{swept.points} points, {len(swept.failures)} failures, {took:.0f} s"
            print(f"{given.sweep} {scenario.name}: {counted}", flush=True)
            failed |= bool(swept.failures) or not swept.points
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
