"""What a tar archive holds, read in place by the parser of layers: one grammar and one set of bounds for both."""

from __future__ import annotations

import os
from collections.abc import Iterator

from pyrt._native._core import ffi, lib
from pyrt._native.extract import failure
from pyrt.values import dataclass

FILE, DIRECTORY = lib.PYRT_LISTED_FILE, lib.PYRT_LISTED_DIRECTORY
SYMLINK, HARDLINK, OTHER = lib.PYRT_LISTED_SYMLINK, lib.PYRT_LISTED_HARDLINK, lib.PYRT_LISTED_OTHER
_PIECE = 16 << 10
_BEYOND = 1 << 62  # of every file; an archive may claim more than an offset can be


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One entry: ``kind`` is one of the constants above, ``start`` and ``size`` are where a file's bytes stand. ``sparse``:
    they are not its content."""

    name: str
    kind: int
    link: str
    start: int
    size: int
    sparse: bool


def entries(file: int) -> Iterator[Listed]:
    """The entries of the archive in ``file``, whose position is neither used nor moved. Raises LayerError, OSError."""
    listing = lib.pyrt_listing_new()
    if listing == ffi.NULL:
        raise MemoryError
    try:
        yield from _entries(listing, file)
    finally:
        lib.pyrt_listing_free(listing)


def _entries(listing: object, file: int) -> Iterator[Listed]:
    used, found, error = ffi.new("size_t *"), ffi.new("struct pyrt_listed *"), ffi.new("struct pyrt_error *")
    at = 0
    while piece := os.pread(file, _PIECE, at):
        outcome = lib.pyrt_listing_feed(listing, ffi.from_buffer(piece), len(piece), used, found, error)
        at += used[0]
        if outcome < 0:
            raise failure(error)
        if outcome == 2:
            return
        if outcome == 1:
            yield Listed(
                name=os.fsdecode(ffi.unpack(found.name, found.name_size)),
                kind=found.kind,
                link=os.fsdecode(ffi.unpack(found.link, found.link_size)),
                start=at,
                size=found.size,
                sparse=found.sparse,
            )
        at = min(at + lib.pyrt_listing_skip(listing), _BEYOND)
    if lib.pyrt_listing_finish(listing, error) < 0:
        raise failure(error)
