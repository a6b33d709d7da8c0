"""Every native function of unpacking, many times: no file descriptor and no memory is lost, whatever the outcome."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrt._native import _core, listing
from pyrt._native.extract import Extractor, Limits, private_umask
from pyrt._native.resolve import resolve
from pyrt.errors import LayerError, NoSpace
from tests.support.extraction import in_thread
from tests.support.tarwriter import archive, directory, entry, hardlink, long_name, pax, sparse_pax_1_0, symlink

GOOD = archive(
    *(directory(f"d{number}") + entry(f"d{number}/f", b"x" * 100) for number in range(140)),
    pax({"SCHILY.xattr.user.a": "b" * 1000, "path": "p/" * 150}),
    directory("x"),
    long_name("n" * 200),
    entry("x"),
    sparse_pax_1_0("s", [(number * 10, b"x") for number in range(500)], 10_000),
    symlink("l", "d0"),
    entry("l/y"),
    hardlink("h", "d0/f"),
    entry("d1", b"over a directory"),
    entry("d2/.wh.z"),
)
BAD = [
    GOOD[:-1600],
    GOOD[:1000],
    archive(pax({"path": "p/" * 150, "SCHILY.xattr.user.a": "b"}), entry("x", b"y" * 600), entry("../x")),
    archive(entry("f", b"x" * 600))[:900],
    archive(hardlink("h", "missing")),
    archive(entry("a"), entry("a/b")),
    archive(pax(b"junk")),
]


def extract(root: int, data: bytes, **options: object) -> None:
    extractor = Extractor(root, chown=False, overlay_xattr="user", **options)  # type: ignore[arg-type]
    extractor.feed(data)
    extractor.finish()


def in_small_pieces(root: int) -> None:
    with Extractor(root, chown=False) as extractor:
        for at in range(0, len(GOOD), 700):
            extractor.feed(GOOD[at : at + 700])
        extractor.finish()


def fail(root: int, **options: object) -> None:
    for data in BAD:
        with pytest.raises(LayerError):
            extract(root, data, **options)


def give_up(root: int) -> None:
    """In the middle of a file, by close, by leaving the block and by forgetting."""
    middle = archive(entry("d/f", b"x" * 5000))[:2000]
    extractor = Extractor(root, chown=False)
    extractor.feed(middle)
    extractor.close()
    with Extractor(root, chown=False) as extractor:
        extractor.feed(middle)
    Extractor(root, chown=False).feed(middle)
    gc.collect()


def bad_root(root: int) -> None:
    with pytest.raises(LayerError):
        Extractor(-1)


def paths(root: int) -> None:
    for by_walk in (False, True):
        os.close(resolve(root, "d0/../l/../d0/f", os.O_RDONLY, by_walk=by_walk))
        for path in ("d0/f/x", "nothing/x", "d0/../../none"):
            with pytest.raises(OSError):
                resolve(root, path, os.O_RDONLY, by_walk=by_walk)


def listed(root: int) -> None:
    """All of an archive, a part of it, and bad ones."""
    with tempfile.TemporaryFile(dir=f"/proc/self/fd/{root}") as file:
        for data in (GOOD, *BAD):
            file.truncate(0)
            os.pwrite(file.fileno(), data, 0)
            with contextlib.suppress(LayerError):
                assert list(listing.entries(file.fileno()))
            with contextlib.suppress(LayerError):
                next(listing.entries(file.fileno()), None)


CASES: dict[str, Callable[[int], object]] = {
    "unpack": lambda root: extract(root, GOOD),
    "unpack by walk": lambda root: extract(root, GOOD, by_walk=True),
    "in small pieces": in_small_pieces,
    "errors": lambda root: fail(root),
    "errors by walk": lambda root: fail(root, by_walk=True),
    "limits": lambda root: pytest.raises(LayerError, extract, root, GOOD, limits=Limits(entries=5)),
    "giving up": give_up,
    "bad root": bad_root,
    "resolve": paths,
    "listing": listed,
    "private umask": lambda root: in_thread(lambda is_zero: is_zero and private_umask()),
}

# Which case calls a native function; launching has its own test.
COVERED = {
    "pyrt_layer_new", "pyrt_layer_feed", "pyrt_layer_finish", "pyrt_layer_free", "pyrt_resolve", "pyrt_resolve_by_walk",
    "pyrt_private_umask", "pyrt_fail", "pyrt_listing_new", "pyrt_listing_feed", "pyrt_listing_skip", "pyrt_listing_finish",
    "pyrt_listing_free",
}  # fmt: skip


# The address sanitizer keeps what is freed for a while; it looks after memory by itself.
SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")


def descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def memory() -> int:
    """Anonymous memory of this process in KiB."""
    with open("/proc/self/status") as file:
        return int(re.findall(r"RssAnon:\s+(\d+)", file.read())[0])


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_lost(tmp_path: Path, case: str) -> None:
    root = os.open(tmp_path, os.O_RDONLY)
    extract(root, GOOD)
    for _ in range(3):
        CASES[case](root)
    gc.collect()
    before, size = descriptors(), memory()
    for _ in range(20):
        CASES[case](root)
    gc.collect()
    assert descriptors() == before
    assert SANITIZED or memory() - size < 512
    os.close(root)


def test_every_function_of_unpacking_is_here() -> None:
    prefixes = ("pyrt_layer", "pyrt_listing", "pyrt_resolve", "pyrt_private", "pyrt_fail")
    names = {name for name in dir(_core.lib) if name.startswith(prefixes)}
    assert names == COVERED


def test_memory_does_not_grow_with_the_layer(tmp_path: Path) -> None:
    """200 MB of files and an archive of one large file, in 256 KiB pieces."""
    root = os.open(tmp_path, os.O_RDONLY)
    piece = bytes(256 << 10)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Extractor(root, chown=False) as extractor:
        for number in range(50):
            extractor.feed(entry("f", bytes(4 << 20)) if number % 2 else entry(f"d/{number}", piece))
        extractor.feed(entry("big", size=len(piece) * 400))
        for _ in range(400):
            extractor.feed(piece)
        extractor.feed(archive())
        extractor.finish()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 << 10 or SANITIZED
    os.close(root)


def test_tx_65_directories_with_large_attributes(tmp_path: Path) -> None:
    """What waits for the end of the archive is bounded, and large xattrs do not wait."""
    value = bytes(60_000)
    records = pax({f"SCHILY.xattr.user.{number}": value for number in range(16)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    root = os.open(tmp_path, os.O_RDONLY)
    with Extractor(root, chown=False) as extractor, contextlib.suppress(LayerError, NoSpace):
        for number in range(200):
            extractor.feed(records + directory(f"d{number}"))
    deep = "d" * 200 + "/"
    acl = pax({f"SCHILY.xattr.system.{number}": value for number in range(16)})
    with pytest.raises(LayerError, match="more entries or bytes"), Extractor(root, chown=False) as extractor:
        for number in range(200):
            extractor.feed(acl + long_name(deep * 15 + f"e{number}") + directory("x"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10 or SANITIZED
    os.close(root)


def test_open_directories_are_bounded(tmp_path: Path) -> None:
    root = os.open(tmp_path, os.O_RDONLY)
    before = len(descriptors())
    with Extractor(root, chown=False) as extractor:
        for number in range(1000):
            extractor.feed(directory(f"d{number}") + entry(f"d{number}/f"))
        assert len(descriptors()) - before <= 129
    assert len(descriptors()) == before
    os.close(root)
