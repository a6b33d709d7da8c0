"""The network as httpx sees it: each host with its own TLS context and proxy, answers bounded and left as they are."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import NoReturn

import httpcore
import httpx

from pyrt.errors import UsageError
from pyrt.oci import limits
from pyrt.registry.addresses import NOWHERE, PUBLIC, ip_literal, reach
from pyrt.registry.certs import host_trust, tls_context
from pyrt.registry.config_paths import ConfigPaths
from pyrt.registry.proxies import ProxyRules
from pyrt.registry.shown import shown_url
from pyrt.registry.stream_meter import LeadsInside, MeteredBackend, MeteredStream, look_up
from pyrt.registry.wire import WireSettings

LIMIT = "pyrt.limit"  # request extension: how many bytes of a good answer are taken
DOCUMENT = "pyrt.document"  # request extension: the answer is a document, which has a time as a whole
SENT_BY = "pyrt.sent-by"  # request extension: the address of the registry whose answer sends us to another host
LOCATION = "pyrt.location"  # response extension: the Location header, "" for none
UNVERIFIED = "pyrt.unverified"  # request extension: only to learn whether a host speaks TLS; nothing secret is sent

_DEFAULT_PORTS = {"http": 80, "https": 443}


class NameLeadsInside(httpx.ConnectError):
    """A name that an answer sends us to resolves to an address inside."""


_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (LeadsInside, NameLeadsInside),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.ProxyError, httpx.ProxyError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
)
_LOWER_ERRORS = tuple(lower for lower, _ in _ERRORS)


class AnswerTooLarge(httpx.TransportError):
    """A good answer that is longer than the request allowed."""


class HostTransport(httpx.BaseTransport):
    """Routes each request by its host, so that certs.d, "insecure" and the proxy rules hold for everything that is sent
    to that host: the API, the token server (CVE-2025-6032's class) and the targets of redirects."""

    def __init__(
        self,
        wire: WireSettings,
        *,
        paths: ConfigPaths,
        environ: Mapping[str, str] = os.environ,
        insecure_hosts: frozenset[str] = frozenset(),
    ) -> None:
        self._wire = wire
        self._paths = paths
        self._environ = environ
        self._insecure = insecure_hosts
        self._proxies = ProxyRules.from_environ(environ)
        self._pools: dict[tuple[str, str, int, bool, int | None], httpcore.ConnectionPool] = {}
        self._reach: dict[str, int] = {}  # of hosts that we were connected to by themselves
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        port = url.port or _DEFAULT_PORTS[url.scheme]
        unverified = bool(request.extensions.get(UNVERIFIED))
        pool = self._pool(url.scheme, url.host, port, unverified, self._furthest(request))
        times = self._wire.timeouts
        timeout = {"connect": times.probe if unverified else times.connect, "read": times.header, "write": times.header}
        lower = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions={"timeout": timeout},
        )
        try:
            answer = pool.handle_request(lower)
        except _LOWER_ERRORS as error:
            _raise(error)
        timeout["read"] = times.progress  # httpcore looks it up again when the body is read
        stream = answer.extensions.get("network_stream")
        meter = stream if isinstance(stream, MeteredStream) else None
        if meter is not None:
            is_document = answer.status >= 300 or request.extensions.get(DOCUMENT)
            meter.expect_body(times.document if is_document else None)
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_PoolStream(answer, meter),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        with self._lock:
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()

    def _furthest(self, request: httpx.Request) -> int | None:
        """How far inside the address may lie that the request's host resolves to, None for wherever it does.

        Only where somebody else sends us there, and without TLS, by which the host would have to prove its name.
        """
        sent_by = request.extensions.get(SENT_BY)
        if sent_by is None or request.url.scheme != "http" or request.url.host == sent_by:
            return None
        return max(self._reach_of(sent_by), self._reach.get(sent_by, PUBLIC))

    def _reach_of(self, host: str) -> int:
        return PUBLIC if str(ip_literal(host)) in self._wire.treat_as_public else reach(host)

    def _note(self, host: str, address: str) -> None:
        """A name may have several addresses: it is as far inside as the outermost of those that answered."""
        with self._lock:
            self._reach[host] = min(self._reach.get(host, NOWHERE), self._reach_of(address))

    def _pool(
        self, scheme: str, host: str, port: int, unverified: bool, furthest: int | None
    ) -> httpcore.ConnectionPool:
        key = (scheme, host, port, unverified, furthest)
        with self._lock:
            if key not in self._pools:
                self._pools[key] = self._make_pool(scheme, host, port, unverified, furthest)
            return self._pools[key]

    def _make_pool(
        self, scheme: str, host: str, port: int, unverified: bool, furthest: int | None
    ) -> httpcore.ConnectionPool:
        verify = not unverified and not ({f"{host}:{port}", host, f"[{host}]:{port}", f"[{host}]"} & self._insecure)
        context = None
        if scheme == "https":
            context = tls_context(host_trust(self._paths, host, port), verify=verify, environ=self._environ)
        proxy = self._proxies.proxy_for(scheme, host, port)
        times, clock = self._wire.timeouts, self._wire.clock
        if not proxy:
            backend = MeteredBackend(
                times,
                clock,
                connected=(lambda address: self._note(host, address)) if furthest is None else None,
                may_connect=None if furthest is None else lambda address: self._reach_of(address) <= furthest,
                lookup=self._wire.lookup or look_up,
            )
            connections = self._wire.connections
            return httpcore.ConnectionPool(ssl_context=context, max_connections=connections, network_backend=backend)
        return self._make_proxy_pool(proxy, context, MeteredBackend(times, clock))

    def _make_proxy_pool(
        self, address: str, context: ssl.SSLContext | None, backend: httpcore.NetworkBackend
    ) -> httpcore.ConnectionPool:
        url = _proxy_url(address)
        proxy_context = None
        if url.scheme == "https":
            proxy_context = tls_context(host_trust(self._paths, url.host, url.port or 443), environ=self._environ)
        return httpcore.HTTPProxy(
            proxy_url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/"),
            proxy_auth=(url.username, url.password) if url.username or url.password else None,
            ssl_context=context,
            proxy_ssl_context=proxy_context,
            max_connections=self._wire.connections,
            network_backend=backend,
        )


class GuardedTransport(httpx.BaseTransport):
    """Bounds every body, and takes away what httpx would act upon by itself.

    An error's body ends at limits.ERROR_BYTES; a good one that is longer than the request's limit raises AnswerTooLarge. We
    ask for ``identity`` and digests are of the bytes as stored, so Content-Encoding never means anything here (RG-27).
    Location goes where httpx does not look: told to follow nothing, it reads it all the same, and fails on a wrong one.
    """

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        response.headers.pop("content-encoding", None)
        extensions = {**response.extensions, LOCATION: response.headers.pop("location", "")}
        limit = request.extensions.get(LIMIT)
        good = response.status_code < 300
        stream = response.stream
        assert isinstance(stream, httpx.SyncByteStream)
        return httpx.Response(
            status_code=response.status_code,
            headers=response.headers,
            stream=_BoundedStream(stream, limit if good else limits.ERROR_BYTES, fail=good),
            extensions=extensions,
        )

    def close(self) -> None:
        self._inner.close()


class _PoolStream(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response, meter: MeteredStream | None) -> None:
        self._answer = answer
        self._meter = meter

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._answer.iter_stream():
                if self._meter is not None:
                    self._meter.consumed(len(chunk))
                yield chunk
        except _LOWER_ERRORS as error:
            _raise(error)

    def close(self) -> None:
        self._answer.close()


class _BoundedStream(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, limit: int | None, *, fail: bool) -> None:
        self._inner = inner
        self._limit = limit
        self._fail = fail

    def __iter__(self) -> Iterator[bytes]:
        left = self._limit
        for chunk in self._inner:
            if left is not None:
                if len(chunk) > left:
                    if self._fail:
                        raise AnswerTooLarge(f"longer than {self._limit} bytes")
                    yield chunk[:left]
                    return
                left -= len(chunk)
            yield chunk

    def close(self) -> None:
        self._inner.close()


def _proxy_url(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address)
        host = url.host  # decoded, which "xn--" cannot be
    except (httpx.InvalidURL, ValueError):
        raise UsageError(f"proxy {shown_url(address)}: not an address") from None
    if url.scheme not in ("http", "https") or not host:
        raise UsageError(f"proxy {shown_url(address)}: only http and https proxies can be used")
    return url


def _raise(error: Exception) -> NoReturn:
    for lower, upper in _ERRORS:
        if isinstance(error, lower):
            raise upper(str(error)) from error
    raise error
