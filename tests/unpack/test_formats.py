"""The dialects of tar: where names, numbers, times and holes stand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrt.errors import LayerError
from tests.support.tarwriter import (
    Regions,
    archive,
    base256,
    directory,
    entry,
    hardlink,
    header,
    long_link,
    long_name,
    octal,
    padded,
    pax,
    sparse_old_gnu,
    sparse_pax_0_0,
    sparse_pax_0_1,
    sparse_pax_1_0,
    symlink,
)

Tree = Callable[..., Path]


def test_v7(tree: Tree) -> None:
    blank = b"\0" * 8
    root = tree(archive(entry("d/", type="\0", magic=blank), entry("d/f", b"x", type="\0", magic=blank, mode=0o640)))
    assert (root / "d").is_dir() and (root / "d/f").read_bytes() == b"x"
    assert (root / "d/f").stat().st_mode & 0o7777 == 0o640


def test_v7_has_no_prefix(tree: Tree) -> None:
    assert os.listdir(tree(archive(entry("f", magic=b"\0" * 8, prefix=b"p")))) == ["f"]


def test_ustar_prefix(tree: Tree) -> None:
    prefix, name = b"p" * 100 + b"/" + b"q" * 54, b"n" * 100
    assert (tree(archive(entry(name, b"x", prefix=prefix))) / os.fsdecode(prefix + b"/" + name)).read_bytes() == b"x"


def test_old_gnu_has_times_where_ustar_has_its_prefix(tree: Tree) -> None:
    assert os.listdir(tree(archive(entry("f", magic=b"ustar  \0", prefix=octal(5, 12))))) == ["f"]


def test_star_has_a_shorter_prefix(tree: Tree) -> None:
    times = [(476, octal(7, 12) + octal(8, 12)), (508, b"tar\0")]
    root = tree(archive(entry("f", b"x", prefix=b"p" * 131, at=times)))
    assert (root / ("p" * 131) / "f").read_bytes() == b"x"


def test_a_name_of_100_bytes_has_no_nul_behind_it(tree: Tree) -> None:
    root = tree(archive(entry("n" * 100), symlink("l", "t" * 100)))
    assert sorted(os.listdir(root)) == ["l", "n" * 100] and os.readlink(root / "l") == "t" * 100


def test_gnu_long_names(tree: Tree) -> None:
    name, target = "d/" + "n" * 200, "t" * 300
    root = tree(
        archive(
            long_name(name), entry("cut", b"x"),
            long_name("l"), long_link(target), symlink("cut", "cut"),
            long_link(name), hardlink("h", "cut"),
        )
    )  # fmt: skip
    assert (root / name).read_bytes() == (root / "h").read_bytes() == b"x"
    assert os.readlink(root / "l") == target
    assert sorted(os.listdir(root)) == ["d", "h", "l"]


def test_pax_names(tree: Tree) -> None:
    name, target = "d/" + "é" * 100 + "\n", "t" * 300
    root = tree(
        archive(
            pax({"path": name}), entry("cut", b"x"),
            pax({"path": "l", "linkpath": target}), symlink("cut", "cut"),
            pax({"linkpath": name}), hardlink("h", "cut"),
            entry("after"),
        )
    )  # fmt: skip
    assert (root / name).read_bytes() == (root / "h").read_bytes() == b"x"
    assert os.readlink(root / "l") == target
    assert sorted(os.listdir(root)) == ["after", "d", "h", "l"]


def test_an_empty_pax_value_gives_the_header_its_say_again(tree: Tree) -> None:
    root = tree(archive(pax({"uid": "7", "gid": "8"}, type="g"), pax({"uid": ""}), entry("a", uid=5), entry("b", uid=5)))
    assert ((root / "a").stat().st_uid, (root / "a").stat().st_gid) == (5, 8)
    assert (root / "b").stat().st_uid == 7


def test_pax_records_of_several_headers_add_up(tree: Tree) -> None:
    root = tree(archive(pax({"path": "a", "uid": "1"}), pax({"uid": "2", "comment": "x"}), entry("x")))
    assert os.listdir(root) == ["a"] and (root / "a").stat().st_uid == 2


def test_global_records_hold_until_they_are_replaced(tree: Tree) -> None:
    root = tree(
        archive(
            pax({"mtime": "100.5", "comment": "from git archive"}, type="g"),
            entry("a", mtime=1),
            pax({"mtime": "200"}),
            entry("b", mtime=1),
            pax({"mtime": "300"}, type="g"),
            entry("c", mtime=1),
        )
    )
    assert [(root / name).stat().st_mtime for name in "abc"] == [100.5, 200, 300]


def test_tx_55_base256_numbers(tree: Tree) -> None:
    big = 3_000_000_000
    root = tree(
        archive(entry("f", b"x" * 3, uid=base256(big, 8), gid=base256(big, 8), size=base256(3, 12), mtime=base256(-9, 12)))
    )
    status = (root / "f").stat()
    assert (status.st_uid, status.st_gid, status.st_size, status.st_mtime) == (big, big, 3, -9)


@pytest.mark.parametrize("raw", [b"644", b"   644", b"000644 ", b"0000644", b"644 \0jnk", b"100644\0"])
def test_tx_55_octal_as_writers_have_it(tree: Tree, raw: bytes) -> None:
    assert (tree(archive(entry("f", mode=raw))) / "f").stat().st_mode & 0o7777 == 0o644


def test_tx_55_empty_numbers_are_zero(tree: Tree) -> None:
    status = (tree(archive(entry("f", uid=b"", gid=b" " * 8, mtime=b"", size=b""))) / "f").stat()
    assert (status.st_uid, status.st_gid, status.st_mtime, status.st_size) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0),
        ("1.5", 1_500_000_000),
        ("1.", 1_000_000_000),
        ("1.123456789", 1_123_456_789),
        ("1.1234567899999", 1_123_456_789),
        ("1." + "9" * 100_000, 1_999_999_999),
        ("-1", -1_000_000_000),
        ("-1.5", -1_500_000_000),
        ("-0.25", -250_000_000),
        ("0.000000001", 1),
        ("17179869183", ((1 << 34) - 1) * 10**9),
        ("1" + "0" * 18, ((1 << 34) - 1) * 10**9),
        ("1" + "0" * 4000, ((1 << 34) - 1) * 10**9),
        ("-1" + "0" * 40, -(1 << 31) * 10**9),
    ],
    ids=lambda value: str(value)[:24],
)
def test_tx_64_pax_times(tree: Tree, value: str, expected: int) -> None:
    root = tree(archive(pax({"mtime": value}), entry("f"), pax({"mtime": value}), directory("d")))
    on_this_disk = root / "as-the-kernel-has-it"
    on_this_disk.touch()
    os.utime(on_this_disk, ns=(expected, expected))
    assert (root / "f").stat().st_mtime_ns == on_this_disk.stat().st_mtime_ns
    assert (root / "d").stat().st_mtime_ns == on_this_disk.stat().st_mtime_ns


@pytest.mark.parametrize("raw", [base256(10**18, 12), base256(-(1 << 63), 12), base256((1 << 63) - 1, 12)])
def test_tx_64_header_times_are_clamped(tree: Tree, raw: bytes) -> None:
    assert (tree(archive(entry("f", mtime=raw))) / "f").exists()


def test_access_time(tree: Tree) -> None:
    root = tree(archive(pax({"atime": "5.25", "mtime": "6"}), entry("f"), entry("g", mtime=8)))
    assert ((root / "f").stat().st_atime, (root / "f").stat().st_mtime) == (5.25, 6)
    assert (root / "g").stat().st_atime == 8


SPARSE = [sparse_old_gnu, sparse_pax_0_0, sparse_pax_0_1, sparse_pax_1_0]
FEW: Regions = [(0, b"a" * 3), (4096, b"b" * 600), (1 << 20, b"c")]
MANY: Regions = [(number * 1000, bytes([number % 251 + 1]) * 10) for number in range(100)]


def dense(regions: Regions, real_size: int) -> bytes:
    content = bytearray(real_size)
    for offset, data in regions:
        content[offset : offset + len(data)] = data
    return bytes(content)


@pytest.mark.parametrize("write", SPARSE)
@pytest.mark.parametrize(
    ("regions", "real_size"),
    [
        (FEW, (1 << 20) + 1),
        (FEW, 2 << 20),
        (MANY, 100_000),
        ([], 5000),
        ([(5000, b"")], 5000),
        ([], 0),
        ([(0, b""), (7, b"x")], 8),
    ],
    ids=["few", "hole-at-end", "many", "only-a-hole", "empty-region", "nothing", "empty-first"],
)
def test_sparse_files(tree: Tree, write: Callable[..., bytes], regions: Regions, real_size: int) -> None:
    root = tree(archive(write("s", regions, real_size), entry("after", b"x")))
    assert sorted(os.listdir(root)) == ["after", "s"]
    assert (root / "s").read_bytes() == dense(regions, real_size)


@pytest.mark.parametrize("write", SPARSE)
def test_sparse_files_have_holes(tree: Tree, write: Callable[..., bytes]) -> None:
    status = (tree(archive(write("s", FEW, 100 << 20))) / "s").stat()
    assert status.st_size == 100 << 20 and status.st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("write", SPARSE)
@pytest.mark.parametrize("piece", [1, 7, 511, 512, 513])
def test_sparse_files_in_pieces(tree: Tree, write: Callable[..., bytes], piece: int, tmp_path: Path) -> None:
    from tests.support.extraction import unpack

    whole = archive(write("s", FEW, 2 << 20))
    unpack(tmp_path / "pieces", (whole[at : at + piece] for at in range(0, len(whole), piece)))
    assert (tmp_path / "pieces/s").read_bytes() == dense(FEW, 2 << 20)


BAD_MAPS: dict[str, tuple[Regions, int]] = {
    "overlap": ([(0, b"aaaa"), (2, b"b")], 10),
    "backwards": ([(5, b"a"), (0, b"b")], 10),
    "past-the-end": ([(0, b"a"), (9, b"bb")], 10),
    "starts-past-the-end": ([(11, b"")], 10),
}


@pytest.mark.parametrize("write", SPARSE)
@pytest.mark.parametrize("bad", BAD_MAPS)
def test_tx_53_bad_maps(tree: Tree, write: Callable[..., bytes], bad: str) -> None:
    with pytest.raises(LayerError, match="map of a sparse file"):
        tree(archive(write("s", *BAD_MAPS[bad])))


def test_tx_53_too_many_regions(tree: Tree) -> None:
    text = padded(b"70000\n" + b"0\n0\n" * 70000)
    version = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
    list_of_many = pax({"GNU.sparse.size": "9", "GNU.sparse.map": ",".join(["0"] * 140_000)})
    blocks = (octal(0, 12) * 42 + b"\1").ljust(512, b"\0")
    old = header("s", type="S", magic=b"ustar  \0", at=[(482, b"\1"), (483, octal(9, 12))]) + blocks * 3200
    for bomb in (pax(version) + entry("s", text), list_of_many + entry("s"), old):
        with pytest.raises(LayerError, match="map of a sparse file"):
            tree(archive(bomb))


@pytest.mark.parametrize(
    "records",
    [
        {"GNU.sparse.major": "2", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"},
        {"GNU.sparse.major": "0", "GNU.sparse.minor": "2", "GNU.sparse.size": "9"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
        {"GNU.sparse.map": "0,1"},
        {"GNU.sparse.size": "9", "GNU.sparse.map": "0,1,2"},
        {"GNU.sparse.size": "9", "GNU.sparse.map": "0,1,"},
        {"GNU.sparse.size": "9", "GNU.sparse.map": "0,-1"},
        {"GNU.sparse.size": "9", "GNU.sparse.numblocks": "2", "GNU.sparse.map": "0,1"},
        {"GNU.sparse.size": "9", "GNU.sparse.offset": "0"},
        {"GNU.sparse.size": "9", "GNU.sparse.numbytes": "1"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9", "GNU.sparse.map": "0,1"},
    ],
)
def test_tx_53_bad_sparse_records(tree: Tree, records: dict[str, str]) -> None:
    with pytest.raises(LayerError, match="map of a sparse file"):
        tree(archive(pax(records), entry("s", b"x")))


@pytest.mark.parametrize("text", [b"x\n", b"1\n0\n", b"1\n\n1\n", b"1\n-1\n1\n", b"99999999999999999999\n", b"1\n0\n9\n"])
def test_tx_53_bad_sparse_text(tree: Tree, text: bytes) -> None:
    version = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
    with pytest.raises(LayerError, match="map of a sparse file"):
        tree(archive(pax(version), entry("s", padded(text) + b"x")))


def test_tx_53_apparent_size_counts(tree: Tree) -> None:
    with pytest.raises(LayerError, match="more entries or bytes"):
        tree(archive(sparse_pax_1_0("s", [], 1 << 60)))


def test_sparse_records_on_what_is_no_file(tree: Tree) -> None:
    with pytest.raises(LayerError, match="map of a sparse file"):
        tree(archive(pax({"GNU.sparse.size": "9"}), directory("d")))


def test_the_result_does_not_depend_on_the_pieces(tmp_path: Path, root: None) -> None:
    from tests.support.extraction import unpack
    from tests.support.trees import manifest

    whole = archive(
        directory("d", mtime=5), entry("d/f", b"x" * 3000), long_name("n" * 200), entry("x", b"y"),
        pax({"mtime": "1.5"}), entry("z", b"z" * 512), directory(".", mtime=7),
    )  # fmt: skip
    trees = []
    for piece in (1, 3, 511, 512, 513, 1024, len(whole)):
        unpack(tmp_path / str(piece), (whole[at : at + piece] for at in range(0, len(whole), piece)))
        trees.append(manifest(tmp_path / str(piece)))
    assert all(tree == trees[0] for tree in trees)


def test_an_empty_layer(tree: Tree) -> None:
    assert os.listdir(tree(archive(), b"")) == []
