"""Paths of an image, resolved inside its root: by openat2, by the walk, and both the same."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pyrt._native.resolve import resolve

PATH = os.O_PATH
FOLLOW, KEEP = PATH, PATH | os.O_NOFOLLOW


@pytest.fixture
def image(tmp_path: Path) -> int:
    """An fd of a root with links of every sort, beside a file of the same names that nobody may reach."""
    for outside in ("etc/passwd", "secret"):
        (tmp_path / outside).parent.mkdir(exist_ok=True)
        (tmp_path / outside).write_text("host")
    root = tmp_path / "root"
    for directory in ("etc", "a/b/c", "run", "var"):
        (root / directory).mkdir(parents=True)
    for file in ("etc/passwd", "a/b/c/f", "secret"):
        (root / file).write_text("image")
    for name, target in {
        "var/run": "/run", "var/up": "../../../run", "abs": "/etc/passwd", "rel": "etc/passwd", "dots": "a/b/../b/./c",
        "out": "../../../../secret", "loop": "loop", "ping": "pong", "pong": "ping", "dangling": "nowhere",
        "slash": "etc/", "root": "/", "a/b/top": "/a/..//", "file-slash": "secret/", "proc": "/proc/self/root",
    }.items():  # fmt: skip
        (root / name).symlink_to(target)
    for number in range(50):
        (root / f"chain{number}").symlink_to(f"chain{number + 1}" if number < 49 else "secret")
    return os.open(root, os.O_RDONLY | os.O_DIRECTORY)


PATHS = [
    "/", ".", "..", "../..", "etc", "etc/", "/etc//passwd", "etc/passwd", "etc/passwd/", "etc/passwd/x", "abs", "rel",
    "dots", "dots/f", "dots/../f", "dots/../c/f", "out", "/../../secret", "a/../../secret", "a/b/../../../secret",
    "loop", "loop/x", "ping", "dangling", "dangling/x", "slash", "slash/passwd", "root", "root/root/root/secret",
    "a/b/top/secret", "file-slash", "secret/", "secret/.", "secret/..", "var/run", "var/run/", "var/run/..",
    "var/up/../etc/passwd", "", "nothing", "nothing/", "nothing/..", "chain9", "chain10", "chain0", "a/b/c/f/../f",
    "x" * 256, "x/" * 2048, "a/" * 2000, "./a/./b/.", "proc", "abs/", "root/..", "root/.", "a/b/top/..",
]  # fmt: skip
FLAGS = [
    FOLLOW, KEEP, PATH | os.O_DIRECTORY, KEEP | os.O_DIRECTORY, os.O_RDONLY, os.O_RDONLY | os.O_NOFOLLOW,
    os.O_RDONLY | os.O_DIRECTORY, os.O_WRONLY, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY,
]  # fmt: skip


def outcome(root: int, path: str, flags: int, by_walk: bool) -> tuple[object, ...]:
    try:
        descriptor = resolve(root, path, flags, by_walk=by_walk)
    except OSError as error:
        return ("error", errno.errorcode[error.errno or 0])
    try:
        assert not os.get_inheritable(descriptor)
        status = os.fstat(descriptor)
        return (status.st_dev, status.st_ino)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:20] or "empty")
def test_both_ways_lead_to_the_same_place(image: int, path: str, flags: int) -> None:
    assert outcome(image, path, flags, by_walk=True) == outcome(image, path, flags, by_walk=False)


@pytest.mark.parametrize("by_walk", [False, True])
def test_nothing_leads_out(image: int, by_walk: bool) -> None:
    for path in ("out", "abs", "rel", "../secret", "/../../etc/passwd", "a/../../secret", "var/up/../../secret"):
        descriptor = resolve(image, path, os.O_RDONLY, by_walk=by_walk)
        assert os.read(descriptor, 10) == b"image"
        os.close(descriptor)


def random_path(chance: random.Random, names: list[str]) -> str:
    parts = [chance.choice(names) for _ in range(chance.randint(1, 6))]
    return chance.choice(["", "/"]) + chance.choice(["/", "//", "/./"]).join(parts) + chance.choice(["", "", "/"])


@pytest.mark.parametrize("seed", range(20))
def test_both_ways_agree_on_random_trees(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    names = ["a", "b", "c", "d", "..", "."]
    for _ in range(30):
        place = tmp_path / "root" / "/".join(chance.choice("abcd") for _ in range(chance.randint(1, 3)))
        if any(path.is_symlink() for path in (place, *place.parents)):
            continue  # here it would be followed by the host's root
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if chance.random() < 0.5:
                place.symlink_to(random_path(chance, names))
            elif chance.random() < 0.5:
                place.mkdir()
            else:
                place.touch()
        except OSError:
            continue
    descriptor = os.open(tmp_path / "root", os.O_RDONLY)
    for _ in range(300):
        path, flags = random_path(chance, names), chance.choice(FLAGS)
        assert outcome(descriptor, path, flags, True) == outcome(descriptor, path, flags, False), (path, flags)
    os.close(descriptor)


@pytest.mark.parametrize("by_walk", [False, True])
def test_tx_70_renames_meanwhile(tmp_path: Path, by_walk: bool) -> None:
    """A directory that changes places with a link to the outside, and one that is moved out of the root."""
    root = tmp_path / "root"
    (root / "d/e").mkdir(parents=True)
    (root / "secret").write_text("image")
    (tmp_path / "secret").write_text("host")
    (root / "link").symlink_to("..")
    descriptor = os.open(root, os.O_RDONLY)
    stop = threading.Event()

    def race() -> None:
        while not stop.is_set():
            os.rename(root / "d", root / "spare")
            os.rename(root / "link", root / "d")
            os.rename(root / "d", root / "link")
            os.rename(root / "spare", tmp_path / "moved")
            os.rename(tmp_path / "moved", root / "d")

    thread = threading.Thread(target=race)
    thread.start()

    def read() -> bytes:
        found = resolve(descriptor, "d/e/../../../secret", os.O_RDONLY, by_walk=by_walk)
        try:
            return os.read(found, 10)
        finally:
            os.close(found)

    try:
        for _ in range(500):
            try:
                assert read() == b"image"
            except OSError as error:
                # EXDEV: what was found is no longer in the root.
                assert error.errno in (errno.ENOENT, errno.EAGAIN, errno.EXDEV)
    finally:
        stop.set()
        thread.join()
    assert read() == b"image"
    os.close(descriptor)


@pytest.mark.parametrize("by_walk", [False, True])
@pytest.mark.parametrize("flags", [os.O_CREAT | os.O_WRONLY, os.O_TMPFILE | os.O_WRONLY])
def test_nothing_is_made(image: int, by_walk: bool, flags: int) -> None:
    assert outcome(image, "new", flags, by_walk) == ("error", "EINVAL")
    with pytest.raises(ValueError, match="null"):
        resolve(image, "a\0b", os.O_RDONLY, by_walk=by_walk)


# A filter that lets openat2 fail as a kernel before 5.6, or a container engine that does not know it, would.
WITHOUT_OPENAT2 = """
import ctypes, errno, os, struct, sys
def filtered(number, action):
    return struct.pack("HBBI", 0x20, 0, 0, 0) + struct.pack("HBBI", 0x15, 0, 1, number) + b"".join(
        struct.pack("HBBI", 0x06, 0, 0, value) for value in (action, 0x7FFF0000))
code = ctypes.create_string_buffer(filtered(437, 0x00050000 | int(sys.argv[1])))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(4, ctypes.addressof(code)))) == 0
assert libc.syscall(437, -1, None, None, 0) == -1 and ctypes.get_errno() == int(sys.argv[1])
"""


# EAGAIN was found by fuzz_resolve on a busy machine: a path with many ".." gets nothing else for as long as anybody renames
# anything, which another container can do for ever.
@pytest.mark.parametrize("refusal", [errno.ENOSYS, errno.EPERM, errno.EAGAIN])
def test_without_openat2(tmp_path: Path, refusal: int) -> None:
    script = (
        WITHOUT_OPENAT2
        + """
from pyrt._native.resolve import resolve
from tests.support.extraction import unpack
from tests.support.tarwriter import archive, directory, entry, symlink
parts = symlink("var/run", "/run"), entry("var/run/pid", b"1"), symlink("out", "../../.."), entry("out/f", b"2")
unpack(sys.argv[2], archive(*parts), chown=False)
root = os.open(sys.argv[2], os.O_RDONLY)
print(os.read(resolve(root, "/var/run/pid", os.O_RDONLY), 9) + os.read(resolve(root, "out/f", os.O_RDONLY), 9))
"""
    )
    command = [sys.executable, "-c", script, str(refusal), str(tmp_path / "root")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=os.getcwd())
    assert done.stdout.strip() == "b'12'", done.stderr
    assert (tmp_path / "root/f").read_bytes() == b"2"
