"""Unpacking one layer: tar bytes in, files out, everything below one directory fd."""

from __future__ import annotations

import errno
import os
from _thread import get_native_id
from typing import Any

from pyrt._native._core import ffi, lib
from pyrt.errors import LayerError, NoSpace
from pyrt.values import dataclass

# What failed, in words, and whether the errno says more than these words do.
_STEPS: dict[int, tuple[str, bool]] = {
    lib.PYRT_TAR_CHECKSUM: ("the header's checksum is wrong", False),
    lib.PYRT_TAR_NUMBER: ("a number is malformed or out of range", False),
    lib.PYRT_TAR_TYPE: ("this type of entry has no place in a layer", False),
    lib.PYRT_TAR_PAX: ("a pax record is malformed or not allowed here", False),
    lib.PYRT_TAR_SPARSE: ("the map of a sparse file is malformed", False),
    lib.PYRT_TAR_EXTENSION: ("its extension headers are too large, too many, or without an entry", False),
    lib.PYRT_TAR_NAME: ("its name or link target is missing, too long, or has a NUL in it", False),
    lib.PYRT_TAR_TRUNCATED: ("the archive ends in the middle", False),
    lib.PYRT_TAR_MEMORY: ("memory", True),
    lib.PYRT_LAYER_NAME: ("this name is not allowed", False),
    lib.PYRT_LAYER_ROOT: ("the root of a layer", True),
    lib.PYRT_LAYER_LIMIT: ("more entries or bytes than allowed", False),
    lib.PYRT_LAYER_DEVICE: ("a character device 0:0 has no place in a layer", False),
    lib.PYRT_LAYER_PARENT: ("parent directory", True),
    lib.PYRT_LAYER_REPLACE: ("replace", True),
    lib.PYRT_LAYER_OPEN: ("open", True),
    lib.PYRT_LAYER_WRITE: ("write", True),
    lib.PYRT_LAYER_MKDIR: ("mkdir", True),
    lib.PYRT_LAYER_SYMLINK: ("symlink", True),
    lib.PYRT_LAYER_LINK: ("link", True),
    lib.PYRT_LAYER_MKNOD: ("mknod", True),
    lib.PYRT_LAYER_WHITEOUT: ("whiteout", True),
    lib.PYRT_LAYER_OPAQUE: ("opaque directory", True),
    lib.PYRT_LAYER_CHOWN: ("chown", True),
    lib.PYRT_LAYER_CHMOD: ("chmod", True),
    lib.PYRT_LAYER_XATTR: ("setxattr", True),
    lib.PYRT_LAYER_TIMES: ("utimensat", True),
    lib.PYRT_LAYER_CLOSE: ("close", True),
    lib.PYRT_LAYER_MEMORY: ("memory", True),
}

_SHOWN = 300  # characters of a name that a message repeats; it may have four thousand
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one layer may ask for. 0 is the default of csrc/bounds.h: two million entries (directories that no entry
    names, extended attributes and regions of sparse files count too), 1 TiB of apparent sizes."""

    entries: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractStats:
    """What was unpacked: entries of the archive, and the sum of the apparent sizes of its files in bytes."""

    entries: int
    bytes: int


def private_umask() -> bool:
    """Gives the calling thread a umask of its own, which is 0 from now on; False where the kernel refuses (a container
    without CAP_SYS_ADMIN under a seccomp filter). For ``Extractor(umask_is_zero=...)``.

    Only for threads that were started for this: raises RuntimeError in the first thread of the process.
    """
    if get_native_id() == os.getpid():
        raise RuntimeError("private_umask() in the process's first thread would change everybody's umask")
    return not lib.pyrt_private_umask()


class Extractor:
    """Unpacks the uncompressed tar of one layer below ``root_fd``, which stays the caller's and has to stay open.

    ``overlay_xattr`` says in which of overlay's two forms, or both, opaque directories are written. ``chown=False`` leaves
    every file to the caller, ``devices=False`` puts an empty file in the place of each device node. ``umask_is_zero`` is
    what ``private_umask()`` gave in the thread that calls ``feed``: with False the result is the same, at one system call
    more for a file. ``by_walk`` never calls openat2. One object is used by one thread at a time; the GIL is released while
    it works.

    Raises LayerError, and NoSpace where the file system is full; after that the tree is good for nothing but removal.
    Source: OCI image-spec, layer.md; POSIX.1-2017, pax; GNU tar's manual, "Tar Internals".
    """

    def __init__(
        self,
        root_fd: int,
        *,
        overlay_xattr: str = "trusted",
        limits: Limits | None = None,
        chown: bool = True,
        umask_is_zero: bool = False,
        devices: bool = True,
        by_walk: bool = False,
    ) -> None:
        if overlay_xattr not in ("trusted", "user", "both"):
            raise ValueError(f"overlay_xattr must be 'trusted', 'user' or 'both', not {overlay_xattr!r}")
        limits = limits or Limits()
        options = ffi.new("struct pyrt_layer_options *")
        options.max_entries = limits.entries
        options.max_bytes = limits.bytes
        options.chown = chown
        options.umask_is_zero = umask_is_zero
        options.no_devices = not devices
        options.user_xattr = overlay_xattr != "trusted"
        options.trusted_xattr = overlay_xattr != "user"
        options.by_walk = by_walk
        self._error = ffi.new("struct pyrt_error *")
        self._layer: Any = ffi.NULL
        layer = lib.pyrt_layer_new(root_fd, options, self._error)
        if layer == ffi.NULL:
            raise failure(self._error)
        self._layer = ffi.gc(layer, lib.pyrt_layer_free)

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Unpacks the next piece of the archive, of any size. The buffer is not kept."""
        view = ffi.from_buffer(data)
        if lib.pyrt_layer_feed(self._open(), view, len(view), self._error) < 0:
            raise failure(self._error)

    def finish(self) -> ExtractStats:
        """Says that the archive is complete, sets the attributes of the directories, and closes."""
        stats = ffi.new("struct pyrt_layer_stats *")
        if lib.pyrt_layer_finish(self._open(), stats, self._error) < 0:
            raise failure(self._error)
        self.close()
        return ExtractStats(entries=stats.entries, bytes=stats.bytes)

    def close(self) -> None:
        """Gives back memory and file descriptors; may be called again."""
        if self._layer != ffi.NULL:
            ffi.release(self._layer)
            self._layer = ffi.NULL

    def __enter__(self) -> Extractor:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(self) -> Any:
        if self._layer == ffi.NULL:
            raise ValueError("the extractor is closed")
        return self._layer


def failure(error: Any) -> LayerError | NoSpace:
    """The exception for a filled error of the parser or the writer."""
    entry = os.fsdecode(ffi.string(error.subject))
    words, has_reason = _STEPS[error.step]
    reason = f"{words}: {os.strerror(error.err)}" if has_reason else words
    shown = entry if len(entry) <= _SHOWN else entry[:_SHOWN] + "..."
    message = f"layer entry {shown!r}: {reason}" if entry else f"layer: {reason}"
    if error.err in _NO_SPACE:
        return NoSpace(message)
    return LayerError(message, entry=entry, step=words, errno=error.err)
