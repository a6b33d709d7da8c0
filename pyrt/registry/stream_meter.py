"""Sockets that give up on a server which sends too little or too much, and that read in large pieces.

httpx's read time-out starts again with every byte, so a server that drips one byte a second holds a pull for ever
(threat catalogue RG-23); and neither httpx nor h11 counts provisional answers (1xx), or what chunks cost around their
content. Measured where the bytes arrive, below TLS and HTTP, headers included.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

from pyrt.oci import limits
from pyrt.registry.clock import Clock
from pyrt.registry.wire import Timeouts

# One recv of this size instead of httpcore's 64 KiB: 4.2 GB/s instead of 1.7 on loopback, Python 3.11.
READ_SIZE = 256 * 1024


class LeadsInside(httpcore.ConnectError):
    """A name whose addresses are all of those where we may not be sent."""


class MeteredStream(httpcore.NetworkStream):
    """A connection with a floor under its speed. Each request starts the measure anew: what comes first is the head of the
    answer, which has a time and a size as a whole; what comes after ``expect_body`` its body."""

    def __init__(self, inner: httpcore.NetworkStream, timeouts: Timeouts, clock: Clock) -> None:
        self._inner = inner
        self._timeouts = timeouts
        self._clock = clock
        self._too_much = ""
        self._begin()

    def expect_body(self, seconds: float | None) -> None:
        """The head is complete; the body has so many seconds of waiting, None for as many as it needs."""
        self._too_much = "far more bytes around its content than content"
        self._start(seconds, limits.FRAMING_GRACE_BYTES)

    def consumed(self, size: int) -> None:
        """So many bytes of the body came out of what was read."""
        self._allowed += limits.FRAMING_RATIO * size

    def _begin(self) -> None:
        self._too_much = f"a head of more than {limits.HEADER_BYTES} bytes"
        self._start(self._timeouts.header, limits.HEADER_BYTES)

    def _start(self, seconds: float | None, allowed: int) -> None:
        self._left, self._allowed = seconds, allowed
        self._waited, self._received = 0.0, 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        allowed = self._timeouts.progress - self._waited
        if self._left is not None:
            allowed = min(allowed, self._left)
        if allowed <= 0:
            raise httpcore.ReadTimeout("too few bytes")
        if self._allowed <= 0:
            raise httpcore.RemoteProtocolError(self._too_much)
        started = self._clock.monotonic()
        data = self._inner.read(max(max_bytes, READ_SIZE), min(allowed, timeout or allowed))
        waited = self._clock.monotonic() - started
        self._waited += waited
        if self._left is not None:
            self._left -= waited
        self._received += len(data)
        self._allowed -= len(data)
        if self._received >= self._timeouts.floor:
            self._waited, self._received = 0.0, 0
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._begin()
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return MeteredStream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._timeouts, self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


Lookup = Callable[[str, int], list[str]]


def look_up(host: str, port: int) -> list[str]:
    """The addresses of a host, as getaddrinfo(3) orders them. Raises OSError."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


class MeteredBackend(httpcore.NetworkBackend):
    """Makes connections that are measured. ``connected`` is told the address of each. With ``may_connect`` only addresses
    that it allows are connected to, whatever a name resolves to; ``lookup`` resolves it."""

    def __init__(
        self,
        timeouts: Timeouts,
        clock: Clock,
        *,
        connected: Callable[[str], None] | None = None,
        may_connect: Callable[[str], bool] | None = None,
        lookup: Lookup = look_up,
    ) -> None:
        self._inner = httpcore.SyncBackend()
        self._timeouts = timeouts
        self._clock = clock
        self._connected = connected
        self._may_connect = may_connect
        self._lookup = lookup

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        if self._may_connect is not None:
            host = self._allowed(host, port, self._may_connect)
        stream = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        if self._connected is not None:
            self._connected(str(stream.get_extra_info("server_addr")[0]))
        return MeteredStream(stream, self._timeouts, self._clock)

    def _allowed(self, host: str, port: int, may_connect: Callable[[str], bool]) -> str:
        """An address of the host; it is this one that is connected to, so that no second answer of DNS counts."""
        try:
            found = self._lookup(host, port)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        for address in found:
            if may_connect(address):
                return address
        raise LeadsInside(f"{host} is an address inside this network")

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)
