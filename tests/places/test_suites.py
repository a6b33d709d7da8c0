"""The suites of a plain run once more, by whoever is not root of the machine: the same answers, on another rung."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.places.place import PYTHON, Inside, Shelf
from tests.places.shelf import ROOT, tomllib
from tests.places.shelf import for_python as pip_for

PLACES = ("user", "user without subuid", "unshare -Ur")
SUITES = tuple(
    f"tests/run/test_{name}.py" for name in ("api", "command", "isolation", "ancestor", "seccomp", "hostile_images")
)
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "build", "dist", "__pycache__", "*.egg-info", ".*_cache", "wt")


@pytest.fixture(scope="session")
def checkout(shelf: Shelf) -> Iterator[Path]:
    """This checkout as it was built, with what its tests need, where everybody can read it."""
    path = shelf.root / "checkout"
    shutil.copytree(ROOT, path, ignore=LEFT_OUT, symlinks=True)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    subprocess.run([*pip_for(path), *wanted["dependencies"], *wanted["optional-dependencies"]["test"]], check=True)
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("place", PLACES)
def test_runs_in(place: str, visit: Callable[[str], Inside], checkout: Path) -> None:
    inside = visit(place)
    argv = (PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={inside.home}/suites", *SUITES)
    done = inside.run(*argv, env={"PYTHONPATH": str(checkout)}, cwd=str(checkout), timeout=900)
    inside.run("rm", "-rf", f"{inside.home}/suites")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) > 150, done.stdout[-300:]
