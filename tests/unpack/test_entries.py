"""What each type of entry becomes, and what it does to what stands in its place."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrt.errors import LayerError
from tests.support.extraction import unpack
from tests.support.tarwriter import archive, directory, entry, hardlink, long_link, long_name, pax, symlink
from tests.support.trees import manifest

Tree = Callable[..., Path]


def test_types(tree: Tree) -> None:
    root = tree(
        archive(
            entry("char", type="3", major=1, minor=3, mode=0o620, uid=1, gid=2, mtime=11),
            entry("block", type="4", major=7, minor=200, mode=0o660),
            entry("fifo", type="6", mode=0o4700, uid=3, mtime=12),
            symlink("link", "nowhere", uid=4, gid=5, mtime=13),
            entry("file", b"text", mode=0o4755, uid=6, gid=7, mtime=14),
            hardlink("hard", "file"),
            directory("dir", 0o1777, uid=8, gid=9, mtime=15),
        )
    )
    found = manifest(root)

    def facts(name: bytes) -> tuple[object, ...]:
        item = found[name]
        return item.kind, item.mode, item.uid, item.gid, item.mtime // 10**9, item.device

    assert facts(b"char") == ("char", 0o620, 1, 2, 11, os.makedev(1, 3))
    assert facts(b"block") == ("block", 0o660, 0, 0, 0, os.makedev(7, 200))
    assert facts(b"fifo") == ("fifo", 0o4700, 3, 0, 12, 0)
    assert facts(b"link") == ("symlink", 0o777, 4, 5, 13, 0)
    assert facts(b"file") == facts(b"hard") == ("file", 0o4755, 6, 7, 14, 0)
    assert facts(b"dir") == ("directory", 0o1777, 8, 9, 15, 0)
    assert found[b"file"].links == (b"file", b"hard")
    assert found[b"link"].content == b"nowhere"


def test_large_device_numbers(tree: Tree) -> None:
    root = tree(archive(entry("c", type="3", major=4095, minor=(1 << 20) - 1)))
    assert (root / "c").stat().st_rdev == os.makedev(4095, (1 << 20) - 1)


def test_tx_46_sockets_are_ignored(tree: Tree) -> None:
    root = tree(
        archive(pax({"SCHILY.filetype": "socket"}), entry("s1", b"x"), entry("s2", b"y" * 600, mode=0o140755), entry("f"))
    )
    assert os.listdir(root) == ["f"]


def test_tx_75_implied_parents(tree: Tree) -> None:
    root = tree(archive(entry("a/b/c/f", uid=5)))
    for path in ("a", "a/b", "a/b/c"):
        status = (root / path).stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o755, 0, 0)


def test_implied_parents_get_their_attributes_later(tree: Tree) -> None:
    status = (tree(archive(entry("a/f"), directory("a", 0o700, uid=3, mtime=9), entry("a/g"))) / "a").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_mtime) == (0o700, 3, 9)


@pytest.mark.parametrize("target", ["/run", "../run", "../../../run"])
@pytest.mark.parametrize("exists", [True, False])
def test_bn_01_var_run(tree: Tree, target: str, exists: bool) -> None:
    first = directory("run") if exists else b""
    root = tree(archive(first, directory("var"), symlink("var/run", target), entry("var/run/lock/pid", b"1")))
    assert (root / "run/lock/pid").read_bytes() == b"1" and (root / "var/run").is_symlink()


def test_bn_01_a_dangling_link_is_made_where_it_points(tree: Tree) -> None:
    root = tree(archive(symlink("a", "b/c"), symlink("b", "/d/../e/./f"), entry("a/x", b"1")))
    assert (root / "e/f/c/x").read_bytes() == b"1"
    assert sorted(os.listdir(root)) == ["a", "b", "d", "e"]


def test_bn_04_links_between_directories(tree: Tree) -> None:
    root = tree(
        archive(
            symlink("etc", "/system/etc"),
            symlink("system/etc/passwd", "/nix/store/x"),
            entry("nix/store/x", b"root"),
            entry("etc/group", b"g"),
        )
    )
    assert (root / "system/etc/group").read_bytes() == b"g"


def test_bn_07_prefixes_and_repeated_directories(tree: Tree) -> None:
    root = tree(
        archive(
            directory("./"),
            directory("./a/", 0o700),
            entry("./a/f", b"1"),
            directory("a", 0o750),
            directory("/a/", 0o711),
            entry("a//./f", b"2"),
        )
    )
    assert (root / "a/f").read_bytes() == b"2" and stat.S_IMODE((root / "a").stat().st_mode) == 0o711


def test_bn_10_names(tree: Tree) -> None:
    names = [b"\xff\xfe", b"n\nl", b"t\tb", b" ", b"..."[:3], b"-rf", b"n" * 255, b"\\", b'"']
    root = tree(archive(*(long_name(name) + entry("x") for name in names)))
    assert sorted(os.listdir(os.fsencode(root))) == sorted(names)


def test_bn_17_links_that_nobody_follows(tree: Tree) -> None:
    targets = ["../../../etc", "/proc/self/fd/0", "/etc/shadow", "x" * 90, "."]
    root = tree(archive(*(symlink(f"l{number}", target) for number, target in enumerate(targets))))
    assert [os.readlink(root / f"l{number}") for number in range(len(targets))] == targets


MAKERS = {
    "file": entry("x", b"new"),
    "symlink": symlink("x", "elsewhere"),
    "hardlink": hardlink("x", "other"),
    "fifo": entry("x", type="6"),
    "char": entry("x", type="3", major=1, minor=5),
    "directory": directory("x", 0o750),
}


def kind_of(path: Path) -> str:
    mode = path.lstat().st_mode
    if path.lstat().st_nlink > 1 and stat.S_ISREG(mode):
        return "hardlink"
    kinds = {stat.S_IFREG: "file", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo", stat.S_IFCHR: "char"}
    return kinds.get(stat.S_IFMT(mode), "directory")


@pytest.mark.parametrize("new", MAKERS)
@pytest.mark.parametrize("old", [*MAKERS, "full-directory"])
@pytest.mark.parametrize("layers", [1, 2])
def test_every_type_over_every_other(tree: Tree, old: str, new: str, layers: int) -> None:
    other = entry("other", b"other")
    full = directory("x") + entry("x/a/b/c") + symlink("x/l", "/") + hardlink("x/h", "other") + entry("x/p", type="6")
    first = full if old == "full-directory" else MAKERS[old]
    parts = [archive(other, first, MAKERS[new])] if layers == 1 else [archive(other, first), archive(other, MAKERS[new])]
    root = tree(*parts)
    assert kind_of(root / "x") == new
    assert (root / "other").read_bytes() == b"other"
    if old == "full-directory":
        assert os.path.exists(root / "x/a/b/c") == (new == "directory")


def test_a_directory_through_a_link_is_replaced_by_its_own_name(tree: Tree) -> None:
    """What a name means changes with the entries before it."""
    root = tree(
        archive(
            directory("real"), symlink("d", "real"), entry("d/a", b"1"),
            directory("d"), entry("d/b", b"2"),
            symlink("d", "real"), entry("d/c", b"3"),
        )
    )  # fmt: skip
    assert sorted(os.listdir(root / "real")) == ["a", "c"]


def test_an_entry_may_not_replace_its_own_path(tree: Tree) -> None:
    for own in (directory("a/a"), entry("a/a"), symlink("a/a", "b"), entry("a/a", type="6")):
        with pytest.raises(LayerError, match="'a/a': replace: Invalid argument"):
            tree(archive(symlink("a", "/"), own))


def test_replacing_a_parent_of_open_directories(tree: Tree) -> None:
    root = tree(
        archive(
            entry("a/b/c/f", b"1"),
            entry("a/b/g", b"2"),
            symlink("a", "z"),
            entry("a/b/c/f", b"3"),
            directory("z/b", 0o700),
        )
    )
    assert (root / "z/b/c/f").read_bytes() == b"3" and not (root / "z/b/g").exists()


def test_more_directories_than_are_kept_open(tree: Tree) -> None:
    names = [f"d{number}/e{number}" for number in range(400)]
    root = tree(
        archive(
            *(directory(name, 0o710, mtime=number) for number, name in enumerate(names)),
            *(entry(f"{name}/f", name.encode()) for name in names),
            *(entry(f"{name}/g") for name in reversed(names)),
        )
    )
    for number, name in enumerate(names):
        assert (root / name / "f").read_bytes() == name.encode()
        status = (root / name).stat()
        assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o710, number)


def test_bn_13_many_files_in_one_directory(tmp_path: Path) -> None:
    stats = unpack(tmp_path / "root", (entry(f"d/{number}", b"x") for number in range(20_000)), chown=False)
    assert (stats.entries, stats.bytes) == (20_000, 20_000)
    assert len(os.listdir(tmp_path / "root/d")) == 20_000


def test_stats_count_entries_and_apparent_sizes(tmp_path: Path) -> None:
    stats = unpack(tmp_path / "root", archive(directory("d"), entry("f", b"12345"), hardlink("h", "f")), chown=False)
    assert (stats.entries, stats.bytes) == (3, 5)


@pytest.mark.parametrize("target", ["a/" + "n" * 200, "n" * 300, "a"])
def test_fz_a_directory_that_links_have_made_unreachable(tree: Tree, target: str) -> None:
    """Found by fuzz_entries: where its attributes wait and its name has become a loop of long links, the walk ran out of
    room before it ran out of links, and the layer was refused."""
    root = tree(archive(directory("d"), symlink("a", "d"), directory("a/l", 0o711), long_link(target), symlink("a", "x")))
    assert os.readlink(root / "a") == target and (root / "d/l").is_dir()
