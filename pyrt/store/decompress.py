"""From the bytes of a layer blob to the bytes of its tar: gzip, zstd or plain, told apart by content, never by label.

Registries label layers wrongly, and docker and containerd look at the magic too. A gzip file may have many members (RFC
1952, 2.2), a zstd file many frames and skippable ones (RFC 8878, 3.1). Zeros after the last one are padding, as GNU
gzip and tapes have it; anything else there is an error, as for Go's readers (umoci, containerd).
"""

from __future__ import annotations

import sys
import zlib

from pyrt.errors import LayerError
from pyrt.oci import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol

    class Member(Protocol):
        """One gzip member or one zstd frame."""

        @property
        def eof(self) -> bool: ...
        @property
        def unused_data(self) -> bytes: ...
        @property
        def errors(self) -> tuple[type[Exception], ...]: ...
        def expand(self, data: bytes) -> Iterator[bytes]: ...


GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
SKIPPABLE = tuple(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))
FHCRC, FEXTRA, FNAME, FCOMMENT = 2, 4, 8, 16
PLAIN_GZIP_HEADER = GZIP + b"\x08" + bytes(7)
OTHERS = ((b"\xfd7zXZ\x00", "xz"), (b"BZh", "bzip2"), (b"\x04\x22\x4d\x18", "lz4"))
TAR_MAGIC_END = 512


def decompress(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The tar's bytes in buffers of up to ``limits.PLAIN_CHUNK_BYTES``. Raises LayerError for what is not one of the three.
    """
    rest = (chunk for chunk in chunks if chunk)
    head = read_head(rest)
    if head.startswith(GZIP):
        yield from members(head, rest, GzipMember, "gzip")
    elif head.startswith((ZSTD, *SKIPPABLE)):
        yield from members(head, rest, ZstdFrame, "zstd")
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


def members(head: bytes, chunks: Iterator[bytes], start: Callable[[], Member], name: str) -> Iterator[bytes]:
    """All members one after the other. ``data`` is what is left of a chunk at the border between two."""
    data, padding, current = head, False, None
    while True:
        if current is None and data:
            data, padding = at_border(data, chunks, padding, name)
        if not data:
            data = next(chunks, b"")
            if not data:
                break
            continue
        if current is None:
            current = start()
        yield from guarded(current, data, name)
        data = b""
        if current.eof:
            data, current = current.unused_data, None
    if current is not None:
        raise LayerError(f"{name}: ends in the middle of the data", step="decompress")


def at_border(data: bytes, chunks: Iterator[bytes], padding: bool, name: str) -> tuple[bytes, bool]:
    """What follows a member: the beginning of another, or padding (then b"" and True)."""
    if padding or data[0] == 0:
        if data.strip(b"\0"):
            raise LayerError(f"{name}: something follows the end of the data", step="decompress")
        return b"", True
    magics = (GZIP,) if name == "gzip" else (ZSTD, *SKIPPABLE)
    while len(data) < len(magics[0]):
        more = next(chunks, b"")
        if not more:
            break
        data += more
    if not data.startswith(magics):
        raise LayerError(f"{name}: something follows the end of the data", step="decompress")
    return data, False


def guarded(member: Member, data: bytes, name: str) -> Iterator[bytes]:
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

    def expand(self, data: bytes) -> Iterator[bytes]:
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


class ZstdFrame:
    """A frame, skippable ones included (they give nothing)."""

    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        window = {int(zstd.DecompressionParameter.window_log_max): limits.ZSTD_WINDOW_LOG}
        self._decoder = zstd.ZstdDecompressor(options=window)
        self.errors: tuple[type[Exception], ...] = (zstd.ZstdError,)

    @property
    def eof(self) -> bool:
        return bool(self._decoder.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._decoder.unused_data)

    def expand(self, data: bytes) -> Iterator[bytes]:
        decoder = self._decoder
        while True:
            plain = decoder.decompress(data, limits.PLAIN_CHUNK_BYTES)
            if plain:
                yield plain
            data = b""
            if decoder.eof or decoder.needs_input:
                return
