"""Sockets that give up on a server which sends too little, and that read in large pieces.

httpx's read time-out starts again with every byte, so a server that drips one byte a second holds a pull for ever
(threat catalogue RG-23). Measured where the bytes arrive, below TLS and HTTP, headers included.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

from pyrt.registry.clock import Clock
from pyrt.registry.wire import Timeouts

# One recv of this size instead of httpcore's 64 KiB: 4.2 GB/s instead of 1.7 on loopback, Python 3.11.
READ_SIZE = 256 * 1024


class MeteredStream(httpcore.NetworkStream):
    """A connection with a floor under its speed; each request starts the measure anew."""

    def __init__(self, inner: httpcore.NetworkStream, timeouts: Timeouts, clock: Clock) -> None:
        self._inner = inner
        self._timeouts = timeouts
        self._clock = clock
        self._waited = 0.0
        self._received = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        allowed = self._timeouts.progress - self._waited
        if allowed <= 0:
            raise httpcore.ReadTimeout("too few bytes")
        started = self._clock.monotonic()
        data = self._inner.read(max(max_bytes, READ_SIZE), min(allowed, timeout or allowed))
        self._waited += self._clock.monotonic() - started
        self._received += len(data)
        if self._received >= self._timeouts.floor:
            self._waited, self._received = 0.0, 0
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._waited, self._received = 0.0, 0
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return MeteredStream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._timeouts, self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class MeteredBackend(httpcore.NetworkBackend):
    """Makes connections that are measured."""

    def __init__(self, timeouts: Timeouts, clock: Clock) -> None:
        self._inner = httpcore.SyncBackend()
        self._timeouts = timeouts
        self._clock = clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return MeteredStream(stream, self._timeouts, self._clock)

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)
