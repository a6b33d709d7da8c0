"""The same archives unpacked by others, and archives that others have made: the trees must be the same."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrt.values import replace
from tests.support import images
from tests.support.extraction import unpack
from tests.support.image_tools import umoci_unpack
from tests.support.parts import need
from tests.support.tarwriter import (
    archive,
    base256,
    directory,
    entry,
    hardlink,
    header,
    long_link,
    long_name,
    pax,
    sparse_old_gnu,
    sparse_pax_1_0,
    symlink,
)
from tests.support.trees import Attributes, manifest

pytestmark = pytest.mark.usefixtures("root")

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")

# Every type of entry, and every place where a name, a number or an attribute may stand.
EVERYTHING = archive(
    directory("./", 0o755, mtime=1000),
    directory("./etc/", 0o750, uid=1, gid=2, mtime=2000),
    entry("./etc/passwd", b"root:x:0:0::/:/bin/sh\n", mode=0o644, mtime=3000),
    entry("etc/shadow", b"", mode=0o000, uid=0, gid=42, mtime=3001),
    entry("bin/su", b"#!" * 4000, mode=0o4755, uid=0, gid=0, mtime=3002),
    entry("bin/wall", b"w", mode=0o2755, gid=5, mtime=3003),
    directory("tmp", 0o1777, mtime=3004),
    symlink("etc/mtab", "/proc/mounts", uid=3, gid=4, mtime=3005),
    symlink("var/run", "/run", mtime=3006),
    directory("run", mtime=3007),
    entry("var/run/pid", b"1\n", mtime=3008),
    hardlink("bin/su2", "bin/su"),
    hardlink("/bin/su3", "./bin/su2"),
    hardlink("link-to-link", "etc/mtab"),
    entry("dev/null", type="3", major=1, minor=3, mode=0o666, mtime=3009),
    entry("dev/loop0", type="4", major=7, minor=0, mode=0o660, gid=6, mtime=3010),
    entry("fifo", type="6", mode=0o600, uid=7, mtime=3011),
    pax({"mtime": "4000.123456789", "atime": "4001.5", "SCHILY.xattr.user.note": b"\0\xffv", "uid": "3000000000"}),
    entry("pax", b"p" * 1025),
    pax({"SCHILY.xattr.security.capability": CAPABILITY}),
    entry("ping", b"ping", mode=0o755, mtime=4002),
    pax({"SCHILY.xattr.user.d": "1"}),
    directory("with-xattr", 0o711, mtime=4003),
    pax({"path": "long/" + "é" * 100 + "/f", "size": "3"}),
    header("cut", size=0, mtime=4004),
    b"abc".ljust(512, b"\0"),
    long_name("gnu/" + "n" * 200),
    entry("cut", b"gnu", mtime=4005),
    long_link("t" * 300),
    symlink("long-target", "cut", mtime=4006),
    entry("in-prefix", b"u", prefix=b"prefix/" + b"p" * 100, mtime=4007),
    entry("base256", b"b", uid=base256(2_500_000, 8), gid=base256(2_500_001, 8), mtime=base256(5_000_000_000, 12)),
    entry(b"not-utf-8-\xff", b"n", mtime=4008),
    entry("new\nline", b"l", mtime=4009),
    sparse_pax_1_0("sparse-pax", [(0, b"s" * 512), (70_000, b"t" * 512), (100_000, b"")], 100_000),
    entry("replaced", b"old"),
    directory("replaced", 0o700, mtime=4010),
    directory("kept", 0o700, mtime=4011),
    directory("kept", 0o751, mtime=4012),
)

# Directories that no entry names have the time of their making.
IMPLIED = {b"bin", b"var", b"dev", b"long", b"gnu", b"prefix", b"prefix/" + b"p" * 100, ("long/" + "é" * 100).encode()}


def without_chance(found: dict[bytes, Attributes], *others: bytes) -> dict[bytes, Attributes]:
    """The times of implied directories, and of those where the peer is wrong, are left out. So is overlay's mark on the
    directory in the place of a file: the peers remove what it hides."""
    chance = {*IMPLIED, *others}
    plain = {path: replace(item, mtime=0) if path in chance else item for path, item in found.items()}
    return {**plain, b"replaced": replace(plain[b"replaced"], xattrs=())}


def test_every_type_of_entry_as_umoci_has_it(tmp_path: Path) -> None:
    need("umoci")
    images.write_layout(tmp_path / "layout", {"it": images.image([images.layer(EVERYTHING, "")])})
    theirs = umoci_unpack(tmp_path / "layout", "it", tmp_path / "bundle")
    unpack(tmp_path / "ours", EVERYTHING)
    # umoci loses the time of the root to the entries after it.
    assert without_chance(manifest(tmp_path / "ours"), b"") == without_chance(manifest(theirs), b"")


def test_every_type_of_entry_as_gnu_tar_has_it(tmp_path: Path) -> None:
    need("tar")
    (tmp_path / "theirs").mkdir()
    old_sparse = sparse_old_gnu("sparse-gnu", [(n * 9000, b"s" * 512) for n in range(10)] + [(100_000, b"")], 100_000)
    command = ["tar", "-C", tmp_path / "theirs", "-xpf", "-", "--numeric-owner", "--xattrs", "--xattrs-include=*"]
    # GNU tar does not resolve in its root.
    plain = old_sparse + EVERYTHING.replace(entry("var/run/pid", b"1\n", mtime=3008), b"")
    done = subprocess.run(command, input=plain, capture_output=True)
    assert done.returncode == 0, done.stderr
    unpack(tmp_path / "ours", plain)
    # It makes absolute links at the very end, and so loses the time of the directory that one is in.
    assert without_chance(manifest(tmp_path / "ours"), b"etc") == without_chance(manifest(tmp_path / "theirs"), b"etc")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A tree with something of everything, for the archivers of others."""
    root = tmp_path / "sources"
    unpack(root, EVERYTHING)
    os.removexattr(root / "replaced", "trusted.overlay.opaque")  # overlay's marks are no attributes that a layer can have
    (root / ("d" * 120) / ("e" * 120)).mkdir(parents=True)
    (root / ("d" * 120) / ("e" * 120) / ("f" * 120)).write_bytes(os.urandom(100_000))
    os.link(root / ("d" * 120) / ("e" * 120) / ("f" * 120), root / "hard")
    with open(root / "holes", "wb") as file:
        for offset in range(0, 40 << 20, 4 << 20):
            file.seek(offset)
            file.write(b"island" * 700)
        file.truncate(50 << 20)
    return root


def pieces(command: list[str | Path]) -> Iterator[bytes]:
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while piece := process.stdout.read(64 << 10):
            yield piece
    assert process.returncode == 0


def seconds(found: dict[bytes, Attributes], whole: bool) -> dict[bytes, tuple[object, ...]]:
    """``whole`` where a format has no fractions of a second, and none of the xattrs."""
    return {
        path: (
            item.kind, item.mode, item.uid, item.gid, item.size, item.device, item.content, item.links,
            item.mtime // 10**9 if whole else item.mtime, () if whole else item.xattrs,
        )
        for path, item in found.items()
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "whole"),
    [
        (["--format=gnu"], True),
        (["--format=gnu", "--sparse"], True),
        (["--format=pax", "--xattrs", "--xattrs-include=*"], False),
        (["--format=pax", "--xattrs", "--xattrs-include=*", "--sparse", "--sparse-version=0.0"], False),
        (["--format=pax", "--xattrs", "--xattrs-include=*", "--sparse", "--sparse-version=0.1"], False),
        (["--format=pax", "--xattrs", "--xattrs-include=*", "--sparse", "--sparse-version=1.0"], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_archives_of_gnu_tar(tmp_path: Path, sources: Path, options: list[str], whole: bool) -> None:
    need("tar")
    unpack(tmp_path / "ours", pieces(["tar", "-C", sources, "--numeric-owner", "-cf", "-", *options, "."]))
    assert seconds(manifest(tmp_path / "ours"), whole) == seconds(manifest(sources), whole)


def test_archives_of_gnu_tar_in_the_old_formats(tmp_path: Path) -> None:
    """v7 and ustar have no place for large ids and long names."""
    need("tar")
    small = archive(
        directory(".", mtime=5), entry("d/f", b"x" * 600, uid=5, mtime=6), symlink("l", "d/f"), hardlink("h", "d/f")
    )
    unpack(tmp_path / "sources", small)
    for format in ("v7", "ustar", "oldgnu"):
        command = ["tar", "-C", tmp_path / "sources", "--numeric-owner", "-cf", "-", f"--format={format}", "."]
        unpack(tmp_path / format, pieces(command))
        assert seconds(manifest(tmp_path / format), True) == seconds(manifest(tmp_path / "sources"), True)


@pytest.mark.parametrize("format", ["pax", "gnutar"])
def test_archives_of_bsdtar(tmp_path: Path, sources: Path, format: str) -> None:
    need("bsdtar")
    (sources / "holes").unlink()  # bsdtar writes sparse files as pax 1.0; GNU tar's test has them
    command: list[str | Path] = ["bsdtar", "-C", sources, "--numeric-owner", "--format", format, "-cf", "-", "."]
    unpack(tmp_path / "ours", pieces(command))
    whole = format == "gnutar"
    ours, theirs = seconds(manifest(tmp_path / "ours"), whole), seconds(manifest(sources), whole)
    assert ours == theirs


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_archives_of_pythons_tarfile(tmp_path: Path, sources: Path, format: int) -> None:
    (sources / "holes").unlink()
    (sources / "link-to-link").unlink()  # two links for tarfile, not one with two names
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as tar:
        tar.add(sources, ".")
    unpack(tmp_path / "ours", file.getvalue())
    ours, theirs = (seconds(manifest(path), True) for path in (tmp_path / "ours", sources))
    if format == tarfile.GNU_FORMAT:  # tarfile rounds there
        ours, theirs = ({path: item[:8] for path, item in tree.items()} for tree in (ours, theirs))
    assert ours == theirs


DESYNC = archive(pax({"size": "1024"}), header("f", size=0) + header("pwn", size=0) + bytes(512), entry("after"))


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return sorted(tar.getnames())


def listing(root: Path) -> list[str]:
    return sorted(os.listdir(root))


def test_tx_48_others_see_the_same_entries(tmp_path: Path) -> None:
    need("tar", "bsdtar")
    unpack(tmp_path / "ours", DESYNC)
    for program in ("tar", "bsdtar"):
        done = subprocess.run([program, "-tf", "-"], input=DESYNC, capture_output=True, check=True)
        assert sorted(done.stdout.decode().split()) == listing(tmp_path / "ours")
    assert names(DESYNC) == listing(tmp_path / "ours")


@pytest.mark.parametrize("type", ["1", "2", "5", "6"])
def test_tx_49_others_see_the_same_entries(tmp_path: Path, type: str) -> None:
    need("bsdtar")
    odd = archive(entry("t"), header("x", type=type, link="t", size=512), entry("after"))
    unpack(tmp_path / "ours", odd)
    done = subprocess.run(["bsdtar", "-tf", "-"], input=odd, capture_output=True, check=True)
    assert sorted(line.rstrip("/") for line in done.stdout.decode().split()) == listing(tmp_path / "ours")
    assert names(odd) == listing(tmp_path / "ours")
