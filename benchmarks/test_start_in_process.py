"""``pyrt.run`` of /bin/true in a Python process, beside the C floor of the same operations."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.cached_image import CachedImage
from benchmarks.floors import Floor
from benchmarks.race import Contestant, race, scaled
from benchmarks.replay import Recorder
from benchmarks.worker import Worker, running

BURST = 10  # starts in a row
GIGABYTE = 1024  # MB
IN_PROCESS = ("C floor", "pyrt.run", "pyrt.run, 1 GB heap", "subprocess.run", "subprocess.run, 1 GB heap")
FRESH = ("pyrt.run, the first of a process",)
LAST_STEP = ("container", "container without a last step", "no container")


class Starts:
    """Contestants that start /bin/true; every one that has been made lives as long as ``undo``."""

    def __init__(self, place: Path, environ: dict[str, str], busybox: CachedImage, floor: Floor, undo: ExitStack) -> None:
        self._place = place
        self._environ = environ
        self._busybox = busybox
        self._floor = floor
        self._undo = undo

    def in_process(self) -> list[Contestant]:
        directory = self._busybox.store / "containers"
        return [
            self._burst("C floor", self._floor.container(directory, self._busybox.layer)),
            self._burst("pyrt.run", self._starter("run", 0)),
            self._burst("pyrt.run, 1 GB heap", self._starter("run", GIGABYTE)),
            self._burst("subprocess.run", self._starter("subprocess", 0)),
            self._burst("subprocess.run, 1 GB heap", self._starter("subprocess", GIGABYTE)),
        ]

    def last_step(self) -> list[Contestant]:
        layer = self._busybox.layer
        return [
            self._burst("container", self._floor.container(self._place, layer)),
            self._burst("container without a last step", self._floor.direct(self._place, layer)),
            self._burst("no container", self._floor.exec(f"{layer}/bin/true")),
        ]

    def fresh(self) -> list[Contestant]:
        """What a command line pays for the container itself: nothing is warm in its process."""

        def first() -> list[float]:
            with running(self._starter("duration", 0), self._environ) as worker:
                return worker.ask(1)

        return [Contestant(name=FRESH[0], sample=first)]

    def _starter(self, how: str, heap: int) -> list[str]:
        store, image = str(self._busybox.store), self._busybox.name
        return [sys.executable, "-m", "benchmarks.starter", how, str(heap), store, image]

    def _burst(self, name: str, argv: list[str]) -> Contestant:
        worker: Worker = self._undo.enter_context(running(argv, self._environ))
        return Contestant(name=name, sample=lambda: worker.ask(BURST))


@pytest.fixture(scope="module")
def times(place: Path, environ: dict[str, str], busybox: CachedImage, floor: Floor) -> dict[str, list[float]]:
    with ExitStack() as undo:
        starts = Starts(place, environ, busybox, floor, undo)
        found = race(starts.in_process(), scaled(20))
    with ExitStack() as undo:
        starts = Starts(place, environ, busybox, floor, undo)
        return {**found, **race(starts.last_step(), scaled(20)), **race(starts.fresh(), scaled(30))}


@pytest.mark.benchmark(group="start in process")
@pytest.mark.parametrize("name", IN_PROCESS)
def test_in_process(name: str, times: dict[str, list[float]], record: Recorder) -> None:
    record(times[name])


@pytest.mark.benchmark(group="the container of a fresh process")
@pytest.mark.parametrize("name", FRESH)
def test_fresh(name: str, times: dict[str, list[float]], record: Recorder) -> None:
    record(times[name])


@pytest.mark.benchmark(group="what the last step before exec adds, C floor")
@pytest.mark.parametrize("name", LAST_STEP)
def test_last_step(name: str, times: dict[str, list[float]], record: Recorder) -> None:
    record(times[name])
