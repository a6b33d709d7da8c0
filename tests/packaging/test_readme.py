"""README.md promises nothing that does not happen: its examples are carried out here, and their output compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import busybox

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.S | re.M)


def commands(session: str) -> Iterator[tuple[str, str]]:
    """Each command of a console session, and what it prints."""
    for part in re.split(r"^\$ ", session, flags=re.M)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A store with an image named busybox, and pyrt on PATH."""
    root = tmp_path_factory.mktemp("readme")
    busybox.write_layout(str(root / "layout"))
    command = root / "bin" / "pyrt"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m pyrt "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PYRT_ROOT": str(root / "store"), "PYTHONPATH": str(ROOT)}
    environment["PATH"] = f"{command.parent}:{os.environ['PATH']}"
    pull = [command, "pull", "-q", f"oci:{root / 'layout'}:{busybox.REFERENCE}"]
    subprocess.run(pull, env=environment, check=True, capture_output=True)
    return environment


@pytest.mark.parametrize("session", blocks("console"))
def test_command_line(session: str, environment: dict[str, str], tmp_path: Path) -> None:
    assert list(commands(session))
    for command, output in commands(session):
        done = subprocess.run(["sh", "-c", command], env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout == output.rstrip("\n") + "\n", (command, done.stderr)


def test_python(environment: dict[str, str], tmp_path: Path) -> None:
    script = "".join(blocks("python"))
    assert script.count("pyrt.run") == 5
    done = subprocess.run([sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
