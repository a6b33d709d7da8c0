"""Whiteouts and opaque directories, in overlay's forms. Source: OCI image-spec, layer.md, "Whiteouts"."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrt.errors import LayerError
from tests.support.parts import need
from tests.support.tarwriter import archive, directory, entry, long_name, symlink

Tree = Callable[..., Path]


def is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: Path, kind: str = "trusted") -> bool:
    try:
        return os.getxattr(path, f"{kind}.overlay.opaque") == b"y"
    except OSError:
        return False


def test_a_whiteout_is_a_device_0_0(tree: Tree) -> None:
    root = tree(archive(entry("etc/.wh.passwd"), entry(".wh.tmp")))
    assert is_whiteout(root / "etc/passwd") and is_whiteout(root / "tmp")
    assert sorted(os.listdir(root)) == ["etc", "tmp"] and os.listdir(root / "etc") == ["passwd"]


def test_whiteouts_have_data_sometimes(tree: Tree) -> None:
    root = tree(archive(entry(".wh.a", b"x" * 700), entry("b")))
    assert sorted(os.listdir(root)) == ["a", "b"] and is_whiteout(root / "a")


@pytest.mark.parametrize("kind", ["trusted", "user"])
def test_opaque_directory(tree: Tree, kind: str) -> None:
    root = tree(archive(directory("d"), entry("d/.wh..wh..opq"), entry("e/.wh..wh..opq")), overlay_xattr=kind)
    for name in "de":
        assert os.getxattr(root / name, f"{kind}.overlay.opaque") == b"y"
        assert os.listxattr(root / name) == [f"{kind}.overlay.opaque"]
        assert os.listdir(root / name) == []


def test_tx_33_files_before_and_after_the_opaque_mark_stay(tree: Tree) -> None:
    root = tree(archive(entry("d/before"), entry("d/.wh..wh..opq"), entry("d/after")))
    assert sorted(os.listdir(root / "d")) == ["after", "before"] and is_opaque(root / "d")


@pytest.mark.parametrize("whiteout_first", [True, False])
def test_tx_34_a_whiteout_does_not_hide_a_file_of_its_own_layer(tree: Tree, whiteout_first: bool) -> None:
    parts = [entry("a", b"x"), entry(".wh.a")]
    root = tree(archive(*(reversed(parts) if whiteout_first else parts)))
    assert (root / "a").read_bytes() == b"x"


@pytest.mark.parametrize("order", ["whiteout-first", "directory-first", "implied"])
def test_tx_34_a_directory_of_its_own_layer_becomes_opaque(tree: Tree, order: str) -> None:
    parts = {
        "whiteout-first": [entry(".wh.a"), directory("a", 0o711), entry("a/f")],
        "directory-first": [directory("a", 0o711), entry("a/f"), entry(".wh.a")],
        "implied": [entry(".wh.a"), entry("a/f")],
    }[order]
    root = tree(archive(*parts))
    assert is_opaque(root / "a") and os.listdir(root / "a") == ["f"]
    assert stat.S_IMODE((root / "a").stat().st_mode) == (0o755 if order == "implied" else 0o711)


@pytest.mark.parametrize("type", ["1", "2", "3", "6"])
def test_tx_34_other_types_after_their_whiteout(tree: Tree, type: str) -> None:
    root = tree(archive(entry("t"), entry(".wh.a"), entry("a", type=type, link="t", major=1, minor=3)))
    assert not is_whiteout(root / "a")


def test_twice_the_same_whiteout(tree: Tree) -> None:
    assert is_whiteout(tree(archive(entry(".wh.a"), entry(".wh.a"))) / "a")


def test_tx_31_whiteout_of_a_symlink_of_the_same_layer(tree: Tree) -> None:
    root = tree(archive(directory("etc"), symlink("l", "etc"), entry(".wh.l")))
    assert (root / "l").is_symlink() and not is_opaque(root / "etc")


@pytest.mark.parametrize("name", ["n" * 251, "a\nb", " ", "-", ".x", "..x", "..."])
def test_tx_35_edge_names(tree: Tree, name: str) -> None:
    root = tree(archive(long_name(".wh." + name), entry("x")))
    assert os.listdir(root) == [name] and is_whiteout(root / name)


@pytest.mark.parametrize("bad", [entry(".wh.x/file"), directory(".wh.x"), directory("d/.wh..wh..opq")])
def test_tx_36_whiteouts_are_no_directories(tree: Tree, bad: bytes, tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="name is not allowed"):
        tree(archive(entry("x", b"x"), bad))
    assert (tmp_path / "root/x").read_bytes() == b"x"


def test_tx_37_aufs_metadata(tree: Tree) -> None:
    root = tree(
        archive(
            entry(".wh..wh.aufs", b"x" * 600),
            directory(".wh..wh.plnk"),
            entry(".wh..wh.plnk/12.34", b"y"),
            directory(".wh..wh.orph"),
            entry("d/.wh..wh.x/deep/er"),
            entry("f"),
        )
    )
    assert os.listdir(root) == ["f"]


def test_overlay_takes_our_whiteouts(tree: Tree, tmp_path: Path) -> None:
    """What the kernel makes of it: the view through overlay is the one that the image means."""
    need("unshare")
    lower = tmp_path / "lower"
    for name in ("etc/passwd", "etc/group", "cache/old", "back/old", "keep/old"):
        (lower / name).parent.mkdir(parents=True, exist_ok=True)
        (lower / name).write_text("lower")
    upper = tree(
        archive(
            entry("etc/.wh.passwd"), entry("cache/new", b"n"), entry("cache/.wh..wh..opq"),
            entry(".wh.back"), entry("back/new", b"n"), entry("keep/new", b"n"),
        )
    )  # fmt: skip
    (tmp_path / "view").mkdir()
    script = f"mount -t overlay overlay -o lowerdir={upper}:{lower} view && cd view && find . -type f | sort"
    view = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert view.returncode == 0, view.stderr
    assert view.stdout.split() == ["./back/new", "./cache/new", "./etc/group", "./keep/new", "./keep/old"]


@pytest.mark.parametrize("target", [".wh.x", "/d/.wh.x", ".wh.x/y"])
def test_fz_a_dangling_link_makes_no_directory_of_a_whiteouts_name(tree: Tree, target: str, tmp_path: Path) -> None:
    """Found by fuzz_entries: the directory that a file needs was made where the link pointed to."""
    with pytest.raises(LayerError, match="parent directory"):
        tree(archive(directory("d"), symlink("l", target), entry("l/f")))
    assert sorted(os.listdir(tmp_path / "root")) == ["d", "l"] and os.listdir(tmp_path / "root/d") == []


def test_fz_a_dangling_link_makes_the_directory_that_it_points_to(tree: Tree) -> None:
    root = tree(archive(directory("d"), symlink("l", "/d/wh.x"), entry("l/f")))
    assert os.listdir(root / "d/wh.x") == ["f"]


@pytest.mark.parametrize("first", ["file", "symlink", "whiteout and file", "file and whiteout"])
def test_fz_a_directory_in_the_place_of_a_file_of_its_layer_is_opaque(tree: Tree, first: str) -> None:
    """Found by fuzz_whiteouts: what the file had hidden of the layers below showed through the directory."""
    parts = {
        "file": [entry("a", b"x")],
        "symlink": [symlink("a", "b")],
        "whiteout and file": [entry(".wh.a"), entry("a", b"x")],
        "file and whiteout": [entry("a", b"x"), entry(".wh.a")],
    }[first]
    root = tree(archive(*parts, directory("a"), entry("a/f")))
    assert is_opaque(root / "a") and os.listdir(root / "a") == ["f"]


def test_fz_a_directory_named_twice_is_not_opaque(tree: Tree) -> None:
    assert not is_opaque(tree(archive(directory("a"), entry("a/f"), directory("a"))) / "a")
