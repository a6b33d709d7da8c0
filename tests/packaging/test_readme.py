"""README.md promises nothing that does not happen: its examples are carried out here, and their output compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import busybox
from tests.support.parts import need

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
    assert script.count("pyrt.run") == 4
    done = subprocess.run([sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_root_it_pulls_and_says_what_is_missing() -> None:
    """As an ordinary user; that it may read anything is for interpreters that are kept in root's own directories."""
    need("setpriv")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        busybox.write_layout(f"{directory}/layout")
        os.chmod(f"{directory}/layout/blobs", 0o755)
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        user += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        pyrt = [*user, sys.executable, "-m", "pyrt", "--root", f"{directory}/store"]
        subprocess.run([*pyrt, "pull", "-q", f"oci:{directory}/layout"], cwd=ROOT, check=True, capture_output=True)
        done = subprocess.run([*pyrt, "run", "--rm", f"oci:{directory}/layout"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (125, "")
    assert "root" in done.stderr and done.stderr.count("\n") == 1
