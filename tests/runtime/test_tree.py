"""The layers of an image as one tree, held against the kernel's overlayfs on the same directories."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from pyrt.errors import ImageError
from pyrt.runtime.copy_up import copy_up
from pyrt.runtime.tree import ImageTree
from pyrt.store.removal import remove_tree
from tests.support.parts import missing
from tests.support.trees import manifest


@pytest.fixture
def layers(tmp_path: Path) -> list[Path]:
    """Three layers, uppermost first, with everything that layers do to one another."""
    if os.geteuid() != 0:
        missing("not root")
    low, middle, top = (tmp_path / name for name in ("low", "middle", "top"))
    for layer in (low, middle, top):
        (layer / "d/sub").mkdir(parents=True)
    (low / "d/only-low").write_text("low")
    (low / "d/changed").write_text("old")
    (low / "d/removed").write_text("gone")
    (low / "d/sub/deep").write_text("deep")
    (low / "opaque").mkdir()
    (low / "opaque/hidden").write_text("hidden")
    (low / "file-then-dir").write_text("file")
    (low / "dir-then-file").mkdir()
    (low / "dir-then-file/x").write_text("x")
    (middle / "d/changed").write_text("new")
    (middle / "d/changed").chmod(0o640)
    os.chown(middle / "d/changed", 12, 34)
    os.mknod(middle / "d/removed", 0o20000, 0)
    (middle / "opaque").mkdir()
    os.setxattr(middle / "opaque", "trusted.overlay.opaque", b"y")
    (middle / "opaque/shown").write_text("shown")
    (middle / "file-then-dir").mkdir()
    (middle / "file-then-dir/y").write_text("y")
    (middle / "dir-then-file").write_text("now a file")
    (top / "d/link").symlink_to("../opaque/shown")
    (top / "d/absolute").symlink_to("/d/sub/deep")
    os.mkfifo(top / "d/fifo")
    os.setxattr(top / "d/sub", "user.kept", b"yes")
    return [top, middle, low]


@pytest.fixture
def mounted(layers, tmp_path):
    merged = tmp_path / "merged"
    merged.mkdir()
    lower = ":".join(str(layer) for layer in layers)
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lower}", str(merged)], check=True)
    yield merged
    subprocess.run(["umount", str(merged)], check=True)


def test_reads_what_overlayfs_shows(layers, mounted):
    tree = ImageTree(tuple(map(str, layers)))
    for path in ("d/only-low", "d/changed", "d/sub/deep", "opaque/shown", "file-then-dir/y", "dir-then-file", "d/link"):
        assert tree.read(path) == (mounted / path).read_bytes(), path
    assert tree.read("/d/absolute") == b"deep"
    for path in ("d/removed", "opaque/hidden", "dir-then-file/x", "nothing", "d/changed/below"):
        assert not os.path.lexists(mounted / path)
        assert tree.read(path) is None, path


@pytest.mark.parametrize("place", ["d", "opaque", "/"])
def test_copies_what_overlayfs_shows(layers, mounted, tmp_path, place):
    volume = tmp_path / "volume"
    volume.mkdir()
    copy_up(ImageTree(tuple(map(str, layers))), place, str(volume))
    assert manifest(volume) == manifest(mounted / place.strip("/"))


def test_nothing_to_copy(layers, tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    for place in ("nothing", "d/changed", "d/removed"):
        copy_up(ImageTree(tuple(map(str, layers))), place, str(volume))
    assert os.listdir(volume) == []


def test_cve_2022_23648_dots_and_links_end_at_the_images_root(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("of the host")
    (tmp_path / "root/out").symlink_to("../../secret")
    (tmp_path / "root/absolute").symlink_to(tmp_path / "secret")
    tree = ImageTree((str(tmp_path / "root"),))
    with ExitStack() as opened:
        for place in ("/../secret", "out", "absolute", "/../../../../../../etc"):
            assert tree.directories(place, opened) == [], place


WAYS = {
    "up and down": {"down": None, "file": "x", "way": "down/../" * 400 + "next0", **{
        f"next{n}": "down/../" * 400 + f"next{n + 1}" for n in range(30)}, "next30": "file"},
    "deep": {"d/" * 1500 + "file": "x", "way": "d/" * 1500 + "file"},
    "a name too long": {"way": "n" * 300},
    "a path too long below": {"way": "/".join(["n" * 255] * 15)},
}  # fmt: skip


@pytest.mark.parametrize("kind", WAYS)
def test_id_06_a_way_that_never_ends_is_an_error(tmp_path: Path, kind: str) -> None:
    """Links that go up and down, names that no file system takes, more levels than there are descriptors."""
    root = tmp_path / "root"
    root.mkdir()
    plant(root, WAYS[kind])
    tree = ImageTree((str(root),))
    before = len(os.listdir("/proc/self/fd"))
    with lowered(resource.RLIMIT_NOFILE, before + 200):
        if kind == "a path too long below":  # twin: what is not there is no error
            assert tree.read("/way") is None
        else:
            with pytest.raises(ImageError, match="^/way: "):
                tree.read("/way")
    assert len(os.listdir("/proc/self/fd")) == before
    remove_tree(str(root))  # deeper than pytest's own cleaning can go


def test_id_06_up_and_down_needs_no_descriptors(tmp_path: Path) -> None:
    """The twin: the same way, as long as a path may be, leads to its file."""
    plant(tmp_path, {"down": None, "file": "x", "way": "down/../" * 400 + "file"})
    with lowered(resource.RLIMIT_NOFILE, len(os.listdir("/proc/self/fd")) + 20):
        assert ImageTree((str(tmp_path),)).read("/way") == b"x"


def test_copy_up_leaves_holes(tmp_path: Path) -> None:
    """An image's file of a terabyte without data must not fill the disk by way of a volume."""
    root, volume = tmp_path / "root", tmp_path / "volume"
    volume.mkdir()
    (root / "data").mkdir(parents=True)
    with open(root / "data/holes", "wb") as file:
        file.truncate(1 << 40)
        for at, text in ((0, b"first"), (1 << 30, b"middle"), ((1 << 40) - 4, b"last")):
            file.seek(at)
            file.write(text)
    copy_up(ImageTree((str(root),)), "/data", str(volume))
    status = (volume / "holes").stat()
    assert status.st_size == 1 << 40 and status.st_blocks < 100
    with open(volume / "holes", "rb") as file:
        for at, text in ((0, b"first"), (1 << 30, b"middle"), ((1 << 40) - 4, b"last")):
            file.seek(at)
            assert file.read(len(text)) == text


def plant(root: Path, names: dict[str, str | None]) -> None:
    """Directories (None), one file ("x"), and links, below ``root``; paths may be longer than PATH_MAX."""
    for name, target in names.items():
        *parents, base = name.split("/")
        at = os.open(root, os.O_RDONLY)
        for parent in parents:
            with suppress(FileExistsError):
                os.mkdir(parent, dir_fd=at)
            inner = os.open(parent, os.O_RDONLY, dir_fd=at)
            os.close(at)
            at = inner
        if target is None:
            os.mkdir(base, dir_fd=at)
        elif target == "x":
            file = os.open(base, os.O_WRONLY | os.O_CREAT, dir_fd=at)
            os.write(file, b"x")
            os.close(file)
        else:
            os.symlink(target, base, dir_fd=at)
        os.close(at)


@contextmanager
def lowered(which: int, soft: int) -> Iterator[None]:
    """A lower limit of this process."""
    before = resource.getrlimit(which)
    resource.setrlimit(which, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(which, before)
