"""The power fails during a command, and right after it: ``python -m tests.faults.powercut [--points N] [--fs FS] [NAME...]``.

The store lies on a disk that remembers every write (tests/support/disk.py). A point is what such a disk holds after so many
steps; it is mounted, so that the journal is replayed, and judged. At every second point what had not been flushed has
arrived only in part.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.faults.calls import Names
from tests.faults.scenarios import BASES, IMAGES, PULLS, RUNS, Place, Scenario, checked, index, place, problems
from tests.support import warm
from tests.support.disk import Step, cut, disk
from tests.support.listener import Call

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class FileSystem:
    """How one is made and mounted. The options put off as much as they can: only what is asked for is on the disk."""

    name: str
    size: int
    mkfs: tuple[str, ...]
    options: str


FILE_SYSTEMS = {
    "ext4": FileSystem(
        name="ext4", size=96 * MIB, mkfs=("mkfs.ext4", "-q"), options="commit=1000,noauto_da_alloc,data=ordered"
    ),
    "ext4-writeback": FileSystem(
        name="ext4", size=96 * MIB, mkfs=("mkfs.ext4", "-q"), options="commit=1000,noauto_da_alloc,data=writeback"
    ),
    "xfs": FileSystem(name="xfs", size=320 * MIB, mkfs=("mkfs.xfs", "-q"), options="nouuid"),
    "btrfs": FileSystem(name="btrfs", size=128 * MIB, mkfs=("mkfs.btrfs", "-q"), options="commit=300"),
}
CHOSEN = {scenario.name: scenario for scenario in (PULLS[0], PULLS[1], PULLS[3], *IMAGES[:2], RUNS[3], RUNS[4])}
ALL_SYNCS: Names = dict.fromkeys(("sync", "syncfs", "fsync", "fdatasync", "sync_file_range"))
ONLY_SYNCFS: Names = {"syncfs": None}


@dataclass(kw_only=True)
class Recorded:
    """A command on a remembering disk: everything that was written, from which step on the command wrote, and what it made
    of the store."""

    system: FileSystem
    steps: list[Step]
    begin: int
    end: int
    before: dict[str, str]
    after: dict[str, str]


@dataclass(kw_only=True)
class Cuts:
    """What was found. ``wrong`` is damage, ``lost`` that a command that was done has not happened."""

    points: int = 0
    wrong: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


@contextmanager
def mounted(source: str | Path, target: Path, system: FileSystem, *more: str) -> Iterator[None]:
    target.mkdir(exist_ok=True)
    options = ",".join([system.options, *more])
    subprocess.run(["mount", "-t", system.name, "-o", options, source, target], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", target], check=True)


def pretend(call: Call, number: int, pid: int) -> int:
    return warm.PRETEND


def record(here: Place, directory: Path, system: FileSystem, scenario: Scenario, without: Names | None = None) -> Recorded:
    """Runs the command; ``without`` are system calls that only seem to do something."""
    with disk(directory, system.size) as made, warm.spared(made.daemon):
        subprocess.run([*system.mkfs, made.device], check=True)
        with mounted(made.device, directory / "mnt", system):
            store = directory / "mnt" / "store"
            store.mkdir(mode=0o700)
            on_disk = replace(here, store=store)
            for words in BASES[scenario.base]:
                outcome = warm.run(scenario.filled(on_disk, words), patience=60)
                assert outcome.code == 0, outcome.err
            subprocess.run(["sync", "-f", store], check=True)
            before, begin = _index(on_disk), len(made.steps())
            outcome = warm.run(scenario.command(on_disk), without, pretend if without else None, patience=60)
            steps = made.steps()  # at the very moment when the command is done
            assert outcome.code == 0, outcome.err
            recorded = Recorded(
                system=system, steps=steps, begin=begin, end=len(steps), before=before, after=_index(on_disk)
            )
    (directory / "log").unlink()
    return recorded


def _index(place: Place) -> dict[str, str]:
    return index(place) if (place.store / "index.json").exists() else {}


def judge(
    here: Place,
    directory: Path,
    recorded: Recorded,
    cuts: Cuts,
    at: int,
    chance: random.Random | None,
    again: Scenario | None = None,
) -> None:
    """What is there after the power has failed at a step, and after the command has been given ``again``."""
    file, mount = directory / "cut", directory / "after"
    cut(recorded.steps, at, file, recorded.system.size, chance)
    cuts.points += 1
    where = f"step {at - recorded.begin} of {recorded.end - recorded.begin}{' in part' if chance else ''}"
    with mounted(file, mount, recorded.system, "loop"):
        after = replace(here, store=mount / "store")
        try:
            now = _index(after)
        except ValueError as error:
            cuts.wrong.append(f"{where}: index.json: {error}")
            return
        cuts.wrong += [f"{where}: {problem}" for problem in problems(after, after_a_cut=True)]
        if now not in (recorded.before, recorded.after) and now:
            cuts.wrong.append(f"{where}: the index names {now}")
        if at == recorded.end and now != recorded.after:
            cuts.lost.append(f"{where}: done, and the index names {now}")
        if again is not None:
            (after.store / "run" / "boot").unlink(missing_ok=True)  # the machine has started anew
            outcome = warm.run(again.recovery(after))
            if outcome.code not in again.codes:
                cuts.wrong.append(f"{where}: the next command ended with {outcome.code}: {outcome.err.strip()}")
            found = (*problems(after), *checked(after))
            # A container's record is not synced: that it was torn is said, and check --repair sets it aside.
            cuts.wrong += [f"{where}: after the next command: {text}" for text in found if "record cannot be read" not in text]
            if index(after) != recorded.after:
                cuts.wrong.append(f"{where}: after the next command the index names {index(after)}")


def cuts(here: Place, directory: Path, recorded: Recorded, points: int, scenario: Scenario) -> Cuts:
    """So many points between the beginning and the end, and some right after the end."""
    found = Cuts()
    for number in range(points):
        at = recorded.begin + number * (recorded.end - recorded.begin) // points
        judge(here, directory, recorded, found, at, random.Random(number) if number % 2 else None, scenario)
    done(here, directory, recorded, found, min(10, max(2, points // 4)))
    return found


def done(here: Place, directory: Path, recorded: Recorded, found: Cuts, points: int = 10) -> Cuts:
    """The power fails right after the command has said that it is done."""
    for number in range(points):
        judge(here, directory, recorded, found, recorded.end, random.Random(number) if number else None)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--fs", action="append", choices=FILE_SYSTEMS)
    parser.add_argument("--bite", action="store_true", help="without syncs: has to find something")
    parser.add_argument("names", nargs="*")
    given = parser.parse_intermixed_args()
    warm.adopt_orphans()
    failed = False
    with tempfile.TemporaryDirectory() as directory, place(Path(directory)) as here:
        work = Path(directory) / "work"
        work.mkdir()
        for name in given.fs or FILE_SYSTEMS:
            for scenario in CHOSEN.values():
                if given.names and scenario.name not in given.names:
                    continue
                begun = time.monotonic()
                if given.bite:
                    failed |= not _bites(here, work, name, scenario)
                    continue
                recorded = record(here, work, FILE_SYSTEMS[name], scenario)
                found = cuts(here, work, recorded, given.points, scenario)
                took = time.monotonic() - begun
                print(
                    f"power cut, {name}, {scenario.name}: {found.points} points of {recorded.end - recorded.begin} steps, "
                    f"{len(found.wrong)} wrong, {len(found.lost)} lost, {took:.0f} s",
                    flush=True,
                )
                for line in (*found.wrong, *found.lost):
                    print(f"  {line}", flush=True)
                failed |= bool(found.wrong or found.lost)
    return int(failed)


def _bites(here: Place, work: Path, name: str, scenario: Scenario) -> bool:
    """Whether damage is found where nothing, or only the marker, is synced."""
    bitten = True
    for what, calls in (("any sync", ALL_SYNCS), ("syncfs", ONLY_SYNCFS)):
        found = done(here, work, record(here, work, FILE_SYSTEMS[name], scenario, calls), Cuts())
        counted = f"{len(found.wrong)} wrong, {len(found.lost)} lost"
        print(f"power cut, {name}, {scenario.name}, without {what}: {counted}", flush=True)
        bitten &= bool(found.wrong or found.lost)
    return bitten


if __name__ == "__main__":
    sys.exit(main())
