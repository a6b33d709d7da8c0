"""What it costs that a pull survives a power cut: the same pull with its syncs, and with syncs that do nothing."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from benchmarks import unsynced
from benchmarks.fresh_directories import FreshDirectories
from benchmarks.race import Contestant, race, scaled, timed
from benchmarks.replay import Recorder
from benchmarks.workplace import pyrt_command
from tests.support.parts import need
from tests.support.registries import RunningRegistry

SIDES = {"pyrt": unsynced.NOTHING, "without syncs": unsynced.SYNCS}


@pytest.fixture(scope="module")
def times(place: Path, environ: dict[str, str], registry: RunningRegistry) -> dict[str, list[float]]:
    need("gcc")
    fresh = FreshDirectories(place / "durable")

    def pull(without: tuple[str, ...]) -> None:
        command = [*pyrt_command(fresh.directory / "s"), "pull", "-q", f"{registry.host}/bench:latest"]
        unsynced.run(command, environ, without)

    contestants = [
        Contestant(name=name, sample=timed(partial(pull, without)), prepare=fresh.next) for name, without in SIDES.items()
    ]
    return race(contestants, scaled(5))


@pytest.mark.benchmark(group="a pull that survives a power cut")
@pytest.mark.parametrize("name", SIDES)
def test_durability(name: str, times: dict[str, list[float]], record: Recorder) -> None:
    record(times[name])
