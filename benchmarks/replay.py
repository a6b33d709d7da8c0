"""Samples that were taken in a race, as results of pytest-benchmark: its clock is moved by playing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_benchmark.fixture import BenchmarkFixture


class Clock:
    """A timer for pytest-benchmark that stands still but for what is played."""

    def __init__(self) -> None:
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def play(self, seconds: Iterator[float]) -> None:
        self._now += next(seconds)


class Recorder:
    """Makes samples the result of one test, whose ``benchmark`` runs by ``clock``."""

    def __init__(self, clock: Clock, benchmark: BenchmarkFixture) -> None:
        self._clock = clock
        self._benchmark = benchmark

    def __call__(self, seconds: Sequence[float], **more: float) -> None:
        """``more`` goes into the result as it is."""
        self._benchmark.extra_info.update(more)
        self._benchmark.pedantic(self._clock.play, args=(iter(seconds),), rounds=len(seconds))  # type: ignore[no-untyped-call]
