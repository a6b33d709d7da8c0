"""What ``import pyrt`` adds to a bare interpreter, and what the first use of ``pyrt.run`` loads on top of it."""

from __future__ import annotations

import sys

import pytest

from benchmarks.command_race import command_race
from benchmarks.race import scaled
from benchmarks.replay import Recorder

PROGRAMS = {"python": "pass", "import pyrt": "import pyrt", "pyrt.run": "import pyrt; pyrt.run"}


@pytest.fixture(scope="module")
def times(environ: dict[str, str]) -> dict[str, list[float]]:
    commands = {name: [sys.executable, "-c", program] for name, program in PROGRAMS.items()}
    return command_race(commands, scaled(50), environ)


@pytest.mark.benchmark(group="import")
@pytest.mark.parametrize("name", PROGRAMS)
def test_import(name: str, times: dict[str, list[float]], record: Recorder) -> None:
    record(times[name])
