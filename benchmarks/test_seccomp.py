"""What the seccomp filter costs: in the kernel when it is loaded, and in Python before that."""

from __future__ import annotations

import platform
import struct
import sys
from pathlib import Path

import pytest

from benchmarks import budgets, floors
from benchmarks.filterer import CAPABILITIES
from benchmarks.race import Contestant, race, scaled
from benchmarks.replay import Recorder
from benchmarks.worker import running
from pyrt.runtime import seccomp

LOADS = ("pyrt's filter", "as a list", "an empty one")
MAKES = ("read in a new process", "compiled in a new process")
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ENOSYS, KILL = 0x7FFF0000, 0x00050026, 0x80000000


def code(*steps: tuple[int, int, int, int]) -> bytes:
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def as_list() -> bytes:
    """About as many calls as the default profile allows, in the order of their numbers, one comparison after the other."""
    head = ((LOAD, 0, 0, 4), (EQUAL, 1, 0, AUDIT[platform.machine()]), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0))
    body = (step for number in range(360) for step in ((EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)))
    return code(*head, *body, (RETURN, 0, 0, ENOSYS))


@pytest.fixture(scope="module")
def loads(place: Path, environ: dict[str, str]) -> dict[str, list[float]]:
    directory = place / "load_filter"
    directory.mkdir()
    program = str(floors.build_loader(directory))
    ours = seccomp.compiled(seccomp.DEFAULT, capabilities=CAPABILITIES, cache="")
    commands = []
    for name, filter_ in zip(LOADS, (ours, as_list(), code((RETURN, 0, 0, ALLOW))), strict=True):
        (directory / name).write_bytes(filter_)
        commands.append([program, str(directory / name)])
    with (
        running(commands[0], environ) as first,
        running(commands[1], environ) as second,
        running(commands[2], environ) as third,
    ):
        workers = dict(zip(LOADS, (first, second, third), strict=True))
        contestants = [Contestant(name=name, sample=lambda worker=worker: worker.ask(10)) for name, worker in workers.items()]
        return race(contestants, scaled(50))


@pytest.fixture(scope="module")
def makes(place: Path, environ: dict[str, str]) -> dict[str, list[float]]:
    kept = place / "filters"
    kept.mkdir()

    def fresh(cache: str) -> list[float]:
        with running([sys.executable, "-m", "benchmarks.filterer", cache], environ) as worker:
            return worker.ask(1)

    caches = dict(zip(MAKES, (str(kept), ""), strict=True))
    return race([Contestant(name=name, sample=lambda cache=cache: fresh(cache)) for name, cache in caches.items()], scaled(20))


@pytest.mark.benchmark(group=budgets.FILTER_LOAD)
@pytest.mark.parametrize("name", LOADS)
def test_load(name: str, loads: dict[str, list[float]], record: Recorder) -> None:
    record(loads[name])


@pytest.mark.benchmark(group=budgets.FILTER_MAKE)
@pytest.mark.parametrize("name", MAKES)
def test_make(name: str, makes: dict[str, list[float]], record: Recorder) -> None:
    record(makes[name])
