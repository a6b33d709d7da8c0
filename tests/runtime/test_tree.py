"""The layers of an image as one tree, held against the kernel's overlayfs on the same directories."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from pyrt.runtime.copy_up import copy_up
from pyrt.runtime.tree import ImageTree
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
