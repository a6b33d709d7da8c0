from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.extraction import unpack
from tests.support.parts import missing
from tests.support.trees import manifest


@pytest.fixture(params=[False, True], ids=["openat2", "walk"])
def by_walk(request: pytest.FixtureRequest) -> bool:
    """Both ways of resolving a path, so that every hostile archive meets both."""
    return bool(request.param)


@pytest.fixture
def root() -> None:
    """For tests that set owners, make devices, or write trusted xattrs."""
    if os.geteuid() != 0:
        missing("not root")


@pytest.fixture
def tree(tmp_path: Path, by_walk: bool, root: None) -> Callable[..., Path]:
    """Unpacks archives one after the other into one directory and gives its path."""

    def unpack_all(*archives: bytes, **options: object) -> Path:
        for archive in archives:
            unpack(tmp_path / "root", archive, by_walk=by_walk, **options)
        return tmp_path / "root"

    return unpack_all


@pytest.fixture
def canary(tmp_path: Path, root: None) -> Iterator[Path]:
    """A tree outside of the layer's root that no archive may touch: at the end it is the same, down to its ctimes."""
    path = tmp_path / "canary"
    path.mkdir()
    for name, mode in (("f", 0o400), ("readable", 0o644), ("setuid", 0o4755)):
        (path / name).write_text(name)
        (path / name).chmod(mode)
    (path / "d").mkdir(mode=0o700)
    (path / "d" / "victim").write_text("victim")
    (path / "l").symlink_to("readable")
    os.link(path / "readable", path / "hard")
    os.mkfifo(path / "fifo")
    os.mknod(path / "null", 0o20600, os.makedev(1, 3))
    os.setxattr(path / "readable", "user.canary", b"sings")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path / "socket"))
    before = manifest(path, ctime=True)
    yield path
    assert manifest(path, ctime=True) == before
