"""A registry that does wrong on purpose: what it answers is scripted per path and request, byte by byte.

Loopback has many addresses, so 127.0.0.1, 127.0.0.2 and 127.0.0.3 serve as different hosts.
"""

from __future__ import annotations

import hashlib
import json
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.values import replace

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request as it arrived; ``headers`` have lower-case names."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is sent, and what goes wrong with it.

    ``delay`` is before the first byte; ``drip`` is (bytes, pause) for the body, ``header_drip`` for the head; ``cut``
    resets the connection after so many bytes of the body, ``stop`` closes it in order there; ``length`` is the
    Content-Length that is claimed, -1 for none at all; ``chunked`` sends chunks, with ``extension`` bytes behind the size
    of each; ``endless`` repeats the body for ever. ``early`` is how many provisional answers (103) go before all that.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    delay: float = 0.0
    drip: tuple[int, float] | None = None
    header_drip: tuple[int, float] | None = None
    cut: int | None = None
    stop: int | None = None
    length: int | None = None
    chunked: bool = False
    extension: int = 0
    early: int = 0
    endless: bool = False


Script = Reply | Callable[[Seen], Reply]


class FaultRegistry:
    """Serves on a free port of ``address`` while entered. ``seen`` has every request in order of arrival."""

    def __init__(self, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.most_at_once = 0
        self.tls = tls
        self.stopped = threading.Event()
        self.connections: set[socket.socket] = set()
        self._scripts: dict[str, tuple[Script, ...]] = {}
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._server = _Server(address, self)
        self.port: int = self._server.server_address[1]
        self.host = f"{address}:{self.port}"
        self.base = f"{'https' if tls else 'http'}://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> FaultRegistry:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._thread.join()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    def script(self, path: str, *replies: Script) -> None:
        """The nth request for ``path`` (no query) gets the nth reply, all further ones the last."""
        self._scripts[path] = replies

    def blob(self, repository: str, data: bytes, *first: Script, media_type: str = LAYER) -> Descriptor:
        """Serves ``data`` as a blob with Range, after the replies ``first``."""
        digest = Digest.of(data)
        self.script(f"/v2/{repository}/blobs/{digest}", *first, lambda seen: ranged(seen, data))
        return Descriptor(media_type=media_type, digest=digest, size=len(data))

    def manifest(self, repository: str, tag: str, raw: bytes, media_type: str = MANIFEST) -> Digest:
        """Serves ``raw`` as a manifest by tag and by digest."""
        digest = Digest.of(raw)
        reply = Reply(body=raw, headers=(("Content-Type", media_type), ("Docker-Content-Digest", str(digest))))
        self.script(f"/v2/{repository}/manifests/{tag}", reply)
        self.script(f"/v2/{repository}/manifests/{digest}", reply)
        return digest

    def requests(self, path: str = "") -> list[Seen]:
        """The requests so far, those for ``path`` where one is given; the probe for TLS never counts."""
        return [seen for seen in list(self.seen) if not path or seen.path == path]

    def answer(self, seen: Seen) -> Reply:
        """The scripted reply, and the record of the request."""
        with self._lock:
            self.seen.append(seen)
            scripts = self._scripts.get(seen.path, (NOT_FOUND,))
            number = self._counts.get(seen.path, 0)
            self._counts[seen.path] = number + 1
        script = scripts[min(number, len(scripts) - 1)]
        return script if isinstance(script, Reply) else script(seen)

    def entered(self, connection: socket.socket) -> None:
        """A connection begins."""
        with self._lock:
            self.connections.add(connection)
            self.most_at_once = max(self.most_at_once, len(self.connections))

    def left(self, connection: socket.socket) -> None:
        """A connection has ended."""
        with self._lock:
            self.connections.discard(connection)


def error(status: int, code: str, message: str = "", *headers: tuple[str, str]) -> Reply:
    """An error in the form of the distribution specification."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Reply(status=status, body=body, headers=(("Content-Type", "application/json"), *headers))


def redirect(target: str, status: int = 307) -> Reply:
    return Reply(status=status, headers=(("Location", target),))


def html(status: int = 200) -> Reply:
    return Reply(status=status, body=b"<!DOCTYPE html><html>hello</html>", headers=(("Content-Type", "text/html"),))


NOT_FOUND = error(404, "NOT_FOUND")


def ranged(seen: Seen, data: bytes, **faults: Any) -> Reply:
    """``data`` as a server with Range support sends it."""
    wanted = seen.headers.get("range", "")
    kind = ("Content-Type", "application/octet-stream")
    if not wanted:
        return Reply(body=data, headers=(kind,), **faults)
    start = int(wanted.removeprefix("bytes=").rstrip("-"))
    if start >= len(data):
        return Reply(status=416, headers=(("Content-Range", f"bytes */{len(data)}"),))
    place = ("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    return Reply(status=206, body=data[start:], headers=(kind, place), **faults)


def image(registry: FaultRegistry, repository: str, tag: str, layer: bytes, *first: Script) -> tuple[Digest, Descriptor]:
    """An image of one layer that ``registry`` serves; the replies ``first`` go before the layer's own."""
    layer_descriptor = registry.blob(repository, layer, *first)
    rootfs = {"type": "layers", "diff_ids": [str(Digest.of(layer))]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
    config_descriptor = registry.blob(repository, config, media_type=CONFIG)
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config_descriptor.to_json(),
        "layers": [layer_descriptor.to_json()],
    }
    return registry.manifest(repository, tag, json.dumps(document).encode()), layer_descriptor


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes without pattern, the same each time."""
    return hashlib.shake_128(seed.to_bytes(8, "big")).digest(size)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, address: str, registry: FaultRegistry) -> None:
        self.registry = registry
        super().__init__((address, 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news here."""


class _Handler(socketserver.BaseRequestHandler):
    server: _Server
    request: socket.socket

    def handle(self) -> None:
        registry = self.server.registry
        connection = self.request
        registry.entered(connection)
        connection.settimeout(30)
        try:
            first = connection.recv(1, socket.MSG_PEEK)
            if registry.tls is not None:
                connection = registry.tls.wrap_socket(connection, server_side=True)
            elif first == b"\x16":  # a TLS handshake; Go's servers answer like this
                connection.recv(65536)
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP server.\n")
                return
            with connection.makefile("rb") as reader:
                while not registry.stopped.is_set() and (seen := _read(reader)):
                    if not self._send(connection, registry.answer(seen)):
                        return
        except (OSError, ssl.SSLError):
            pass
        finally:
            registry.left(self.request)
            connection.close()

    def _send(self, connection: socket.socket, reply: Reply) -> bool:
        """Sends a reply; whether the connection can be used again."""
        stopped = self.server.registry.stopped
        if stopped.wait(reply.delay):
            return False
        length = len(reply.body) if reply.length is None else reply.length
        head = [f"HTTP/1.1 {reply.status} Scripted", *(f"{name}: {value}" for name, value in reply.headers)]
        head += ["Transfer-Encoding: chunked"] if reply.chunked else []
        head += [f"Content-Length: {length}"] if length >= 0 and not reply.chunked else []
        ordinary = length == len(reply.body) and reply.cut is None and reply.stop is None and not reply.endless
        head += [] if ordinary else ["Connection: close"]
        for _ in range(reply.early):
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </%b>\r\n\r\n" % (b"x" * 1000))
        for piece in _dripped("\r\n".join([*head, "", ""]).encode("latin-1"), reply.header_drip, stopped):
            connection.sendall(piece)
        limit = min(x for x in (reply.cut, reply.stop, len(reply.body)) if x is not None)
        body = reply.body[:limit]
        while not stopped.is_set():
            for piece in _dripped(body, reply.drip, stopped):
                extension = b";" + b"x" * reply.extension if reply.extension else b""
                connection.sendall(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) if reply.chunked else piece)
            if not reply.endless:
                break
        if reply.cut is not None:
            # What was sent has to arrive before the reset, or the client sees nothing of it.
            stopped.wait(0.05)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if reply.chunked and reply.stop is None:
            connection.sendall(b"0\r\n\r\n")
        return ordinary


def _dripped(data: bytes, drip: tuple[int, float] | None, stopped: threading.Event) -> Iterator[bytes]:
    if drip is None:
        yield from (data,) if data else ()
        return
    size, pause = drip
    for start in range(0, len(data), size):
        yield data[start : start + size]
        if pause and stopped.wait(pause):
            return


def _read(reader: Any) -> Seen | None:
    line = reader.readline(65536)
    if not line.strip():
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (line := reader.readline(65536)).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    seen = Seen(method=method, target=target, headers=headers)
    return replace(seen, body=reader.read(int(headers.get("content-length", "0"))))
