"""The wheel and the sdist, built once from a copy of the source."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNBUILT = shutil.ignore_patterns(
    ".git", ".venv", "venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "*.so", "bin"
)


@dataclass(frozen=True)
class Built:
    source: Path
    wheel: Path
    sdist: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist, and the wheel built from that sdist: what the sdist lacks, the wheel cannot have."""
    source = tmp_path_factory.mktemp("source") / "pyrt"
    shutil.copytree(ROOT, source, ignore=UNBUILT, symlinks=True)
    into = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", into, source)
    (wheel,), (sdist,) = into.glob("*.whl"), into.glob("*.tar.gz")
    return Built(source, wheel, sdist)


def run(*command: str | Path, cwd: Path | None = None, **variables: str) -> str:
    """Standard output of a command that must succeed; of the environment of the tests it sees no Python settings."""
    python = {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME"}
    env = {name: value for name, value in os.environ.items() if name not in python} | variables
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
