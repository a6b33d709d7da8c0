"""The embedded registry: a store, served read-only over HTTP to pyrt, docker, podman, skopeo and their kind.

For demos and tests, and for handing images to other machines without a registry. It has no TLS and no login: whoever
reaches the port can read every image that has a name in the store.
"""

from __future__ import annotations

import functools
import re
import socket
import socketserver
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from types import TracebackType

from pyrt.errors import UsageError
from pyrt.registry.serve_api import RequestHandler
from pyrt.registry.served import ServedStore

DEFAULT_LISTEN = "127.0.0.1:5000"
_LISTEN = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^:\[\]/\s]+)):(?P<port>[0-9]{1,5})")


def serve(store_root: str, listen: str = DEFAULT_LISTEN, *, log: Callable[[str], None] | None = None) -> Server:
    """Serves the OCI image layout at ``store_root`` on ``listen`` ("host:port", port 0 for any) until it is shut down.

    It listens on exactly that address; 0.0.0.0 or [::] open it to others. ``log`` gets one line for each request.
    Raises UsageError for an address that is malformed or cannot be bound, ImageNotFound where there is no store.
    """
    host, port, family = _address(listen)
    store = ServedStore(store_root)
    try:
        return Server(host, port, family, store, log)
    except OSError as error:
        store.close()
        raise UsageError(f"cannot listen on {listen}: {error.strerror or error}") from error


class Server:
    """A running embedded registry; a context manager that shuts it down."""

    def __init__(
        self,
        host: str,
        port: int,
        family: socket.AddressFamily,
        store: ServedStore,
        log: Callable[[str], None] | None,
    ) -> None:
        self._store = store
        handler = functools.partial(RequestHandler, store=store, log=log)
        self._http = _HttpServer((host, port), handler, family)
        self._thread = threading.Thread(
            target=self._http.serve_forever, name="pyrt-serve", kwargs={"poll_interval": 0.1}
        )
        self._thread.start()

    @property
    def host(self) -> str:
        """The numeric address that it listens on."""
        return str(self._http.server_address[0])

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def address(self) -> str:
        """host:port, as it stands in an image's name and in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def wait(self) -> None:
        """Blocks until ``shutdown`` or an exception such as KeyboardInterrupt."""
        self._thread.join()

    def shutdown(self) -> None:
        """Ends all connections and gives back port, threads and files. Can be repeated."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._store.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()


class _HttpServer(ThreadingHTTPServer):
    """A server that knows its connections, so that it can end them."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        handler: Callable[..., RequestHandler],
        family: socket.AddressFamily,
    ) -> None:
        self.address_family = family
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """As TCPServer does it: HTTPServer asks the name service for its own name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: object) -> None:
        assert isinstance(request, socket.socket)
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """A client that went away is no event; nothing else ends up here without being an error of ours."""
        import sys

        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        with self._lock:
            for connection in self._connections:
                _cut(connection)
        super().server_close()


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it was gone already


def _address(listen: str) -> tuple[str, int, socket.AddressFamily]:
    match = _LISTEN.fullmatch(listen)
    if match is None or int(match["port"]) > 65535:
        hint = "0.0.0.0:5000 listens on all addresses" if listen.startswith(":") else ""
        raise UsageError(f"listen address {listen!r} is not of the form host:port", hint=hint)
    host = match["six"] or match["host"]
    try:
        found = socket.getaddrinfo(host, int(match["port"]), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise UsageError(f"listen address {listen!r}: {error.strerror or error}") from error
    family, _, _, _, address = found[0]
    return str(address[0]), int(address[1]), family
