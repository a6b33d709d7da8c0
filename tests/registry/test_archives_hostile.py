"""Archives as adversaries: what a member may cost, and that the archive is read by the grammar of layers. IM-27."""

from __future__ import annotations

import gzip
import json
import os
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrt.errors import InvalidManifest, PyrtError
from pyrt.oci import limits
from pyrt.registry.tar_members import TarMembers
from tests.registry.test_archives_docker import CONFIG, CONFIG_NAME, FILES, LAYERS, manifest, one
from tests.registry.test_archives_layout import opened, read_image
from tests.support import images
from tests.support.tarwriter import (
    archive,
    base256,
    directory,
    entry,
    hardlink,
    header,
    long_name,
    octal,
    pax,
    sparse_old_gnu,
    sparse_pax_1_0,
    symlink,
)

HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    # Python's tarfile reads it whole; a regular expression of its takes the square of this one's length (CVE-2024-6232).
    "pax of digits": (lambda: pax(b"1" * (1 << 20)) + entry("x"), "pax record"),
    "pax of a gigabyte": (lambda: header("x", type="x", size=1 << 30), "extension headers"),
    "long name of 8 EiB": (lambda: header("x", type="L", size=base256(1 << 62, 12)), "extension headers"),
    "extensions without end": (lambda: pax({"comment": "x"}) * 17 + entry("x"), "extension headers"),
    "negative size": (lambda: entry("x", size=base256(-512, 12)), "number"),
    "negative pax size": (lambda: pax({"size": "-512"}) + entry("x"), "number"),
    # tarfile keeps every region of it: four gigabytes of memory for a gigabyte of archive.
    "sparse without end": (
        lambda: header("x", type="S", magic=b"ustar  \0", at=[(482, b"\1"), (483, octal(1 << 20, 12))])
        + (b"".join(octal(n, 12) + octal(0, 12) for n in range(21)).ljust(504, b"\0") + b"\1".ljust(8, b"\0")) * 4000,
        "sparse",
    ),
    "sparse": (lambda: sparse_old_gnu("manifest.json", [(0, b"[]")], 1 << 40), "not a plain file"),
    "sparse by pax": (lambda: sparse_pax_1_0("manifest.json", [(0, b"[]")], 1 << 40), "not a plain file"),
    "unknown type": (lambda: entry("x", type="N"), "type of entry"),
    "device": (lambda: entry("x", type="3", major=1, minor=3), "not a plain file"),
    "absolute": (lambda: entry("/etc/x"), "leaves the archive"),
    "climbing": (lambda: entry("a/../../x"), "leaves the archive"),
    "climbing by pax": (lambda: pax({"path": "../x"}) + entry("x"), "leaves the archive"),
    "climbing by a long name": (lambda: long_name("../" * 100) + entry("x"), "leaves the archive"),
    "link out": (lambda: symlink("x", "/etc/shadow"), "leaves the archive"),
    "hard link out": (lambda: hardlink("x", "../etc/shadow"), "leaves the archive"),
    "twice by another spelling": (lambda: entry("a/x") + entry("./a//x"), "twice"),
    "beyond the end": (lambda: entry("x", size=base256((1 << 63) - 1, 12)), "ends within"),
    "a volume label of 8 EiB": (lambda: header("x", type="V", size=base256((1 << 63) - 1, 12)), "no manifest.json"),
    "checksum": (lambda: entry("x", checksum=b"000000\0 "), "checksum"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_im_27_hostile_members(tmp_path: Path, kind: str) -> None:
    make, why = HOSTILE[kind]
    path = tmp_path / "a.tar"
    path.write_bytes(archive(make()))
    started = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(PyrtError, match=why) as caught, opened(f"docker-archive:{path}"):
            pass
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 5 and "\n" not in str(caught.value)


def test_im_27_sizes_by_pax_count(tmp_path: Path) -> None:
    """TARmageddon (CVE-2025-62518) in an archive of an image: what another parser takes for headers is data."""
    inner = entry("manifest.json", b"[]")
    path = tmp_path / "a.tar"
    path.write_bytes(archive(pax({"size": str(len(inner))}) + header("data", size=0) + inner))
    members = TarMembers(str(path))
    assert members.has("data") and not members.has("manifest.json") and members.size("data") == len(inner)
    members.close()


def test_im_27_names_of_every_form(tmp_path: Path) -> None:
    """The twin: pax and GNU names, directories, links between members, a volume label, padding."""
    name = "n" * 150
    path = tmp_path / "a.tar"
    path.write_bytes(
        entry("label", type="V")
        + pax({"comment": "git"}, type="g")
        + directory("./")
        + entry(*manifest(one(Layers=[f"{name}/layer.tar", "1/layer.tar", "2/layer.tar"])))
        + entry(CONFIG_NAME, CONFIG)
        + long_name(f"{name}/layer.tar")
        + entry("x", LAYERS[0])
        + pax({"path": "1/layer.tar"})
        + entry("y", LAYERS[1])
        + entry("2/real", LAYERS[2])
        + symlink("2/link", "real")
        + hardlink("2/layer.tar", "2/link")
        + bytes(10240)
    )
    with opened(f"docker-archive:{path}") as source:
        image = read_image(source)
    assert len(image.layers) == 3


def test_im_27_one_member_for_all_layers_is_summed_once(tmp_path: Path) -> None:
    """500 names for one compressed gigabyte would be half a terabyte to hash."""
    names = [f"l{number}" for number in range(100)]
    packed = gzip.compress(LAYERS[0])
    rootfs = {"type": "layers", "diff_ids": [images.sha256(LAYERS[0])] * len(names)}
    config = json.dumps({**json.loads(CONFIG), "rootfs": rootfs}).encode()
    path = tmp_path / "a.tar"
    links = b"".join(symlink(name, "real") for name in names)
    path.write_bytes(
        archive(entry("c.json", config), entry("real", packed), links, entry(*manifest(one(Config="c.json", Layers=names))))
    )
    read: list[str] = []
    original = TarMembers.stream
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TarMembers, "stream", lambda self, name, offset=0: read.append(name) or original(self, name, offset))
        with opened(f"docker-archive:{path}"):
            pass
    assert sum(name in names for name in read) == 1


GZIP_HEAD = b"\x1f\x8b\x08\x08" + bytes(6)


@pytest.mark.parametrize("kind", ["name", "members"])
def test_im_27_a_gzip_archive_is_bounded_as_a_layer_is(tmp_path: Path, kind: str) -> None:
    """Python's gzip reads a file's name in the header byte by byte, and has no bound for it."""
    path = tmp_path / "a.tar.gz"
    plain = archive(entry(*manifest(one())), *(entry(name, data) for name, data in FILES if isinstance(data, bytes)))
    if kind == "name":
        path.write_bytes(GZIP_HEAD + b"n" * (limits.GZIP_HEADER_BYTES + 1) + b"\0" + zlib.compress(plain)[2:-4])
    else:
        path.write_bytes(gzip.compress(b"") * 50_000 + b"junk")
    started = time.monotonic()
    with pytest.raises(InvalidManifest, match="header of more than|something follows"):
        opened(f"docker-archive:{path}", str(tmp_path)).__enter__()
    assert time.monotonic() - started < 20
    path.write_bytes(gzip.compress(b"") * 100 + gzip.compress(plain))  # the twin
    with opened(f"docker-archive:{path}", str(tmp_path)) as source:
        assert read_image(source)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("tag", ["\x1b]0;owned\x07:latest", "a\u202eb:latest", "a\nb:latest", "\x9b31m:latest"])
def test_im_31_names_in_an_archive_are_shown_harmless(tmp_path: Path, tag: str) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(archive(entry(*manifest(one(RepoTags=[tag]), one(RepoTags=["other:1"]))), entry(CONFIG_NAME, CONFIG)))
    with pytest.raises(PyrtError) as caught, opened(f"docker-archive:{path}"):
        pass
    assert str(caught.value).isprintable() and "other:1" in str(caught.value)




