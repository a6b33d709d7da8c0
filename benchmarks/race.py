"""A race: contestants take turns, so that whatever else the machine does in these minutes hits all of them alike."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence

from pyrt.values import dataclass


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """``sample`` runs once and gives the seconds of one start, or of several in a row; ``prepare`` comes before it and is
    not timed."""

    name: str
    sample: Callable[[], list[float]]
    prepare: Callable[[], None] = _nothing


def race(contestants: Sequence[Contestant], rounds: int) -> dict[str, list[float]]:
    """The seconds of each contestant. One round more than ``rounds`` is run, the first, to warm up; each round begins with
    another contestant, so that none always follows the same one."""
    times: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for number in range(rounds + 1):
        first = number % len(contestants)
        for contestant in (*contestants[first:], *contestants[:first]):
            contestant.prepare()
            seconds = contestant.sample()
            if number:
                times[contestant.name] += seconds
    return times


def timed(function: Callable[[], object]) -> Callable[[], list[float]]:
    """A ``sample`` that calls ``function`` once."""

    def sample() -> list[float]:
        begun = time.perf_counter()
        function()
        return [time.perf_counter() - begun]

    return sample


def scaled(full: int, environ: Mapping[str, str] = os.environ) -> int:
    """How many rounds to run where ``full`` are wanted: PYRT_BENCH_SCALE is a factor, 0.1 for a first look."""
    return max(1, round(full * float(environ.get("PYRT_BENCH_SCALE", "1"))))
