"""Requests to one endpoint: scheme, login, redirects, retries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import httpx

from pyrt.errors import InvalidManifest, PyrtError, RegistryError
from pyrt.oci import limits
from pyrt.registry import failures
from pyrt.registry.auth import RegistryAuth, TokenServerBusy
from pyrt.registry.credentials import Credentials
from pyrt.registry.hosts import Endpoint
from pyrt.registry.redirects import REDIRECT_STATUS, Destinations, origin
from pyrt.registry.retry import RETRIED_STATUS, Attempts, RetryPolicy, retry_after
from pyrt.registry.token import CLIENT_ID
from pyrt.registry.transport import DOCUMENT, LIMIT, LOCATION, SENT_BY, UNVERIFIED, AnswerTooLarge
from pyrt.registry.wire import WireSettings
from pyrt.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer. ``body`` is bounded by the limit of its request."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: httpx.URL


class Connection:
    """All that is asked of one endpoint, from any thread. ``credentials`` is called at the first challenge."""

    def __init__(
        self,
        endpoint: Endpoint,
        client: httpx.Client,
        wire: WireSettings,
        *,
        credentials: Callable[[], Credentials | None],
        offline: bool = False,
        note: Callable[[], str] = str,
    ) -> None:
        self.endpoint = endpoint
        self._client = client
        self._wire = wire
        self._credentials = credentials
        self._offline = offline
        self._note = note
        self._lock = threading.Lock()
        self._started: tuple[httpx.URL, RegistryAuth, Destinations] | None = None

    @property
    def auth(self) -> RegistryAuth:
        """The login of this endpoint."""
        return self._start()[1]

    def fetch(
        self, path: str, *, headers: Mapping[str, str] | None = None, limit: int, retry: RetryPolicy | None = None
    ) -> Answer:
        """The whole answer to GET ``path`` (absolute, or a full URL of this registry), whatever its status.

        Raises RegistryError and its subclasses where there is none, InvalidManifest for one above ``limit`` bytes.
        """
        attempts = Attempts(retry or self._wire.retry, self._wire.clock)
        while True:
            response = self.open(path, headers=headers, limit=limit, attempts=attempts, document=True)
            try:
                body = b"".join(response.iter_raw()) if not response.is_closed else response.content
            except AnswerTooLarge as error:
                raise InvalidManifest(f"{self.endpoint.host}{path}: the answer is {error}") from error
            except httpx.TransportError as error:
                if failures.is_transient(error) and attempts.again():
                    continue
                raise self._unreachable(error) from error
            finally:
                response.close()
            return Answer(status=response.status_code, headers=response.headers, body=body, url=response.url)

    def open(
        self,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        limit: int | None,
        attempts: Attempts,
        document: bool = False,
    ) -> httpx.Response:
        """The answer to GET ``path``, its body not yet read; the caller closes it. Repeated as ``attempts`` allow. The body of
        a ``document`` has a time as a whole."""
        while True:
            try:
                response = self._send(path, headers or {}, {LIMIT: limit, DOCUMENT: document})
            except TokenServerBusy as busy:
                response = busy.response
            except httpx.TransportError as error:
                if failures.is_transient(error) and attempts.again():
                    continue
                raise self._unreachable(error) from error
            if response.status_code not in RETRIED_STATUS:
                return response
            if not attempts.again(retry_after(response.headers, self._wire.clock)):
                return response
            response.close()

    def refusal(self, answer: Answer, subject: str) -> PyrtError:
        """The exception for an answer that is not what was asked for; ``subject`` names that."""
        return failures.refusal(
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            host=self.endpoint.host,
            registry=self.endpoint.registry,
            subject=subject,
            retry_after=retry_after(answer.headers, self._wire.clock),
            secrets=self.auth.secrets(),
            note=self._note(),
            logged_in=self.auth.logged_in,
        )

    def resolve(self, target: str, what: str) -> httpx.URL:
        """An address that an answer names, allowed only below this endpoint itself. Raises RegistryError."""
        home, _, destinations = self._start()
        url = destinations.resolve(home, target, what)
        if origin(url) != origin(home):
            raise RegistryError(f"{self.endpoint.host}: {what} leads to another host", host=self.endpoint.host)
        return url

    def _send(self, path: str, headers: Mapping[str, str], extensions: Mapping[str, object]) -> httpx.Response:
        """One request and the redirects that follow it. Only the endpoint's own origin sees Authorization."""
        home, auth, destinations = self._start()
        started = self._wire.clock.monotonic()
        url = home.join(path)
        sent = {"accept-encoding": "identity", "user-agent": CLIENT_ID, **headers}
        for _ in range(limits.REDIRECTS + 1):
            request = httpx.Request("GET", url, headers=sent, extensions={**extensions, SENT_BY: home.host})
            mine = origin(url) == origin(home)
            response = self._client.send(request, stream=True, auth=auth if mine else None, follow_redirects=False)
            if response.status_code not in REDIRECT_STATUS:
                return response
            response.close()
            url = destinations.resolve(url, response.extensions[LOCATION], "redirect")
            if self._wire.clock.monotonic() - started > self._wire.timeouts.header:
                raise self._unreachable(httpx.ReadTimeout("redirects without end", request=request))
        host = self.endpoint.host
        raise RegistryError(f"{host}: more than {limits.REDIRECTS} redirects for one request", host=host)

    def _start(self) -> tuple[httpx.URL, RegistryAuth, Destinations]:
        with self._lock:
            if self._started is None:
                endpoint = self.endpoint
                scheme = endpoint.scheme or ("https" if self._speaks_tls() else "http")
                home = self._address(scheme)
                destinations = Destinations(home=home, insecure=endpoint.insecure, treat_as_public=self._wire.treat_as_public)
                auth = RegistryAuth(
                    registry=endpoint.registry,
                    repository=endpoint.repository,
                    destinations=destinations,
                    credentials=self._credentials,
                    clock=self._wire.clock,
                    offline=self._offline,
                )
                self._started = home, auth, destinations
            return self._started

    def _address(self, scheme: str, path: str = "/") -> httpx.URL:
        host = self.endpoint.host
        try:
            url = httpx.URL(f"{scheme}://{host}{path}")
            decoded = url.host
        except (httpx.InvalidURL, ValueError):  # such as "xn--"
            decoded = ""
        if not decoded:
            raise RegistryError(f"{host}: not the name of a host", host=host)
        return url

    def _speaks_tls(self) -> bool:
        """Where plain http is allowed too, TLS is tried first; the certificate is looked at later, by every request."""
        url = self._address("https", "/v2/")
        request = httpx.Request("GET", url, headers={"user-agent": CLIENT_ID}, extensions={UNVERIFIED: True, LIMIT: 0})
        try:
            self._client.send(request, stream=True, auth=None, follow_redirects=False).close()
        except httpx.TransportError as error:
            # Without a port, 80 may be open where 443 is not.
            if failures.speaks_no_tls(error) or (failures.was_refused(error) and url.port is None):
                return False
            if failures.ssl_error(error) is not None:
                return True
            raise self._unreachable(error) from error
        return True

    def _unreachable(self, error: httpx.TransportError) -> RegistryError:
        return failures.unreachable(error, self.endpoint.host, self._wire.timeouts)
