"""The digest of an unpacked layer."""

from __future__ import annotations

import os

from pyrt._native._core import ffi, lib
from pyrt.values import dataclass

ALGORITHM = "xxh64-tree-1"  # another number where csrc/tree_digest.h takes in something else


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeDigest:
    """``value`` is 32 hex digits; ``entries`` counts the root too, ``bytes`` sums up the sizes of files."""

    value: str
    entries: int
    bytes: int


def tree_digest(root_fd: int) -> TreeDigest:
    """Everything below ``root_fd``: paths, types, modes, owners, times, devices, link targets, xattrs, content, and which
    names are one file. It finds accidents (bits that rot, writes that a power cut has lost), not adversaries: why that is
    enough stands in csrc/tree_digest.h. The GIL is released. Raises OSError with the path in the tree; EXDEV where
    something is mounted in it."""
    digest = ffi.new("struct pyrt_tree_digest *")
    error = ffi.new("struct pyrt_error *")
    if lib.pyrt_tree_digest(root_fd, digest, error) < 0:
        raise OSError(error.err, os.strerror(error.err), os.fsdecode(ffi.string(error.subject)) or ".")
    value = f"{digest.sums[0]:016x}{digest.sums[1]:016x}"
    return TreeDigest(value=value, entries=digest.entries, bytes=digest.bytes)


def xxh64(data: bytes, seed: int = 0) -> int:
    """The hash that it is made of, for the vectors of its specification."""
    return int(lib.pyrt_xxh64(ffi.from_buffer(data), len(data), seed))
