"""Layers that mean harm: the cases TX of the threat catalogue. What lies beside the root stays as it is: the canary."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrt._native.extract import Limits
from pyrt.errors import LayerError
from tests.support.extraction import unpack
from tests.support.tarwriter import (
    archive,
    base256,
    directory,
    entry,
    hardlink,
    header,
    long_link,
    long_name,
    octal,
    pax,
    record,
    sparse_old_gnu,
    sparse_pax_0_0,
    sparse_pax_0_1,
    sparse_pax_1_0,
    symlink,
)

Tree = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("canary")


def in_root(root: Path, outside: Path) -> Path:
    """Where an absolute path lies when the layer's root is "/"."""
    return root / outside.relative_to("/")


@pytest.mark.parametrize("name", ["../canary/f", "a/../../../canary/f", "..", "a/..", "/../canary/f", "./../x"])
def test_tx_01_dotdot_in_a_name_is_refused(tree: Tree, name: str) -> None:
    with pytest.raises(LayerError, match="this name is not allowed") as caught:
        tree(archive(entry("before"), entry(name, b"pwn")))
    assert caught.value.entry == name


@pytest.mark.parametrize("name", ["/etc/x", "//etc/x", "./etc//x", "/./etc/./x"])
def test_tx_02_absolute_names_are_below_the_root(tree: Tree, name: str) -> None:
    assert (tree(archive(entry(name, b"x"))) / "etc/x").read_bytes() == b"x"


def test_tx_04_absolute_symlink_write_through(tree: Tree, canary: Path) -> None:
    root = tree(archive(symlink("d", str(canary)), entry("d/pwn", b"x")))
    assert (in_root(root, canary) / "pwn").read_bytes() == b"x"
    assert (root / "d").is_symlink()


def test_tx_05_relative_symlink_out(tree: Tree) -> None:
    root = tree(archive(symlink("d", "../../../../canary"), entry("d/pwn", b"x")))
    assert (root / "canary/pwn").read_bytes() == b"x"


def test_tx_06_chained_symlinks(tree: Tree) -> None:
    root = tree(archive(symlink("dummy/etc", "/etc"), symlink("localetc", "/dummy/etc"), entry("localetc/u", b"x")))
    assert (root / "etc/u").read_bytes() == b"x"


def test_tx_07_down_and_out(tree: Tree) -> None:
    root = tree(
        archive(
            directory("downandout"),
            symlink("d1", "../downandout/../../etc"),
            entry("d1/passwd", b"x"),
            symlink("downandout/up", "../.."),
            entry("downandout/up/y", b"y"),
        )
    )
    assert (root / "etc/passwd").read_bytes() == b"x"
    assert (root / "y").read_bytes() == b"y"


def link_chain(length: int) -> bytes:
    links = [symlink(f"l{number}", f"l{number + 1}") for number in range(length - 1)]
    return archive(directory("end"), *links, symlink(f"l{length - 1}", "end"), entry("l0/x", b"x"))


def test_tx_09_forty_links_are_followed(tree: Tree) -> None:
    assert (tree(link_chain(40)) / "end/x").read_bytes() == b"x"


@pytest.mark.parametrize("length", [41, 300])
def test_tx_09_more_links_are_an_error(tree: Tree, length: int) -> None:
    with pytest.raises(LayerError, match="parent directory: Too many levels of symbolic links"):
        tree(link_chain(length))


def test_tx_09_links_in_a_circle_are_an_error(tree: Tree) -> None:
    with pytest.raises(LayerError, match="Too many levels"):
        tree(archive(symlink("a", "b"), symlink("b", "a"), entry("a/x")))


ROOT_NAMES = [".", "./", "/", "/.", "", "././/"]


@pytest.mark.parametrize("name", ROOT_NAMES)
def test_tx_11_root_replaced_by_symlink(tree: Tree, canary: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(LayerError, match="the root of a layer"):
        tree(archive(symlink(name, str(canary))))
    assert (tmp_path / "root").is_dir() and not (tmp_path / "root").is_symlink()
    tree(archive(entry("pwn")))


@pytest.mark.parametrize("name", ROOT_NAMES)
@pytest.mark.parametrize("type", ["0", "1", "3", "4", "6"])
def test_tx_12_root_as_something_else(tree: Tree, name: str, type: str) -> None:
    with pytest.raises(LayerError, match="the root of a layer"):
        tree(archive(entry(name, type=type, link="x", major=1, minor=3)))


@pytest.mark.parametrize("name", ROOT_NAMES)
def test_tx_13_root_entry_sets_the_attributes_of_the_root(tree: Tree, name: str) -> None:
    status = tree(archive(directory(name, 0o711, uid=5, gid=6, mtime=1000), entry("f"))).stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime) == (0o711, 5, 6, 1000)


def test_tx_14_file_used_as_parent(tree: Tree) -> None:
    with pytest.raises(LayerError, match="parent directory: Not a directory"):
        tree(archive(entry("nondir"), entry("nondir/foo/bar")))


def test_tx_16_directory_over_a_symlink(tree: Tree) -> None:
    root = tree(
        archive(entry("etc/passwd", b"p"), symlink("localetc", "/etc")),
        archive(directory("localetc"), hardlink("localetc/h", "etc/passwd")),
    )
    assert not (root / "localetc").is_symlink()
    assert os.listdir(root / "localetc") == ["h"]
    assert os.listdir(root / "etc") == ["passwd"]


def test_tx_17_symlink_over_a_directory(tree: Tree, canary: Path) -> None:
    root = tree(
        archive(directory("d"), entry("d/old")),
        archive(entry("d/new"), symlink("d", str(canary)), entry("d/pwn", b"x")),
    )
    assert (in_root(root, canary) / "pwn").read_bytes() == b"x"
    assert os.readlink(root / "d") == str(canary)


@pytest.mark.parametrize("target", ["../../../etc/passwd", "/../etc/passwd", "a/../../etc/passwd"])
def test_tx_19_hardlink_dotdot_stays_in_the_root(tree: Tree, target: str) -> None:
    before = os.stat("/etc/passwd").st_nlink
    root = tree(archive(directory("a"), entry("etc/passwd", b"ours"), hardlink("h", target)))
    assert (root / "h").read_bytes() == b"ours"
    assert os.stat("/etc/passwd").st_nlink == before


def test_tx_20_hardlink_to_symlink_and_metadata(tree: Tree, canary: Path) -> None:
    links = (
        symlink("s", str(canary / "readable")),
        pax({"SCHILY.xattr.user.pwn": "x", "mtime": "7"}),
        hardlink("h", "s", mode=0o777, uid=7, mtime=7),
    )
    root = tree(archive(*links))
    assert os.readlink(root / "h") == str(canary / "readable")
    assert (root / "h").lstat().st_ino == (root / "s").lstat().st_ino
    tree(archive(*links, entry("h", b"x", mode=0o777)))
    assert (root / "h").read_bytes() == b"x" and not (root / "h").is_symlink()


def test_tx_21_hardlink_to_a_directory(tree: Tree) -> None:
    with pytest.raises(LayerError, match="link: Is a directory"):
        tree(archive(directory("d"), hardlink("h", "d")))


@pytest.mark.parametrize("target", [".", "/", "d/..", "d/."])
def test_tx_21_hardlink_to_dots(tree: Tree, target: str) -> None:
    with pytest.raises(LayerError, match="link: (Is a directory|No such file)"):
        tree(archive(directory("d"), hardlink("h", target)))


def test_tx_22_hardlink_then_overwrite_through_it(tree: Tree) -> None:
    root = tree(archive(entry("etc/passwd", b"p"), hardlink("h", "/etc/passwd"), entry("h", b"x")))
    assert (root / "etc/passwd").read_bytes() == b"p"
    assert (root / "h").read_bytes() == b"x"
    assert (root / "h").stat().st_nlink == 1


def test_tx_24_hardlink_before_its_target(tree: Tree) -> None:
    with pytest.raises(LayerError, match="layer entry 'h': link: No such file or directory"):
        tree(archive(hardlink("h", "late"), entry("late")))


def test_hardlink_to_itself_keeps_the_file(tree: Tree) -> None:
    assert (tree(archive(entry("h", b"x"), hardlink("h", "h"))) / "h").read_bytes() == b"x"


def test_hardlink_parent_through_a_symlink_stays_in_the_root(tree: Tree, canary: Path) -> None:
    with pytest.raises(LayerError, match="link: No such file"):
        tree(archive(symlink("l", str(canary)), hardlink("h", "l/readable")))


def test_tx_25_regular_over_symlink(tree: Tree, canary: Path) -> None:
    root = tree(archive(symlink("f", str(canary / "readable"))), archive(entry("f", b"x")))
    assert not (root / "f").is_symlink() and (root / "f").read_bytes() == b"x"


@pytest.mark.parametrize("type", ["3", "4", "6", "2", "1"])
def test_tx_25_other_types_over_symlink(tree: Tree, canary: Path, type: str) -> None:
    root = tree(
        archive(entry("a"), symlink("f", str(canary / "readable"))),
        archive(entry("a"), entry("f", type=type, link="a", major=1, minor=3, mode=0o666, mtime=9)),
    )
    assert (root / "f").lstat().st_ino != 0 and (not (root / "f").is_symlink() or os.readlink(root / "f") == "a")


def test_tx_28_deferred_directory_metadata(tree: Tree, canary: Path) -> None:
    root = tree(
        archive(
            pax({"SCHILY.xattr.user.pwn": "x"}),
            directory("d", 0o777, uid=7, mtime=7),
            entry("d/f"),
            symlink("d", str(canary)),
        )
    )
    assert (root / "d").is_symlink()


def test_tx_28_deferred_metadata_is_not_for_a_directory_of_the_same_name(tree: Tree) -> None:
    root = tree(archive(directory("d", 0o777, uid=7, mtime=7), entry("d", b"x"), symlink("d", "e"), entry("d/f")))
    status = (root / "e").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o755, 0)


@pytest.mark.parametrize("name", [".wh...", ".wh..", ".wh.", "etc/.wh...", "etc/.wh..", "etc/.wh."])
def test_tx_29_whiteouts_of_dots(tree: Tree, tmp_path: Path, name: str) -> None:
    with pytest.raises(LayerError, match="this name is not allowed"):
        tree(archive(entry("etc/passwd", b"p"), entry(name)))
    assert (tmp_path / "root/etc/passwd").read_bytes() == b"p"


def test_tx_30_whiteout_through_a_symlinked_parent(tree: Tree, canary: Path) -> None:
    root = tree(archive(symlink("l", str(canary / "d"))), archive(entry("l/.wh.victim")))
    assert stat.S_ISCHR((in_root(root, canary) / "d/victim").lstat().st_mode)


def test_tx_32_opaque_in_a_symlinked_directory(tree: Tree, canary: Path) -> None:
    root = tree(archive(symlink("l", str(canary / "d"))), archive(entry("l/.wh..wh..opq")))
    assert os.getxattr(in_root(root, canary) / "d", "trusted.overlay.opaque") == b"y"


def test_tx_38_overlay_character_device_is_refused(tree: Tree) -> None:
    with pytest.raises(LayerError, match="0:0"):
        tree(archive(entry("x", type="3", major=0, minor=0)))


def test_tx_38_a_whiteout_gets_no_second_name(tree: Tree) -> None:
    with pytest.raises(LayerError, match="link: No such file"):
        tree(archive(entry(".wh.a"), hardlink("b", "a")))


@pytest.mark.parametrize("name", ["opaque", "redirect", "metacopy", "origin", "whiteout"])
@pytest.mark.parametrize("kind", ["trusted", "user"])
def test_tx_39_overlay_xattrs_are_dropped(tree: Tree, kind: str, name: str) -> None:
    xattr = pax({f"SCHILY.xattr.{kind}.overlay.{name}": "y", "SCHILY.xattr.user.kept": "1"})
    root = tree(archive(xattr, entry("f"), xattr, directory("d"), xattr, directory(".")))
    for path in (root / "f", root / "d", root):
        assert os.listxattr(path) == ["user.kept"]


@pytest.mark.parametrize(
    "fields",
    [
        {"major": base256(-1, 8)},
        {"minor": base256(-1, 8)},
        {"major": base256(1 << 40, 8)},
        {"major": 4096},
        {"minor": 1 << 20},
        {"major": b"9"},
        {"minor": b"0x1"},
        {"magic": b"\0" * 8},
    ],
)
def test_tx_45_bad_device_numbers(tree: Tree, fields: dict[str, int | bytes]) -> None:
    with pytest.raises(LayerError, match="number"):
        tree(archive(entry("x", type="3", **{"major": 1, "minor": 3, **fields})))


@pytest.mark.parametrize("type", ["M", "N", "D", "A", "X", "8", "\x7f"])
def test_tx_47_odd_typeflags_are_refused(tree: Tree, type: str) -> None:
    with pytest.raises(LayerError, match="type of entry"):
        tree(archive(entry("x", b"data", type=type)))


def test_tx_47_typeflags_that_mean_a_regular_file(tree: Tree) -> None:
    root = tree(
        archive(
            entry("a", b"a", type="\0"),
            entry("b", b"b", type="7"),
            entry("label", b"dropped", type="V"),
            entry("d/", type="\0", mode=0o700),
        )
    )
    assert sorted(os.listdir(root)) == ["a", "b", "d"]
    assert (root / "a").read_bytes() + (root / "b").read_bytes() == b"ab"
    assert (root / "d").is_dir()


def test_tx_48_pax_size_counts_for_data_and_for_skipping(tree: Tree) -> None:
    hidden = header("pwn", size=0) + bytes(512)
    root = tree(archive(pax({"size": "1024"}), header("f", size=0) + hidden, entry("after")))
    assert sorted(os.listdir(root)) == ["after", "f"]
    assert (root / "f").read_bytes() == hidden


@pytest.mark.parametrize("type", ["1", "2", "5", "6"])
def test_tx_49_sizes_of_entries_without_data_do_not_count(tree: Tree, type: str) -> None:
    root = tree(archive(entry("t"), header("x", type=type, link="t", size=512), entry("after")))
    assert sorted(os.listdir(root)) == ["after", "t", "x"]


@pytest.mark.parametrize("size", [base256((1 << 63) - 1, 12), base256(8 << 60, 12), octal((1 << 20) + 1, 12)])
@pytest.mark.parametrize("type", ["L", "K", "x", "g"])
def test_tx_51_giant_extension_header(tree: Tree, type: str, size: bytes) -> None:
    with pytest.raises(LayerError, match="extension headers|number"):
        tree(archive(header("x", type=type, size=size), bytes(1 << 16)))


def test_tx_52_too_many_pax_records(tree: Tree) -> None:
    with pytest.raises(LayerError, match="pax record"):
        tree(archive(pax(record("comment", "x") * 5000), entry("x")))


@pytest.mark.parametrize("type", ["x", "g"])
def test_tx_52_too_many_extension_headers_in_a_row(tree: Tree, type: str) -> None:
    with pytest.raises(LayerError, match="extension headers"):
        tree(archive(pax({"comment": "x"}, type=type) * 17, entry("x")))
    assert (tree(archive(pax({"comment": "x"}, type=type) * 16, entry("x"))) / "x").exists()


@pytest.mark.parametrize(
    "fields",
    [{"size": base256(-1, 12)}, {"size": base256(1 << 63, 12)}, {"size": b"-1"}, {"mode": b"rwx"}, {"size": b"18"}],
)
def test_tx_54_bad_numbers_are_errors(tree: Tree, fields: dict[str, bytes]) -> None:
    with pytest.raises(LayerError, match="number"):
        tree(archive(entry("x", **fields)))


@pytest.mark.parametrize("key", ["size", "uid", "gid", "mtime", "atime"])
@pytest.mark.parametrize("value", ["-", "x", "1x", "0x1", " 1", "1 ", "--1", "NaN", "1.-5", "99999999999999999999x"])
def test_tx_54_bad_pax_numbers_are_errors(tree: Tree, key: str, value: str) -> None:
    with pytest.raises(LayerError, match="number"):
        tree(archive(pax({key: value}), entry("x")))


@pytest.mark.parametrize("value", ["-1", "9223372036854775808", "99999999999999999999"])
def test_tx_54_pax_size_out_of_range(tree: Tree, value: str) -> None:
    with pytest.raises(LayerError, match="number"):
        tree(archive(pax({"size": value}), entry("x")))


@pytest.mark.parametrize(
    "body",
    [
        b"0 a=b\n",
        b"3 a\n",
        b"5 a=b",
        b"7 a=b\n",
        b"6 a=b\nx",
        b"6 =bb\n",
        b"a=b\n",
        b"-6 a=b\n",
        b"99999999999999999999 a=b\n",
        b"6\ta=b\n",
        b"\0" * 512,
    ],
)
def test_tx_54_malformed_pax_records(tree: Tree, body: bytes) -> None:
    with pytest.raises(LayerError, match="pax record"):
        tree(archive(pax(body), entry("x")))


@pytest.mark.parametrize("key", ["path", "linkpath", "size", "SCHILY.xattr.user.x", "GNU.sparse.map"])
def test_global_records_about_one_file_are_refused(tree: Tree, key: str) -> None:
    with pytest.raises(LayerError, match="pax record"):
        tree(archive(pax({key: "1"}, type="g"), entry("x")))


def test_tx_56_wrong_checksum(tree: Tree) -> None:
    with pytest.raises(LayerError, match="checksum"):
        tree(archive(entry("x", checksum=b"001234\0 ")))


def test_tx_56_signed_checksum(tree: Tree) -> None:
    assert (tree(archive(entry(b"\xfc\xff", b"x", signed=True))) / os.fsdecode(b"\xfc\xff")).read_bytes() == b"x"


def test_tx_57_truncation_anywhere_is_an_error(tmp_path: Path, tree: Tree) -> None:
    whole = archive(
        directory("d"),
        entry("d/a", b"x" * 700),
        long_name("n" * 150),
        entry("n"),
        pax({"mtime": "5"}),
        entry("b", b"y"),
    )
    complete = len(whole) - 1024
    between_entries = {0, 512, 512 + 1536, 512 + 1536 + 1536, complete}
    accepted = set()
    for cut in sorted({at + by for at in range(0, len(whole), 512) for by in (-1, 0, 1)} & set(range(len(whole)))):
        try:
            tree(whole[:cut])
            accepted.add(cut)
        except LayerError as error:
            assert "ends in the middle" in str(error)
    # Missing end blocks are no harm: whether the layer is complete is for its digest to say.
    assert accepted == between_entries | {complete + 512}


@pytest.mark.parametrize("where", ["header", "pax"])
@pytest.mark.parametrize("field", ["uid", "gid"])
@pytest.mark.parametrize("value", [(1 << 32) - 1, 1 << 32, 10**12, -1])
def test_tx_59_ids_out_of_range(tree: Tree, where: str, field: str, value: int) -> None:
    bad = pax({field: str(value)}) + entry("x") if where == "pax" else entry("x", **{field: base256(value, 8)})
    with pytest.raises(LayerError, match="number"):
        tree(archive(bad))


@pytest.mark.parametrize("value", [1 << 31, (1 << 32) - 2])
def test_tx_59_large_ids(tree: Tree, value: int) -> None:
    root = tree(archive(entry("a", uid=base256(value, 8)), pax({"gid": str(value)}), entry("b")))
    assert (root / "a").stat().st_uid == value and (root / "b").stat().st_gid == value


def test_tx_60_names_of_owners_do_not_count(tree: Tree) -> None:
    root = tree(archive(pax({"uname": "daemon", "gname": "daemon"}), entry("x", uname=b"daemon", gname=b"daemon", uid=9)))
    assert ((root / "x").stat().st_uid, (root / "x").stat().st_gid) == (9, 0)


def test_tx_62_path_longer_than_path_max(tree: Tree, canary: Path) -> None:
    """CVE-2025-4517: links whose resolved path is longer than PATH_MAX, a step up behind them, a write through it."""
    component, letters = "d" * 240, "abcdefghijklmnop"
    parts, way = [], ""
    for letter in letters:
        parts += [pax({"path": way + component}), directory("x")]
        parts += [pax({"path": way + letter, "linkpath": component}), symlink("x", "x")]
        way += component + "/"
    up = "/".join(letters) + "/" + "l" * 254
    parts += [pax({"path": up}), symlink("x", "../" * len(letters))]
    parts += [pax({"linkpath": f"{up}/../../../..{canary}"}), symlink("escape", "x")]
    root = tree(archive(*parts, entry("escape/pwn", b"x")))
    assert (in_root(root, canary) / "pwn").read_bytes() == b"x"
    with pytest.raises(LayerError, match="link: No such file"):
        tree(archive(*parts, hardlink("flag", "escape/readable"), entry("flag", b"pwn")))


@pytest.mark.parametrize("name", ["n" * 4096, "d/" * 2048])
def test_names_longer_than_the_kernel_allows(tree: Tree, name: str) -> None:
    for before in (long_name(name), pax({"path": name})):
        with pytest.raises(LayerError, match="too long"):
            tree(archive(before, entry("x")))
    for before in (long_link(name), pax({"linkpath": name})):
        with pytest.raises(LayerError, match="too long"):
            tree(archive(before, symlink("x", "y")))


def test_a_component_longer_than_the_kernel_allows(tree: Tree) -> None:
    with pytest.raises(LayerError, match="File name too long"):
        tree(archive(long_name("n" * 256), entry("x")))


@pytest.mark.parametrize("key", ["path", "linkpath", "GNU.sparse.name"])
def test_nul_in_a_pax_name(tree: Tree, key: str) -> None:
    with pytest.raises(LayerError, match="NUL"):
        tree(archive(pax({key: b"a\0b"}), entry("x")))


def test_links_without_a_target(tree: Tree) -> None:
    for type in "12":
        with pytest.raises(LayerError, match="link target"):
            tree(archive(entry("x", type=type, link="")))


@pytest.mark.parametrize("before", [long_name("x"), long_link("x"), pax({"path": "x"}), pax({"SCHILY.xattr.user.a": "b"})])
def test_extension_header_without_an_entry(tree: Tree, before: bytes) -> None:
    with pytest.raises(LayerError, match="extension headers"):
        tree(archive(before))
    with pytest.raises(LayerError, match="ends in the middle"):
        tree(before)


def test_a_lone_zero_block_is_no_end(tree: Tree) -> None:
    with pytest.raises(LayerError, match="checksum"):
        tree(archive(entry("a"), bytes(512), entry("b")))


def test_bytes_after_the_end_are_ignored(tree: Tree) -> None:
    assert os.listdir(tree(archive(entry("a")) + b"junk" * 1000 + entry("b"))) == ["a"]


def test_tx_77_limits(tree: Tree) -> None:
    many = archive(*(entry(f"f{number}", b"12345") for number in range(10)))
    tree(many, limits=Limits(entries=10, bytes=50))
    for limits in (Limits(entries=9), Limits(bytes=49)):
        with pytest.raises(LayerError, match="layer entry 'f9': more entries or bytes"):
            tree(many, limits=limits)


@pytest.mark.parametrize("depth", [100, 500])
def test_a_tree_that_is_replaced_may_not_be_too_deep(tree: Tree, depth: int) -> None:
    deep = archive(long_name("d/" * depth + "f"), entry("x"), entry("d", b"x"))
    if depth < 128:
        assert (tree(deep) / "d").read_bytes() == b"x"
        return
    with pytest.raises(LayerError, match="replace: Too many levels"):
        tree(deep)


def test_tx_78_names_of_our_own_files_mean_nothing(tree: Tree) -> None:
    names = [".pyrt", "incomplete", "link", "lower", "layers", "index.json", "oci-layout"]
    assert sorted(os.listdir(tree(archive(*map(entry, names))))) == sorted(names)


def test_tx_79_names_are_kept_distinct(tree: Tree) -> None:
    names = ["a", "A", "é".encode(), "e\u0301".encode(), "a.", "a ", b"\xff", b"n\nl"]
    names = [name.encode() if isinstance(name, str) else name for name in names]
    root = tree(archive(*map(entry, names)))
    assert sorted(os.listdir(os.fsencode(root))) == sorted(names)


def test_a_layer_cannot_make_us_wait(tree: Tree) -> None:
    """FIFOs and devices are made and never opened."""
    start = time.monotonic()
    root = tree(archive(entry("p", type="6"), entry("p", b"x"), entry("q", type="6"), entry("q", type="6", mtime=5)))
    assert (root / "p").read_bytes() == b"x" and time.monotonic() - start < 5


RACER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
root = os.open(sys.argv[1], os.O_RDONLY)
os.symlink(sys.argv[2], "swap", dir_fd=root)
print("ready", flush=True)
while True:
    for number in range(200):
        libc.renameat2(root, f"d{number}".encode(), root, b"swap", 2)  # RENAME_EXCHANGE, there and back
        libc.renameat2(root, f"d{number}".encode(), root, b"swap", 2)
"""


def test_tx_70_somebody_swaps_directories_meanwhile(tmp_path: Path, by_walk: bool, canary: Path) -> None:
    """Nobody else can reach the staging directory; and if somebody could, this would still be contained."""
    (tmp_path / "root").mkdir()
    data = archive(*(directory(f"d{number % 200}", 0o711) + entry(f"d{number % 200}/f{number}") for number in range(2000)))
    with subprocess.Popen([sys.executable, "-c", RACER, tmp_path / "root", str(canary / "d")], stdout=subprocess.PIPE) as racer:
        assert racer.stdout is not None and racer.stdout.readline() == b"ready\n"
        try:
            for _ in range(3):
                with contextlib.suppress(LayerError):
                    unpack(tmp_path / "root", data, by_walk=by_walk)
        finally:
            racer.kill()


@pytest.mark.parametrize("name", ["a/" * 40 + "f", "l/f"], ids=["named", "through a dangling link"])
def test_tx_77_directories_that_no_entry_names_count(tree: Tree, name: str) -> None:
    """A name of four kilobytes makes two thousand directories: a megabyte of archive, half a million of them."""
    made = archive(symlink("l", "b/" * 40 + "c"), entry(name))
    assert (tree(made, limits=Limits(entries=60)) / name).exists()
    with pytest.raises(LayerError, match="more entries or bytes"):
        other = name.replace("a/", "x/").replace("l/", "m/")
        tree(archive(symlink("m", "d/" * 40 + "e"), entry(other)), limits=Limits(entries=20))


def test_tx_77_xattrs_count(tree: Tree) -> None:
    """A system call for twenty bytes. Those that are left out anyway do not count: whole systems are labelled."""
    labelled = pax([(f"SCHILY.xattr.security.label{number}", "x") for number in range(20)]) + entry("labelled")
    twenty = pax([(f"SCHILY.xattr.user.a{number}", "x") for number in range(20)]) + entry("x")
    assert (tree(archive(labelled, twenty), limits=Limits(entries=22)) / "x").exists()
    with pytest.raises(LayerError, match="layer entry 'x': more entries or bytes"):
        tree(archive(twenty), limits=Limits(entries=20))


@pytest.mark.parametrize("write", [sparse_old_gnu, sparse_pax_0_0, sparse_pax_0_1, sparse_pax_1_0])
def test_tx_53_regions_count(tree: Tree, write: Callable[..., bytes]) -> None:
    """Each byte at the beginning of a block takes that block on the disk: a hundred and sixty times its archive."""
    regions = [(number * 4096, b"x") for number in range(30)]
    assert (tree(archive(write("f", regions, 1 << 20)), limits=Limits(entries=31)) / "f").stat().st_size == 1 << 20
    with pytest.raises(LayerError, match="more entries or bytes"):
        tree(archive(write("f", regions, 1 << 20)), limits=Limits(entries=30))


def test_tx_52_extension_headers_of_one_entry_share_a_megabyte(tree: Tree) -> None:
    """Sixteen of a megabyte each were thirty-two megabytes of memory, three times over."""
    half = pax(record("comment", "x" * (600 << 10)))
    assert (tree(archive(half, entry("x"), half, entry("y"))) / "y").exists()
    with pytest.raises(LayerError, match="extension headers"):
        tree(archive(half, half, entry("x")))


def test_tx_09_the_detour_by_links_is_bounded(tree: Tree) -> None:
    """Forty links of a path's length each make a lookup cost as much as reading a megabyte; a cache of 128 directories
    does not help against 200 names. Their sum over the layer is bounded, whatever the kernel walks."""
    way = "d/../" * 800
    links = [long_link(way + f"l{n + 1}") + symlink(f"l{n}", "x") for n in range(38)]
    ends = [symlink(f"p{n}", "l0") for n in range(200)]
    files = [entry(f"p{n % 200}/f{n}") for n in range(10_000)]
    started = time.monotonic()
    with pytest.raises(LayerError, match="more entries or bytes"):
        tree(archive(directory("d"), directory("l38"), *links, *ends, *files))
    assert time.monotonic() - started < 30


def test_bn_01_a_merged_usr_is_no_detour(tree: Tree) -> None:
    """The twin: thousands of directories, each of them behind the links of a merged /usr."""
    names = [f"lib/x/d{number}" for number in range(3_000)]
    made = archive(symlink("lib", "usr/lib"), *map(directory, names), *(entry(f"{name}/f") for name in names))
    root = tree(made)
    assert len(os.listdir(root / "usr/lib/x")) == 3_000
    assert all((root / name / "f").exists() for name in names)


def test_bn_07_one_directory_named_without_end(tree: Tree) -> None:
    """Its attributes wait for the end once, however often they are given."""
    root = tree(archive(*(directory("d", mode=0o700 + number % 64) for number in range(300)), directory("d", 0o711)))
    assert (root / "d").stat().st_mode & 0o777 == 0o711
