"""From the bytes of a layer blob to the bytes of its tar: gzip, zstd or plain, told apart by content, never by label.

Registries label layers wrongly, and docker and containerd look at the magic too. A gzip file may have many members (RFC
1952, 2.2), a zstd file many frames and skippable ones (RFC 8878, 3.1). Zeros after the last one are padding, as GNU
gzip and tapes have it; anything else there is an error, as for Go's readers (umoci, containerd).
"""

from __future__ import annotations

import sys
import zlib
from _thread import allocate_lock
from contextlib import nullcontext

from pyrt.errors import LayerError
from pyrt.oci import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from typing import Protocol

    class Member(Protocol):
        """One gzip member or one zstd frame."""

        @property
        def eof(self) -> bool: ...
        @property
        def unused_data(self) -> bytes: ...
        @property
        def errors(self) -> tuple[type[Exception], ...]: ...
        def expand(self, data: memoryview) -> Iterator[bytes]: ...


GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
SKIPPABLE = tuple(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))
FHCRC, FEXTRA, FNAME, FCOMMENT = 2, 4, 8, 16
PLAIN_GZIP_HEADER = GZIP + b"\x08" + bytes(7)
OTHERS = ((b"\xfd7zXZ\x00", "xz"), (b"BZh", "bzip2"), (b"\x04\x22\x4d\x18", "lz4"))
TAR_MAGIC_END = 512
FIRST_PIECE = 4096
LONGEST_FRAME_HEADER = 18
ONE_AT_A_TIME = allocate_lock()
"""Held for a zstd frame with a large window: the window is memory, and three layers are unpacked at once."""


def decompress(chunks: Iterable[bytes]) -> Generator[bytes, None, None]:
    """The tar's bytes in buffers of up to ``limits.PLAIN_CHUNK_BYTES``. Raises LayerError for what is not one of the three.
    """
    rest = (chunk for chunk in chunks if chunk)
    head = read_head(rest)
    if head.startswith(GZIP):
        yield from members(head, rest, lambda _: GzipMember(), "gzip")
    elif head.startswith((ZSTD, *SKIPPABLE)):
        yield from members(head, rest, zstd_frame, "zstd")
    else:
        refuse_others(head)
        if head:
            yield head
        yield from rest


def read_head(chunks: Iterator[bytes]) -> bytes:
    """At least a tar header's worth of bytes, or all there is."""
    head = b""
    for chunk in chunks:
        head = head + chunk if head else chunk
        if len(head) >= TAR_MAGIC_END:
            break
    return head


def refuse_others(head: bytes) -> None:
    """Name a compression that image-spec does not have, rather than call it a damaged tar."""
    if head[257:262] == b"ustar":
        return
    for magic, name in OTHERS:
        if head.startswith(magic):
            raise LayerError(f"compressed with {name}, which images cannot be", step="decompress")


class Window:
    """What has come of a stream and is not used yet. Given out in pieces without a copy, because a stream can have a
    hundred thousand members, and copying the rest of a chunk for each of them would take their number squared."""

    def __init__(self, head: bytes, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._data = memoryview(head)
        self._at = 0

    def peek(self, size: int) -> bytes:
        """The next ``size`` bytes, less at the end of the stream; they stay."""
        while len(self._data) - self._at < size:
            more = next(self._chunks, b"")
            if not more:
                break
            self._data, self._at = memoryview(bytes(self._data[self._at :]) + more), 0
        return bytes(self._data[self._at : self._at + size])

    def take(self, most: int) -> memoryview:
        """Up to ``most`` of the bytes that are here, or of the next chunk; none at the end of the stream."""
        if self._at == len(self._data):
            self._data, self._at = memoryview(next(self._chunks, b"")), 0
        piece = self._data[self._at : self._at + most]
        self._at += len(piece)
        return piece

    def give_back(self, size: int) -> None:
        """The last ``size`` bytes of what was taken last were not used."""
        self._at -= size


def members(head: bytes, chunks: Iterator[bytes], start: Callable[[bytes], Member], name: str) -> Iterator[bytes]:
    """All members one after the other. Each is given a little first: what is behind a small one is looked at again.
    ``start`` is told how the member begins."""
    window, count = Window(head, chunks), 0
    while another(window, name):
        count += 1
        if count > limits.MEMBERS:
            raise LayerError(f"{name}: more than {limits.MEMBERS} members", step="limit")
        begin = window.peek(LONGEST_FRAME_HEADER)
        with ONE_AT_A_TIME if name == "zstd" and is_large(begin) else nullcontext():
            current, size = start(begin), FIRST_PIECE
            while not current.eof:
                data = window.take(size)
                if not data:
                    raise LayerError(f"{name}: ends in the middle of the data", step="decompress")
                yield from guarded(current, data, name)
                size = min(4 * size, limits.PLAIN_CHUNK_BYTES)
            window.give_back(len(current.unused_data))
            del current  # its window is free before the next one is taken


def another(window: Window, name: str) -> bool:
    """Whether another member begins; else what follows is padding, or an error."""
    begin = window.peek(4)
    if not begin:
        return False
    if begin.startswith((GZIP,) if name == "gzip" else (ZSTD, *SKIPPABLE)):
        return True
    while data := window.take(limits.PLAIN_CHUNK_BYTES):
        if bytes(data).strip(b"\0"):
            raise LayerError(f"{name}: something follows the end of the data", step="decompress")
    return False


def guarded(member: Member, data: memoryview, name: str) -> Iterator[bytes]:
    """``member.expand`` with the codec's own exceptions made LayerError."""
    try:
        yield from member.expand(data)
    except member.errors as error:
        raise LayerError(f"{name}: {error}", step="decompress") from error


class GzipMember:
    """A member by ISA-L, by zlib where isal has no wheel for this machine. Both release the GIL, both check the CRC.

    The header is read here: ISA-L 2.31 goes wrong where one with several optional fields comes in several pieces.
    """

    def __init__(self) -> None:
        try:
            from isal import isal_zlib as codec
        except ImportError:
            import zlib as codec  # type: ignore[no-redef]
        self._decoder = codec.decompressobj(wbits=16 + codec.MAX_WBITS)
        failure: type[Exception] = codec.error  # type: ignore[assignment]  # isal's stub takes the class for an instance
        self.errors: tuple[type[Exception], ...] = (failure,)
        self._head: bytes | None = b""  # what has come of the header; None behind it

    @property
    def eof(self) -> bool:
        return bool(self._decoder.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._decoder.unused_data)

    def expand(self, data: bytes | memoryview) -> Iterator[bytes]:
        decoder = self._decoder
        if self._head is not None:
            self._head += data
            end = gzip_header_end(self._head)
            if end is None:
                return
            data, self._head = PLAIN_GZIP_HEADER + self._head[end:], None
        while True:
            plain = decoder.decompress(data, limits.PLAIN_CHUNK_BYTES)
            if plain:
                yield plain
            data = decoder.unconsumed_tail
            if decoder.eof or (not data and len(plain) < limits.PLAIN_CHUNK_BYTES):
                return


def gzip_header_end(head: bytes) -> int | None:
    """Where a member's header ends (RFC 1952, 2.3), None where ``head`` is only a part of it. Raises LayerError."""
    if len(head) > limits.GZIP_HEADER_BYTES:
        raise LayerError(f"gzip: a header of more than {limits.GZIP_HEADER_BYTES} bytes", step="decompress")
    if len(head) < 10:
        return None
    method, flags, end = head[2], head[3], 10
    if method != 8 or flags & 0xE0:
        raise LayerError("gzip: a header of an unknown kind", step="decompress")
    if flags & FEXTRA:
        end += 2 + int.from_bytes(head[end : end + 2], "little")
    for flag in (FNAME, FCOMMENT):
        if flags & flag:
            end = head.find(b"\0", end) + 1 if end < len(head) else len(head) + 1
            if not end:
                return None
    if flags & FHCRC:
        end += 2
        if end <= len(head) and head[end - 2 : end] != (zlib.crc32(head[: end - 2]) & 0xFFFF).to_bytes(2, "little"):
            raise LayerError("gzip: the header's check sum is wrong", step="decompress")
    return end if end <= len(head) else None


def zstd_frame(begin: bytes) -> Member:
    """The frame that begins so."""
    return SkippableFrame(begin) if begin.startswith(SKIPPABLE) else ZstdFrame()


class SkippableFrame:
    """A frame without content (RFC 8878, 3.1.2): magic, size, and so many bytes for somebody else."""

    errors: tuple[type[Exception], ...] = ()

    def __init__(self, begin: bytes) -> None:
        self._left = 8 + int.from_bytes(begin[4:8], "little")
        self.unused_data = b""

    @property
    def eof(self) -> bool:
        return self._left == 0

    def expand(self, data: bytes | memoryview) -> Iterator[bytes]:
        self.unused_data = bytes(data[self._left :])
        self._left -= len(data) - len(self.unused_data)
        return iter(())


class ZstdFrame:
    """A frame with content."""

    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        options = {int(zstd.DecompressionParameter.window_log_max): limits.ZSTD_WINDOW_LOG}
        self._decoder = zstd.ZstdDecompressor(options=options)
        self.errors: tuple[type[Exception], ...] = (zstd.ZstdError,)

    @property
    def eof(self) -> bool:
        return bool(self._decoder.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._decoder.unused_data)

    def expand(self, data: bytes | memoryview) -> Iterator[bytes]:
        decoder = self._decoder
        while True:
            plain = decoder.decompress(data, limits.PLAIN_CHUNK_BYTES)
            if plain:
                yield plain
            data = b""
            if decoder.eof or decoder.needs_input:
                return


def is_large(begin: bytes) -> bool:
    """Whether the frame that begins so wants more memory than three layers may have at once."""
    return begin.startswith(ZSTD) and zstd_window(begin) > 1 << limits.ZSTD_SHARED_WINDOW_LOG


def zstd_window(begin: bytes) -> int:
    """The bytes that a frame wants to look back (RFC 8878, 3.1.1.1), 0 where its header is not whole."""
    descriptor = begin[4] if len(begin) > 4 else 0
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    if not descriptor & 0x20:
        if len(begin) < 6:
            return 0
        exponent, mantissa = begin[5] >> 3, begin[5] & 7
        return (1 << (10 + exponent)) * (8 + mantissa) // 8
    start, size = 5 + dictionary, (1, 2, 4, 8)[descriptor >> 6]  # a single segment: the content is the window
    return int.from_bytes(begin[start : start + size], "little")
