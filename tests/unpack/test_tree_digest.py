"""The digest of an unpacked tree: it changes with everything that a layer says, and with nothing else."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrt._native.tree_digest import TreeDigest, tree_digest, xxh64
from pyrt.store.removal import remove_tree
from tests.support.parts import missing
from tests.support.rot import flip

PRIME32 = 2654435761


def digest(path: Path) -> TreeDigest:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return tree_digest(fd)
    finally:
        os.close(fd)


def sanity_buffer(size: int) -> bytes:
    """The bytes over which the vectors of the specification's sanity checks are."""
    generator, out = PRIME32, bytearray()
    for _ in range(size):
        out.append(generator >> 56)
        generator = generator * 0x9E3779B185EBCA8D & (1 << 64) - 1
    return bytes(out)


@pytest.mark.parametrize(
    ("data", "seed", "wanted"),
    [
        (b"", 0, 0xEF46DB3751D8E999),
        (b"", PRIME32, 0xAC75FDA2929B17EF),
        (sanity_buffer(1), 0, 0xE934A84ADB052768),
        (sanity_buffer(1), PRIME32, 0x5014607643A9B4C3),
        (sanity_buffer(4), 0, 0x9136A0DCA57457EE),
        (sanity_buffer(14), 0, 0x8282DCC4994E35C8),
        (sanity_buffer(14), PRIME32, 0xC3BD6BF63DEB6DF0),
        (sanity_buffer(222), 0, 0xB641AE8CB691C174),
        (sanity_buffer(222), PRIME32, 0x20CB8AB7AE10C14A),
        (b"a", 0, 0xD24EC4F1A98C6E5B),
        (b"abc", 0, 0x44BC2CF5AD770999),
    ],
)
def test_the_hash_is_xxh64(data: bytes, seed: int, wanted: int) -> None:
    assert xxh64(data, seed) == wanted


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with one of everything."""
    if os.geteuid() != 0:
        missing("not root")
    root = tmp_path / "tree"
    (root / "dir/below").mkdir(parents=True)
    (root / "file").write_bytes(b"content" * 1000)
    (root / "dir/zero").write_bytes(bytes(300_000))
    (root / "dir/empty").write_bytes(b"")
    (root / "dir/below/other").write_bytes(b"content" * 1000)
    os.link(root / "file", root / "dir/linked")
    os.symlink("file", root / "link")
    os.mkfifo(root / "fifo")
    os.mknod(root / "hidden", 0o020000, os.makedev(0, 0))
    os.setxattr(root / "dir", "trusted.overlay.opaque", b"y")
    os.setxattr(root / "file", "user.note", b"1")
    os.setxattr(root / "link", "trusted.note", b"1", follow_symlinks=False)
    os.setxattr(root / "dir/empty", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))
    return root


def relink(root: Path) -> None:
    """A hard link becomes a copy of the same content, owner, mode and times."""
    status = (root / "dir").stat()
    (root / "dir/linked").unlink()
    shutil.copy2(root / "file", root / "dir/linked")
    os.utime(root / "dir", ns=(status.st_atime_ns, status.st_mtime_ns))


def renamed(root: Path) -> None:
    status = (root / "dir/below").stat()
    (root / "dir/below/other").rename(root / "dir/below/othes")
    os.utime(root / "dir/below", ns=(status.st_atime_ns, status.st_mtime_ns))


def retarget(root: Path) -> None:
    times = [os.stat(path, follow_symlinks=False) for path in (root, root / "link")]
    (root / "link").unlink()
    os.symlink("filf", root / "link")
    os.setxattr(root / "link", "trusted.note", b"1", follow_symlinks=False)
    os.utime(root / "link", ns=(times[1].st_atime_ns, times[1].st_mtime_ns), follow_symlinks=False)
    os.utime(root, ns=(times[0].st_atime_ns, times[0].st_mtime_ns))


def redevice(root: Path) -> None:
    times = [os.stat(path, follow_symlinks=False) for path in (root, root / "hidden")]
    (root / "hidden").unlink()
    os.mknod(root / "hidden", 0o020000, os.makedev(0, 1))
    os.utime(root / "hidden", ns=(times[1].st_atime_ns, times[1].st_mtime_ns))
    os.utime(root, ns=(times[0].st_atime_ns, times[0].st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "first byte": lambda root: flip(root / "file", 0),
    "last byte": lambda root: flip(root / "file", 6999),
    "a zero in a file of zeros": lambda root: flip(root / "dir/zero", 200_000),
    "content of the deepest": lambda root: flip(root / "dir/below/other", 77),
    "truncated": lambda root: os.truncate(root / "file", 6999),
    "longer by zeros": lambda root: os.truncate(root / "dir/zero", 300_001),
    "mode": lambda root: (root / "file").chmod(0o640),
    "setuid": lambda root: (root / "file").chmod(0o4644),
    "mode of the root": lambda root: root.chmod(0o711),
    "uid": lambda root: os.chown(root / "file", 1, -1),
    "gid of a link": lambda root: os.chown(root / "link", -1, 1, follow_symlinks=False),
    "time of a file": lambda root: os.utime(root / "file", ns=(0, 1)),
    "time of a directory": lambda root: os.utime(root / "dir", ns=(0, 1)),
    "xattr": lambda root: os.setxattr(root / "file", "user.note", b"2"),
    "xattr gone": lambda root: os.removexattr(root / "file", "user.note"),
    "xattr of a link": lambda root: os.removexattr(root / "link", "trusted.note", follow_symlinks=False),
    "mark of overlay": lambda root: os.removexattr(root / "dir", "trusted.overlay.opaque"),
    "file capability": lambda root: os.removexattr(root / "dir/empty", "security.capability"),
    "file more": lambda root: (root / "dir/below/new").write_bytes(b""),
    "file gone": lambda root: (root / "dir/empty").unlink(),
    "FIFO gone": lambda root: (root / "fifo").unlink(),
    "renamed": renamed,
    "link target": retarget,
    "device number": redevice,
    "hard link that is a copy": relink,
}


@pytest.mark.parametrize("change", CHANGES)
def test_st_21_each_change_shows(tree: Path, change: str) -> None:
    before = digest(tree)
    assert digest(tree) == before
    CHANGES[change](tree)
    assert digest(tree).value != before.value


def test_st_21_what_is_not_of_the_layer_does_not_show(tree: Path, tmp_path: Path) -> None:
    before = digest(tree)
    os.utime(tree / "file", ns=(1, (tree / "file").stat().st_mtime_ns))  # atime, ctime
    moved = tmp_path / "moved"
    tree.rename(moved)
    assert digest(moved) == before
    copy = tmp_path / "copy"  # other inodes, another order of names, holes where zeros were
    os.system(f"cp -a --sparse=always {moved} {copy}")
    assert digest(copy) == before
    assert before.entries == 12
    assert before.bytes == 3 * 7000 + 300_000


def test_a_hole_of_a_terabyte_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "sparse").write_bytes(b"beginning")
    with (tmp_path / "sparse").open("r+b") as file:
        file.seek(1 << 40)
        file.write(b"end")
    whole = digest(tmp_path)
    flip(tmp_path / "sparse", (1 << 40) + 1)
    assert digest(tmp_path).value != whole.value


def test_names_are_read_in_any_number_and_depth(tmp_path: Path) -> None:
    wide, deep = tmp_path / "wide", tmp_path / "deep"
    wide.mkdir()
    for number in range(3000):
        (wide / f"d{number}").mkdir()
        (wide / f"d{number}/f").write_bytes(b"")
    assert digest(wide).entries == 6001
    deep.mkdir()
    fd = os.open(deep, os.O_RDONLY)
    try:
        for _ in range(1500):  # longer than a path can be
            os.mkdir("a" * 20, dir_fd=fd)
            child = os.open("a" * 20, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = child
        assert digest(deep).entries == 1501
        os.mkdir("b", dir_fd=fd)
        assert digest(deep).entries == 1502
    finally:
        os.close(fd)
        assert remove_tree(str(deep)) == ()  # pytest's own removal recurses


def test_many_hard_links_in_any_order(tmp_path: Path) -> None:
    for number in range(500):
        (tmp_path / f"f{number}").write_bytes(b"same")
        os.utime(tmp_path / f"f{number}", ns=(0, 0))
        os.link(tmp_path / f"f{number}", tmp_path / f"g{number}")
    os.utime(tmp_path, ns=(0, 0))
    before = digest(tmp_path)
    for number in (7, 8):  # two pairs become two other pairs
        (tmp_path / f"g{number}").unlink()
    os.link(tmp_path / "f7", tmp_path / "g8")
    os.link(tmp_path / "f8", tmp_path / "g7")
    os.utime(tmp_path, ns=(0, 0))
    assert digest(tmp_path).value != before.value


def test_a_mount_in_the_tree_is_an_error(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        missing("not root")
    (tmp_path / "d/mounted").mkdir(parents=True)
    assert os.system(f"mount -t tmpfs none {tmp_path}/d/mounted") == 0
    try:
        with pytest.raises(OSError, match="Invalid cross-device link: 'd/mounted'"):
            digest(tmp_path)
    finally:
        os.system(f"umount {tmp_path}/d/mounted")
    assert digest(tmp_path).entries == 3


def test_no_descriptor_is_left(tree: Path) -> None:
    before = os.listdir("/proc/self/fd")
    digest(tree)
    with pytest.raises(OSError, match="Not a directory"):
        fd = os.open(tree / "file", os.O_RDONLY)
        try:
            tree_digest(fd)
        finally:
            os.close(fd)
    assert os.listdir("/proc/self/fd") == before
