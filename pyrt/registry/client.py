"""An image at a registry: its manifests and blobs, from whichever endpoint has them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping

import httpx

from pyrt.errors import (
    DigestMismatch,
    ImageError,
    ImageNotFound,
    PyrtError,
    RegistryError,
    RegistryUnreachable,
    SizeMismatch,
)
from pyrt.oci import media_types
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.oci.reference import Reference
from pyrt.registry.blob_stream import BlobStream
from pyrt.registry.config_paths import ConfigPaths
from pyrt.registry.connection import Connection
from pyrt.registry.credentials import Credentials, CredentialStore
from pyrt.registry.hosts import Endpoint, Hosts
from pyrt.registry.manifest_fetch import fetch_manifest
from pyrt.registry.retry import RetryPolicy
from pyrt.registry.tag_list import fetch_tags
from pyrt.registry.transport import GuardedTransport, HostTransport
from pyrt.registry.wire import WireSettings

VERIFIED_HERE = 1024 * 1024


def open_client(
    wire: WireSettings, *, paths: ConfigPaths, environ: Mapping[str, str], endpoints: tuple[Endpoint, ...]
) -> httpx.Client:
    """An httpx client for these endpoints, which decides nothing by itself: no redirects, cookies, netrc or proxies."""
    insecure = frozenset(endpoint.host for endpoint in endpoints if endpoint.insecure)
    network = wire.transport or HostTransport(wire, paths=paths, environ=environ, insecure_hosts=insecure)
    return httpx.Client(transport=GuardedTransport(network), trust_env=False, follow_redirects=False)


def open_registry(
    text: str,
    *,
    environ: Mapping[str, str] = os.environ,
    credentials: Credentials | None = None,
    paths: ConfigPaths | None = None,
    wire: WireSettings | None = None,
) -> RegistrySource:
    """The source for a name that a user typed: a short one goes by the aliases and search list of registries.conf.

    Raises InvalidReference, UsageError (a configuration file is wrong), RegistryError (the registry is blocked).
    """
    paths = paths or ConfigPaths.from_environ(environ)
    hosts = Hosts.load(paths)
    first, *others = hosts.candidates(text)
    return RegistrySource(
        first,
        alternatives=tuple(others),
        environ=environ,
        credentials=credentials,
        paths=paths,
        hosts=hosts,
        wire=wire,
    )


class RegistrySource:
    """Reads one image. Thread-safe; closed by ``close`` or as a context manager.

    ``alternatives`` are further meanings of a short name (see Hosts.candidates), tried while there is no manifest yet;
    ``reference`` is the one that was found. ``credentials`` go before everything that is configured. ``accept`` is for
    tests. Endpoints are asked in order: mirrors first; one that cannot be reached is not asked again.
    """

    def __init__(
        self,
        reference: Reference,
        *,
        alternatives: tuple[Reference, ...] = (),
        environ: Mapping[str, str] = os.environ,
        credentials: Credentials | None = None,
        paths: ConfigPaths | None = None,
        hosts: Hosts | None = None,
        wire: WireSettings | None = None,
        accept: tuple[str, ...] = media_types.ACCEPT,
    ) -> None:
        self.reference = reference
        self._alternatives = alternatives
        self._environ = environ
        self._given = credentials
        self._paths = paths or ConfigPaths.from_environ(environ)
        self._hosts = hosts or Hosts.load(self._paths)
        self._wire = wire or WireSettings()
        self._accept = accept
        self._lock = threading.Lock()
        self._excluded: set[tuple[str, int]] = set()  # (digest, number of the endpoint) that gave wrong bytes
        self._dead: set[int] = set()
        self._served: dict[str, int] = {}  # digest: the endpoint that gave its bytes
        self._pieced: set[str] = set()  # digests whose bytes came in several answers
        self._refetched: set[str] = set()
        self._store = CredentialStore(self._paths, environ)
        self._client, self._connections = self._connect(reference)

    def __enter__(self) -> RegistrySource:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes all connections."""
        self._client.close()

    def manifest(self, which: str | Digest | None = None) -> tuple[bytes, str]:
        """The raw bytes of a manifest or index, and its content type; None for the one that the reference names.

        Raises ImageNotFound, AccessDenied, RateLimited, NotARegistry, RegistryUnreachable, DigestMismatch,
        InvalidManifest, RegistryError.
        """
        if which is not None:
            return self._manifest(which)
        try:
            return self._manifest(self.reference.digest or self.reference.tag or "latest")
        except (ImageNotFound, RegistryError):
            if not self._alternatives:
                raise
            self._use(self._alternatives[0], self._alternatives[1:])
            return self.manifest()

    def tags(self) -> tuple[str, ...]:
        """All tags of the repository, from the registry itself. Raises as ``manifest`` does."""
        return fetch_tags(self._connections[-1])

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """The stored bytes of a blob from ``offset`` on; ``descriptor.urls`` are never used.

        Broken connections are resumed, at another endpoint if need be. The size is checked here. The digest is checked
        here up to 1 MiB and from offset 0; for more, the caller does it, and tells ``reject`` where it is wrong.
        Raises ImageNotFound, SizeMismatch, DigestMismatch, AccessDenied, RateLimited, RegistryError.
        """
        if descriptor.size is not None and descriptor.size <= VERIFIED_HERE and offset == 0:
            yield self._small(descriptor)
            return
        position = offset
        for number, last in self._order(str(descriptor.digest)):
            stream = self._stream(number, descriptor, position, last=last)
            before = position
            try:
                for piece in stream:
                    position += len(piece)
                    self._served[str(descriptor.digest)] = number
                    yield piece
                return
            except SizeMismatch:
                if last or position > before:
                    raise
                self._exclude(descriptor, number)
            except (RegistryError, ImageNotFound) as error:
                self._note(number, error)
                if last:
                    raise
            finally:
                if stream.resumed or (before > 0 and position > before):
                    with self._lock:
                        self._pieced.add(str(descriptor.digest))

    def reject(self, descriptor: Descriptor, error: ImageError) -> None:
        """To be called for a blob whose bytes were wrong (DigestMismatch, SizeMismatch).

        Where this returns, ``blob`` is worth another call from offset 0: the bytes had been put together from several
        answers, or another endpoint may have the right ones. Else it raises ``error``.
        """
        digest = str(descriptor.digest)
        with self._lock:
            if digest in self._pieced - self._refetched:
                self._pieced.discard(digest)
                self._refetched.add(digest)
                return
        order = self._order(digest)
        served = self._served.get(digest, order[0][0])
        if all(number == served for number, _ in order):
            raise error
        self._exclude(descriptor, served)

    def _connect(self, reference: Reference) -> tuple[httpx.Client, tuple[Connection, ...]]:
        endpoints = self._hosts.endpoints(reference)
        client = open_client(self._wire, paths=self._paths, environ=self._environ, endpoints=endpoints)
        return client, tuple(self._connection(endpoint, client) for endpoint in endpoints)

    def _connection(self, endpoint: Endpoint, client: httpx.Client) -> Connection:
        def credentials() -> Credentials | None:
            if self._given is not None and endpoint.registry == self.reference.registry:
                return self._given
            return self._store.find(endpoint.registry, endpoint.repository)

        def note() -> str:
            return "; ".join(self._store.notes)

        return Connection(endpoint, client, self._wire, credentials=credentials, note=note)

    def _use(self, reference: Reference, alternatives: tuple[Reference, ...]) -> None:
        self._client.close()
        self.reference, self._alternatives = reference, alternatives
        self._excluded, self._dead = set(), set()
        self._client, self._connections = self._connect(reference)

    def _manifest(self, which: str | Digest) -> tuple[bytes, str]:
        failure: PyrtError | None = None
        for number, last in self._order(str(which)):
            try:
                return fetch_manifest(self._connections[number], which, accept=self._accept, retry=self._patience(last))
            except (RegistryError, ImageError) as error:
                self._note(number, error)
                failure = error
        assert failure is not None
        raise failure

    def _small(self, descriptor: Descriptor) -> bytes:
        failure: PyrtError | None = None
        for number, last in self._order(str(descriptor.digest)):
            for _ in range(2):
                stream = self._stream(number, descriptor, 0, last=last)
                try:
                    return _verified(b"".join(stream), descriptor)
                except (RegistryError, ImageError) as error:
                    self._note(number, error)
                    failure = error
                if not (isinstance(failure, DigestMismatch) and stream.resumed):
                    break
        assert failure is not None
        raise failure

    def _stream(self, number: int, descriptor: Descriptor, offset: int, *, last: bool) -> BlobStream:
        return BlobStream(self._connections[number], descriptor, offset, self._wire, self._patience(last))

    def _order(self, key: str) -> list[tuple[int, bool]]:
        """The endpoints worth asking for ``key``, each with whether it is the last one."""
        with self._lock:
            everyone = range(len(self._connections))
            willing = [n for n in everyone if n not in self._dead and (key, n) not in self._excluded]
            chosen = willing or [len(self._connections) - 1]
        return [(number, number == chosen[-1]) for number in chosen]

    def _patience(self, last: bool) -> RetryPolicy:
        return self._wire.retry if last else self._wire.retry.once()

    def _exclude(self, descriptor: Descriptor, number: int) -> None:
        with self._lock:
            self._excluded.add((str(descriptor.digest), number))

    def _note(self, number: int, error: PyrtError) -> None:
        if isinstance(error, RegistryUnreachable):
            with self._lock:
                self._dead.add(number)


def _verified(data: bytes, descriptor: Descriptor) -> bytes:
    hasher = descriptor.digest.hasher()
    hasher.update(data)
    if not descriptor.digest.matches(hasher):
        actual = f"{descriptor.digest.algorithm}:{hasher.hexdigest()}"
        expected = str(descriptor.digest)
        raise DigestMismatch(f"blob {expected}: its bytes have digest {actual}", expected=expected, actual=actual)
    return data
