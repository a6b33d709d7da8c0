"""Fixtures of the command-line tests: a store with images, and pyrt as a program and in process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrt.cli.main import main
from pyrt.store.store import Store
from tests.support import images

REPOSITORY = Path(__file__).parents[2]
OLD, NEW = "docker.io/library/old:1", "registry.example:5000/team/new:latest"
PORTS = {"80/tcp": {}}
Program = Callable[..., "subprocess.CompletedProcess[bytes]"]


class Told:
    """What a command line answered."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Pyrt = Callable[..., Told]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the store of a test is."""
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> Store:
    return Store.open(str(root))


@pytest.fixture
def pyrt(root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pyrt:
    """pyrt in this process, on the test's own store, with a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "home/.docker"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "home/run"))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)

    def command(*words: str) -> Told:
        capsys.readouterr()
        code = main(["--root", str(root), *words])
        said = capsys.readouterr()
        return Told(code, said.out, said.err)

    return command


@pytest.fixture
def program(root: Path) -> Program:
    """pyrt as a program of its own, on the test's own store."""

    def command(*words: str | bytes, **options: object) -> subprocess.CompletedProcess[bytes]:
        argv = [sys.executable, "-m", "pyrt", "--root", str(root), *words]
        settings = {"capture_output": True, "timeout": 60, "cwd": REPOSITORY, "stdin": subprocess.DEVNULL, **options}
        return subprocess.run(argv, **settings)  # type: ignore[call-overload, no-any-return]

    return command


@pytest.fixture(scope="session")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OCI layout with two small images that no program can run in."""
    folder = tmp_path_factory.mktemp("images") / "layout"
    note = images.Entry(name="note", content=b"a file\n")
    old = images.image(
        [images.layer(images.tar([note]))],
        config={"Env": ["A=1"], "Cmd": ["sh"], "Labels": {"kind": "old", "org.x": "\x1b[31m"}, "ExposedPorts": PORTS},
        more={"created": "2020-01-02T03:04:05.678901234Z", "author": "somebody"},
    )
    new = images.image(
        [images.layer(images.tar([note])), images.layer(images.tar([images.Entry(name="more", content=b"x")]))],
        config={"Entrypoint": ["/bin/new"], "Labels": {"kind": "new"}},
        more={"created": "2024-05-06T07:08:09Z"},
    )
    images.write_layout(folder, {OLD: old, NEW: new})
    return folder


@pytest.fixture(scope="session")
def pulled(layout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with both images, to be copied: a pull waits for the disk."""
    folder = tmp_path_factory.mktemp("pulled") / "store"
    for name in (OLD, NEW):
        assert main(["--root", str(folder), "pull", "-q", f"oci:{layout}:{name}"]) == 0
    return folder


@pytest.fixture
def two_images(pyrt: Pyrt, pulled: Path, root: Path) -> Pyrt:
    """pyrt on a store with both images of the layout."""
    shutil.copytree(pulled, root, symlinks=True)
    return pyrt


def environ(**more: str) -> dict[str, str]:
    """This process's environment with some variables more."""
    return {**os.environ, **more}


def code_for(message: str) -> int:
    """docker's exit code for a failure: 125 where the words cannot be read, 1 where what they ask for cannot be done."""
    return 125 if message.startswith(("'pyrt ", "invalid argument", "unknown flag", "flag needs")) else 1
