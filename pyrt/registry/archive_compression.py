"""Archives that are compressed as a whole: told by their first bytes, decompressed into a temporary file."""

from __future__ import annotations

import errno
import io
import lzma
import os
import sys
import tempfile
import zlib
from collections.abc import Callable
from typing import Protocol

from pyrt.errors import InvalidManifest, NoSpace, StoreError
from pyrt.oci import limits

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
_BZIP2 = b"BZh"
_XZ = b"\xfd7zXZ\0"
_CHUNK = 1 << 20


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


def spool(file: io.FileIO, where: str, tmp_dir: str | None) -> io.FileIO:
    """``file`` itself, or an unnamed temporary file in ``tmp_dir`` with its content decompressed.

    gzip, bzip2, xz and zstd. Raises InvalidManifest for damaged data and for data that expands beyond measure, NoSpace,
    StoreError.
    """
    head = os.pread(file.fileno(), 6, 0)
    for magic, opened in _READERS:
        if head.startswith(magic):
            most = limits.EXPANSION_RATIO * os.fstat(file.fileno()).st_size + limits.EXPANSION_GRACE_BYTES
            return _unpack(opened(file), where, tmp_dir, most)
    return file


def _unpack(packed: _Reader, where: str, tmp_dir: str | None, most: int) -> io.FileIO:
    target = _temporary(tmp_dir)
    try:
        while chunk := packed.read(_CHUNK):
            _write(target, chunk)
            if target.tell() > most:
                raise InvalidManifest(f"{where}: the archive decompresses to more than {most} bytes")
    except (EOFError, zlib.error, lzma.LZMAError, _zstd_error()) as error:
        target.close()
        raise InvalidManifest(f"{where}: the archive's compression is damaged: {error}") from error
    except OSError as error:  # gzip.BadGzipFile and bz2's errors among them, which have no errno
        target.close()
        if error.errno is None:
            raise InvalidManifest(f"{where}: the archive's compression is damaged: {error}") from error
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (NoSpace if full else StoreError)(f"{where}: cannot be decompressed: {error.strerror}") from error
    except BaseException:
        target.close()
        raise
    target.seek(0)
    return target


def _temporary(tmp_dir: str | None) -> io.FileIO:
    try:
        with tempfile.TemporaryFile(dir=tmp_dir, buffering=0) as made:
            return io.FileIO(os.dup(made.fileno()), "rb+")
    except OSError as error:
        raise StoreError(f"no temporary file in {tmp_dir or tempfile.gettempdir()}: {error.strerror}") from error


def _write(target: io.FileIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[target.write(rest) :]


def _gzip_reader(file: io.FileIO) -> _Reader:
    import gzip

    return gzip.GzipFile(fileobj=file, mode="rb")


def _bzip2_reader(file: io.FileIO) -> _Reader:
    import bz2

    return bz2.BZ2File(file)


class _XzReader:
    """A file of one xz stream; unlike lzma's own it bounds the memory that the stream may ask for."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=limits.XZ_MEMORY_BYTES)

    def read(self, size: int, /) -> bytes:
        while not self._stream.eof:
            data = self._file.read(_CHUNK) if self._stream.needs_input else b""
            if self._stream.needs_input and not data:
                raise EOFError("it ends too early")
            if chunk := self._stream.decompress(data, size):
                return chunk
        if self._stream.unused_data.strip(b"\0"):
            raise lzma.LZMAError("there is more than one stream")
        return b""


def _zstd_reader(file: io.FileIO) -> _Reader:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    return zstd.ZstdFile(file)


def _zstd_error() -> type[Exception]:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    return zstd.ZstdError


_READERS: tuple[tuple[bytes, Callable[[io.FileIO], _Reader]], ...] = (
    (GZIP, _gzip_reader),
    (ZSTD, _zstd_reader),
    (_BZIP2, _bzip2_reader),
    (_XZ, _XzReader),
)
