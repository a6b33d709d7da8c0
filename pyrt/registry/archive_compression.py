"""Archives that are compressed as a whole: told by their first bytes, decompressed into a temporary file."""

from __future__ import annotations

import errno
import io
import lzma
import os
import tempfile
from collections.abc import Callable, Iterator

from pyrt.errors import InvalidManifest, LayerError, NoSpace, StoreError
from pyrt.oci import limits
from pyrt.oci.decompress import GZIP, ZSTD, decompress

_BZIP2 = b"BZh"
_XZ = b"\xfd7zXZ\0"
_CHUNK = 1 << 20


def spool(file: io.FileIO, where: str, tmp_dir: str | None) -> io.FileIO:
    """``file`` itself, or an unnamed temporary file in ``tmp_dir`` with its content decompressed.

    gzip, bzip2, xz and zstd. Raises InvalidManifest for damaged data and for data that expands beyond measure, NoSpace,
    StoreError.
    """
    head = os.pread(file.fileno(), 6, 0)
    for magic, opened in _READERS:
        if head.startswith(magic):
            return _unpack(opened(file), file, where, tmp_dir)
    return file


def _unpack(plain: Iterator[bytes], file: io.FileIO, where: str, tmp_dir: str | None) -> io.FileIO:
    target = _temporary(tmp_dir)
    try:
        for chunk in plain:
            _write(target, chunk)
            most = limits.EXPANSION_RATIO * file.tell() + limits.EXPANSION_GRACE_BYTES
            if target.tell() > most:
                raise InvalidManifest(f"{where}: the archive decompresses to more than {most} bytes")
    except (EOFError, LayerError, lzma.LZMAError) as error:
        target.close()
        raise InvalidManifest(f"{where}: the archive's compression is damaged: {error}") from error
    except OSError as error:  # bz2's errors among them, which have no errno
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


def _by_content(file: io.FileIO) -> Iterator[bytes]:
    return decompress(iter(lambda: file.read(_CHUNK), b""))


def _bzip2(file: io.FileIO) -> Iterator[bytes]:
    import bz2

    packed = bz2.BZ2File(file)
    return iter(lambda: packed.read(_CHUNK), b"")


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


def _xz(file: io.FileIO) -> Iterator[bytes]:
    packed = _XzReader(file)
    return iter(lambda: packed.read(_CHUNK), b"")


_READERS: tuple[tuple[bytes, Callable[[io.FileIO], Iterator[bytes]]], ...] = (
    (GZIP, _by_content),
    (ZSTD, _by_content),
    (_BZIP2, _bzip2),
    (_XZ, _xz),
)
