"""A merged copy of layers is what overlayfs shows of them."""

from __future__ import annotations

import errno
import os
import random
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrt.store import copied_root
from pyrt.store.copied_root import copy_layers
from tests.support.parts import missing, need
from tests.support.trees import manifest

NAMES = ("a", "b", "c")


@pytest.fixture(autouse=True)
def root() -> None:
    if os.geteuid() != 0:
        missing("not root")


@pytest.fixture
def overlay(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "merged"
    subprocess.run(["umount", str(tmp_path / "merged")], check=False, capture_output=True)


def whiteout(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR, 0)


def opaque(path: Path) -> None:
    os.setxattr(path, "trusted.overlay.opaque", b"y")


def shown(root: Path) -> dict[str, tuple[object, ...]]:
    """What is compared. A whiteout in a directory that hides nothing is listed by overlayfs, and is not there."""
    found: dict[str, tuple[object, ...]] = {}
    pending = [root]
    while pending:
        path = pending.pop()
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        content: object = None
        if stat.S_ISDIR(status.st_mode):
            pending += path.iterdir()
        elif stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        names = [name for name in os.listxattr(path, follow_symlinks=False) if not name.startswith("trusted.overlay")]
        xattrs = [(name, os.getxattr(path, name, follow_symlinks=False)) for name in names]
        times = status.st_mtime_ns
        found[str(path.relative_to(root))] = (status.st_mode, status.st_uid, status.st_gid, times, content, xattrs)
    return found


def make_layer(root: Path, chance: random.Random, depth: int = 0) -> None:
    """A random directory of few names, so that layers meet."""
    root.mkdir(exist_ok=True)
    for name in NAMES:
        path = root / name
        kind = chance.choice(["file", "directory", "directory", "link", "whiteout", "fifo", "none", "hard"])
        if kind == "directory" and depth < 4:
            make_layer(path, chance, depth + 1)
            if chance.random() < 0.2:
                opaque(path)
        elif kind == "file":
            path.write_bytes(chance.randbytes(chance.choice([0, 10, 5000, 200_000])))
            path.chmod(chance.choice([0o644, 0o4755, 0o600]))
            os.setxattr(path, "user.test", name.encode())
        elif kind == "link":
            path.symlink_to(chance.choice(["a", "../b", "/etc/passwd", "nowhere"]))
        elif kind == "whiteout":
            whiteout(path)
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "hard" and (root / "a").is_file() and not (root / "a").is_symlink() and name != "a":
            os.link(root / "a", path)
        if os.path.lexists(path) and not stat.S_ISCHR(path.lstat().st_mode):
            os.chown(path, chance.randrange(3), chance.randrange(3), follow_symlinks=False)
            if not path.is_symlink() and path.is_file() and chance.random() < 0.3:
                path.chmod(0o4711)
            os.utime(path, ns=(10**18, chance.randrange(10**18)), follow_symlinks=False)


@pytest.mark.parametrize("seed", range(40))
def test_the_copy_is_what_overlayfs_shows(seed: int, tmp_path: Path, overlay: Path):
    chance = random.Random(seed)
    layers = [tmp_path / f"layer{i}" for i in range(chance.randrange(2, 5))]
    for layer in layers:
        make_layer(layer, chance)
    overlay.mkdir()
    options = "lowerdir=" + ":".join(map(str, layers))
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(overlay)], check=True)
    copy_layers(tuple(map(str, layers)), str(tmp_path / "copy"))
    assert shown(tmp_path / "copy") == shown(overlay)


def test_hard_links_stay_and_layers_are_left_alone(tmp_path: Path):
    layer = tmp_path / "layer"
    (layer / "d").mkdir(parents=True)
    (layer / "d" / "one").write_text("x")
    os.link(layer / "d" / "one", layer / "two")
    before = manifest(layer)
    copy_layers((str(layer),), str(tmp_path / "copy"))
    assert (tmp_path / "copy" / "two").stat().st_nlink == 2
    (tmp_path / "copy" / "two").write_text("changed")
    assert (tmp_path / "copy" / "d" / "one").read_text() == "changed"
    assert manifest(layer) == before


def test_nothing_is_followed(tmp_path: Path):
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    upper.mkdir()
    (lower / "d").mkdir(parents=True)
    (lower / "d" / "f").write_text("below")
    (tmp_path / "out").mkdir()
    (upper / "d").symlink_to(tmp_path / "out")
    copy_layers((str(upper), str(lower)), str(tmp_path / "copy"))
    assert (tmp_path / "copy" / "d").is_symlink() and not list((tmp_path / "out").iterdir())


def test_device_nodes_and_sockets_are_left_out(tmp_path: Path):
    import socket

    layer = tmp_path / "layer"
    layer.mkdir()
    os.mknod(layer / "disk", stat.S_IFBLK | 0o666, os.makedev(8, 0))
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(layer / "socket"))
        copy_layers((str(layer),), str(tmp_path / "copy"))
    assert not list((tmp_path / "copy").iterdir())


def test_holes_stay_holes(tmp_path: Path):
    layer = tmp_path / "layer"
    layer.mkdir()
    with (layer / "sparse").open("wb") as file:
        file.truncate(1 << 30)
        file.seek(1 << 29)
        file.write(b"data")
    copy_layers((str(layer),), str(tmp_path / "copy"))
    status = (tmp_path / "copy" / "sparse").stat()
    assert status.st_size == 1 << 30 and status.st_blocks * 512 < 1 << 20
    with (tmp_path / "copy" / "sparse").open("rb") as file:
        file.seek(1 << 29)
        assert file.read(5) == b"data\0"


def test_deeper_than_a_path_may_be_long(tmp_path: Path):
    layer = tmp_path / "layer"
    layer.mkdir()
    here = os.open(layer, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 100, dir_fd=here)
        inner = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    copy_layers((str(layer),), str(tmp_path / "copy"))
    words = ["find", ".", "-name", "end", "-printf", "%d"]
    found = subprocess.run(words, cwd=tmp_path / "copy", capture_output=True, check=True)
    assert found.stdout == b"61"


def test_where_owners_cannot_be_had_the_rest_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "f").write_text("x")
    os.chown(layer / "f", 1234, 1234)

    def refuse(fd: int, uid: int, gid: int) -> None:
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr(copied_root.os, "fchown", refuse)
    copy_layers((str(layer),), str(tmp_path / "copy"))
    assert (tmp_path / "copy" / "f").stat().st_uid == 0 and (tmp_path / "copy" / "f").read_text() == "x"


def test_no_space_is_said(tmp_path: Path):
    layer, small = tmp_path / "layer", tmp_path / "small"
    layer.mkdir()
    small.mkdir()
    (layer / "f").write_bytes(b"x" * (4 << 20))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], check=True)
    try:
        with pytest.raises(OSError) as caught:
            copy_layers((str(layer),), str(small / "copy"))
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("file_system", ["btrfs", "xfs"])
def test_reflinks_where_there_are_some(tmp_path: Path, file_system: str):
    need("mkfs.btrfs", "mkfs.xfs")
    disk, mount = tmp_path / "disk", tmp_path / "mount"
    mount.mkdir()
    with disk.open("wb") as file:
        file.truncate(512 << 20)
    subprocess.run([f"mkfs.{file_system}", "-q", str(disk)], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", str(disk), str(mount)], check=True)
    try:
        (mount / "layer").mkdir()
        (mount / "layer" / "f").write_bytes(os.urandom(64 << 20))
        os.sync()
        before = os.statvfs(mount).f_bavail
        copy_layers((str(mount / "layer"),), str(mount / "copy"))
        os.sync()
        after = os.statvfs(mount)
        assert (before - after.f_bavail) * after.f_bsize < 16 << 20
        assert (mount / "copy" / "f").read_bytes() == (mount / "layer" / "f").read_bytes()
    finally:
        subprocess.run(["umount", str(mount)], check=True)
