"""The bytes of one blob from one endpoint: resumed where a connection breaks, never more than was promised.

Resuming is by Range (RFC 9110, section 14) with a strict check of what came back. A server that ignores Range and sends
the whole blob again is read from its start, and the bytes that we have are thrown away: the caller only ever sees each
byte once, in order, and checks the digest over all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import closing

import httpx

from pyrt.errors import ImageNotFound, PyrtError, RegistryError, SizeMismatch
from pyrt.oci import limits
from pyrt.oci.descriptor import Descriptor
from pyrt.registry import failures
from pyrt.registry.clock import Clock
from pyrt.registry.connection import Answer, Connection
from pyrt.registry.retry import Attempts, RetryPolicy
from pyrt.registry.transport import AnswerTooLarge
from pyrt.registry.wire import WireSettings

PIECE = 256 * 1024
HELD_FOR = 0.1
RENEWED_AFTER = 1024 * 1024  # so many bytes since a failure, and the next one counts as the first
_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)")


class BlobStream:
    """Iterates over the stored bytes of a blob from ``offset`` on, in pieces of mostly 256 KiB.

    ``resumed`` tells whether bytes of more than one answer were put together. Raises ImageNotFound, SizeMismatch,
    AccessDenied, RateLimited, RegistryError.
    """

    def __init__(
        self, connection: Connection, descriptor: Descriptor, offset: int, wire: WireSettings, retry: RetryPolicy
    ) -> None:
        self._connection = connection
        self._descriptor = descriptor
        self._wire = wire
        self._attempts = Attempts(retry, wire.clock)
        self._size = descriptor.size
        self._position = offset
        self._renewed_at = offset
        self._whole = False
        self.resumed = offset > 0

    def __iter__(self) -> Iterator[bytes]:
        while self._size is None or self._position < self._size:
            before = self._position
            failure: Exception | None = None
            with closing(self._open()) as response:
                try:
                    body = _skipped(response.iter_raw(), self._check(response))
                    for piece in _pieces(body, self._wire.clock):
                        self._count(len(piece))
                        yield piece
                    if self._size is None:
                        return
                except AnswerTooLarge as error:
                    raise self._wrong_size(self._position + 1) from error
                except httpx.TransportError as error:
                    failure = error
                except _WrongRange as error:
                    self._whole, failure = True, error
            if self._position == self._size:
                return
            self._next_try(failure, gained=self._position - before)

    def _open(self) -> httpx.Response:
        ranged = self._position > 0 and not self._whole
        headers = {"range": f"bytes={self._position}-"} if ranged else {}
        path = f"/v2/{self._connection.endpoint.repository}/blobs/{self._descriptor.digest}"
        small = self._size is not None and self._size <= limits.ANSWER_BYTES
        limit = limits.UNSIZED_BLOB_BYTES if self._size is None else self._size + 1
        return self._connection.open(path, headers=headers, limit=limit, attempts=self._attempts, document=small)

    def _check(self, response: httpx.Response) -> int:
        """How many bytes of the body are to be thrown away, if its status and headers are what was asked for."""
        if response.status_code == 200:
            length = _length(response)
            if self._size is None:
                self._size = length
            elif length is not None and length != self._size:
                raise self._refusal(response) if failures.is_html(response.headers, b"") else self._wrong_size(length)
            return self._position
        if response.status_code == 206 and self._position > 0 and not self._whole:
            self._check_range(response.headers.get("content-range", ""))
            return 0
        if response.status_code == 416 and self._position > 0 and not self._whole:
            raise _WrongRange("416")
        raise self._refusal(response)

    def _check_range(self, text: str) -> None:
        match = _RANGE.fullmatch(text.strip())
        if match is None or int(match[1]) != self._position:
            raise _WrongRange("not the range that was asked for")
        last, total = int(match[2]), None if match[3] == "*" else int(match[3])
        if self._size is None:
            self._size = total
        if (total is not None and total != self._size) or (self._size is not None and last != self._size - 1):
            raise _WrongRange("not a range of this blob")

    def _refusal(self, response: httpx.Response) -> PyrtError:
        try:
            body = response.content if response.is_closed else b"".join(response.iter_raw())[:limits.ERROR_BYTES]
        except httpx.TransportError:
            body = b""
        answer = Answer(status=response.status_code, headers=response.headers, body=body, url=response.url)
        error = self._connection.refusal(answer, f"blob {self._descriptor.digest}")
        if isinstance(error, ImageNotFound):
            endpoint = self._connection.endpoint
            return ImageNotFound(
                f"{endpoint.registry}/{endpoint.repository}: blob {self._descriptor.digest} is missing at the registry"
            )
        return error

    def _count(self, length: int) -> None:
        self._position += length
        if self._size is not None and self._position > self._size:
            raise self._wrong_size(self._position)
        if self._position - self._renewed_at >= RENEWED_AFTER:
            self._renewed_at = self._position
            self._attempts.progressed()

    def _next_try(self, failure: Exception | None, gained: int) -> None:
        """After an answer that ended early: waits, or raises what is the matter."""
        if failure is None and gained == 0:
            raise self._wrong_size(self._position)
        if self._attempts.again():
            self.resumed = self.resumed or self._position > 0
            return
        host = self._connection.endpoint.host
        if isinstance(failure, httpx.TransportError):
            raise failures.unreachable(failure, host, self._wire.timeouts) from failure
        if isinstance(failure, _WrongRange):
            raise RegistryError(f"{host}: blob {self._descriptor.digest}: {failure}", host=host) from failure
        raise self._wrong_size(self._position)

    def _wrong_size(self, actual: int) -> SizeMismatch:
        expected = self._size or 0
        digest = self._descriptor.digest
        return SizeMismatch(
            f"blob {digest}: {actual} bytes where its descriptor says {expected}", expected=expected, actual=actual
        )


class _WrongRange(Exception):
    """The answer to a Range request does not continue where we stopped."""


def _length(response: httpx.Response) -> int | None:
    value = response.headers.get("content-length", "")
    return int(value) if value.isascii() and value.isdigit() else None


def _skipped(chunks: Iterable[bytes], skip: int) -> Iterator[bytes]:
    for chunk in chunks:
        if skip == 0:
            yield chunk
        elif len(chunk) > skip:
            yield chunk[skip:]
            skip = 0
        else:
            skip -= len(chunk)


def _pieces(chunks: Iterable[bytes], clock: Clock) -> Iterator[bytes]:
    """Puts small chunks together (TLS gives 16 KiB at a time), but holds none back longer than HELD_FOR."""
    held: list[bytes] = []
    length = 0
    since = 0.0
    try:
        for chunk in chunks:
            if not held:
                if len(chunk) >= PIECE // 2:
                    yield chunk
                    continue
                since = clock.monotonic()
            held.append(chunk)
            length += len(chunk)
            if length >= PIECE or clock.monotonic() - since >= HELD_FOR:
                yield b"".join(held)
                held, length = [], 0
    except httpx.TransportError:
        if held:
            yield b"".join(held)
        raise
    if held:
        yield b"".join(held)
