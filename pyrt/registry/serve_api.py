"""One request to the embedded registry: the pull half of the distribution API.

No part of a request reaches the file system: names are looked up in a table, digests are validated. Source:
distribution-spec 1.1, "Pull", "Content Discovery" and "Error Codes".
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote

from pyrt._version import VERSION
from pyrt.errors import ImageError, ImageNotFound, UsageError
from pyrt.oci.digest import Digest
from pyrt.oci.media_types import INDEXES, MANIFESTS
from pyrt.registry.byte_range import ByteRange, parse_range
from pyrt.registry.served import Repository, ServedStore

if TYPE_CHECKING:
    import socketserver

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_ROUTE = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|tags)/(?P<what>[^/]+)")
_STATUS = {
    "UNSUPPORTED": 405,
    "NAME_INVALID": 400,
    "DIGEST_INVALID": 400,
    "PAGINATION_NUMBER_INVALID": 400,
    "NAME_UNKNOWN": 404,
    "MANIFEST_UNKNOWN": 404,
    "BLOB_UNKNOWN": 404,
    "UNKNOWN": 500,
}
_BLOB_TYPE = "application/octet-stream"
_MAX_PAGE = 1000
_LOGGED = 500  # characters of a log line


class ApiError(Exception):
    """A refusal, by the code that the specification has for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RequestHandler(BaseHTTPRequestHandler):
    """Answers the requests of one connection, from ``store``; ``log`` gets one line for each."""

    protocol_version = "HTTP/1.1"
    timeout = 60.0  # seconds; an idle or stuck client holds a thread no longer
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait for the client's ACK

    def __init__(
        self,
        request: object,
        client_address: object,
        server: socketserver.BaseServer,
        *,
        store: ServedStore,
        log: Callable[[str], None] | None,
    ) -> None:
        self._store = store
        self._log = log
        super().__init__(request, client_address, server)  # type: ignore[arg-type]  # typeshed: a socket or a pair

    def do_GET(self) -> None:
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body that nobody reads would be taken for the next request
        try:
            self._answer()
        except ApiError as error:
            self._refuse(_STATUS[error.code], error.code, str(error))
        except ImageError as error:
            self.log_message("%s", error)  # it names paths of this machine, which are no business of the client
            self._refuse(_STATUS["UNKNOWN"], "UNKNOWN", "the store cannot be read")

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        self.close_connection = True
        self._refuse(_STATUS["UNSUPPORTED"], "UNSUPPORTED", "this registry is read-only", {"Allow": "GET, HEAD"})

    do_POST = do_PATCH = do_DELETE = do_PUT

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server refuses by itself: malformed requests, unknown methods."""
        self.close_connection = True
        self._refuse(code, "UNSUPPORTED", message or explain or "malformed request")

    def version_string(self) -> str:
        return f"pyrt/{VERSION}"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Clients that try https first are common; their greeting is no text."""
        line = "a TLS handshake" if self.requestline.startswith("\x16\x03") else self.requestline
        self.log_message('"%s" %s', line, int(code))

    def log_message(self, format: str, *args: object) -> None:
        if self._log is not None:
            line = f"{self.address_string()} {format % args}"
            self._log("".join(character if character.isprintable() else "?" for character in line[:_LOGGED]))

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        path = unquote(path)
        if path in ("/v2", "/v2/"):
            return self._send(200, b"{}", "application/json")
        route = _ROUTE.fullmatch(path)
        if route is None:
            raise ApiError("NAME_UNKNOWN", "no such page: this is a registry, its API is below /v2/")
        name, kind, what = route.group("name", "kind", "what")
        if not _NAME.fullmatch(name):
            raise ApiError("NAME_INVALID", "invalid repository name")
        repository = self._store.repository(name)
        if repository is None:
            raise ApiError("NAME_UNKNOWN", f"repository {name} is not in this store")
        if kind == "manifests":
            return self._manifest(repository, what)
        if kind == "blobs":
            return self._blob(repository, _digest(what))
        if what != "list":
            raise ApiError("NAME_UNKNOWN", "no such page")
        return self._tags(name, repository, query)

    def _manifest(self, repository: Repository, what: str) -> None:
        by_digest = ":" in what
        entry = self._store.find(repository, _digest(what)) if by_digest else repository.tags.get(what)
        if entry is None or entry.media_type not in INDEXES | MANIFESTS:
            raise ApiError("MANIFEST_UNKNOWN", "manifest unknown")
        self._send_file(entry.digest, entry.media_type, "MANIFEST_UNKNOWN")

    def _blob(self, repository: Repository, digest: Digest) -> None:
        if self._store.find(repository, digest) is None:
            raise ApiError("BLOB_UNKNOWN", "blob unknown to registry")
        self._send_file(digest, _BLOB_TYPE, "BLOB_UNKNOWN")

    def _tags(self, name: str, repository: Repository, query: str) -> None:
        fields = parse_qs(query, keep_blank_values=True)
        last, number = fields.get("last", [""])[0], fields.get("n", [str(_MAX_PAGE)])[0]
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise ApiError("PAGINATION_NUMBER_INVALID", "n is not a number")
        tags = [tag for tag in repository.tags if tag > last]
        page = tags[: min(int(number), _MAX_PAGE)]
        headers = {}
        if page and len(page) < len(tags):
            headers["Link"] = f'</v2/{name}/tags/list?n={len(page)}&last={quote(page[-1])}>; rel="next"'
        self._send(200, json.dumps({"name": name, "tags": page}).encode(), "application/json", headers)

    def _send_file(self, digest: Digest, content_type: str, unknown: str) -> None:
        try:
            number, size = self._store.open(digest)
        except ImageNotFound as error:
            raise ApiError(unknown, "not in this store") from error
        with io.FileIO(number, "rb") as file:
            self._send_content(file, size, digest, content_type)

    def _send_content(self, file: io.FileIO, size: int, digest: Digest, content_type: str) -> None:
        etag = f'"{digest}"'
        headers = {"Docker-Content-Digest": str(digest), "ETag": etag, "Accept-Ranges": "bytes"}
        if etag in self.headers.get("If-None-Match", ""):
            return self._head(304, None, content_type, headers)
        wanted = self._range(size, etag)
        if wanted is None:
            self._head(200, size, content_type, headers)
            return self._body(file, 0, size)
        headers["Content-Range"] = wanted.content_range(size)
        if not wanted.length:
            return self._send(416, b"", content_type, headers)
        self._head(206, wanted.length, content_type, headers)
        return self._body(file, wanted.start, wanted.length)

    def _range(self, size: int, etag: str) -> ByteRange | None:
        if self.command != "GET" or self.headers.get("If-Range", etag) != etag:
            return None
        return parse_range(self.headers.get("Range"), size)

    def _body(self, file: io.FileIO, start: int, length: int) -> None:
        if self.command == "HEAD" or not length:
            return
        sent = self.connection.sendfile(file, start, length)
        if sent != length:
            self.close_connection = True  # the file is shorter than it was: the client must see the cut

    def _refuse(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps({"errors": [{"code": code, "message": message, "detail": None}]}).encode()
        self._send(status, body, "application/json", headers)

    def _send(self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        self._head(status, len(body), content_type, headers or {})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, length: int | None, content_type: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", content_type)
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()


def _digest(text: str) -> Digest:
    try:
        return Digest.parse(text)
    except UsageError as error:
        raise ApiError("DIGEST_INVALID", "provided digest is not sha256:<64 hex> or sha512:<128 hex>") from error
