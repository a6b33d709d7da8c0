"""Logging in at a registry as an httpx.Auth flow: Bearer tokens, Basic, or nobody.

All requests of an endpoint share one flow object, from several threads: whoever meets the first challenge logs in while
the others wait, so parallel blobs cost one token request (threat catalogue RG-17). Token requests are yielded to the
client like any other, so they get the TLS context and the proxy of the token server's host from its transport. Waiting
with the lock held across a ``yield`` is safe here: httpx drives a flow in one thread and closes it, come what may.

Source: distribution, "Token Authentication Specification", "OAuth2 Token Authentication"; RFC 7617.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Generator
from urllib.parse import urlencode

import httpx

from pyrt.errors import AccessDenied, NotARegistry
from pyrt.oci import limits
from pyrt.oci.shown import printable
from pyrt.registry.challenge import Challenge, InvalidChallenge, parse_challenges
from pyrt.registry.clock import Clock
from pyrt.registry.credentials import Credentials
from pyrt.registry.redirects import REDIRECT_STATUS, Destinations, origin
from pyrt.registry.retry import RETRIED_STATUS
from pyrt.registry.token import CLIENT_ID, InvalidToken, Token, parse_token, pull_scope, pull_scopes
from pyrt.registry.transport import DOCUMENT, LIMIT, LOCATION, SENT_BY, AnswerTooLarge

Flow = Generator[httpx.Request, httpx.Response, None]


class TokenServerBusy(Exception):
    """The token server answered with a status that is worth another try later. ``response`` has been read."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"token server: {response.status_code}")
        self.response = response


class RegistryAuth(httpx.Auth):
    """Logs in at one endpoint for reading one repository ("" for none, as login does).

    ``credentials`` is asked once, at the first challenge. ``offline`` asks for an identity token too. Raises
    AccessDenied where logging in is impossible, NotARegistry for a token server that is none, TokenServerBusy.
    """

    def __init__(
        self,
        *,
        registry: str,
        repository: str,
        destinations: Destinations,
        credentials: Callable[[], Credentials | None],
        clock: Clock,
        offline: bool = False,
    ) -> None:
        self._registry = registry
        self._repository = repository
        self._destinations = destinations
        self._ask_credentials = credentials
        self._clock = clock
        self._offline = offline
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None
        self._asked = False
        self._basic = False
        self._token: Token | None = None
        self._challenge: Challenge | None = None
        self._generation = 0
        self._seen: set[str] = set()

    def secrets(self) -> frozenset[str]:
        """What no message may repeat, should the server send it back to us."""
        return frozenset(self._seen) | (self._credentials.secrets() if self._credentials else frozenset())

    @property
    def identity_token(self) -> str:
        """The identity token that the token server gave on the way, "" for none."""
        return self._token.refresh if self._token else ""

    @property
    def logged_in(self) -> bool:
        """Whether credentials of the user were sent (else it was nobody who asked)."""
        return bool(self._credentials)

    def sync_auth_flow(self, request: httpx.Request) -> Flow:
        """Sends ``request``, logging in where the answer asks for it; a token that ran out is replaced once."""
        fetched = False
        for _ in range(limits.LOGINS):
            if self._is_stale():
                yield from self._replace_stale()
            used = self._apply(request)
            response = yield request
            challenge = self._challenge_of(response)
            if challenge is None:
                return
            with self._lock:
                if used != self._generation:
                    continue  # another thread logged in while this request was on its way
                if challenge.scheme == "basic":
                    if not self._start_basic():
                        return
                    continue
                scopes = self._scopes_to_ask(challenge, fetched)
                if scopes is None:
                    return
                fetched = True
                yield from self._obtain(challenge, scopes)

    def _apply(self, request: httpx.Request) -> int:
        with self._lock:
            request.headers.pop("authorization", None)
            if self._token is not None:
                request.headers["authorization"] = f"Bearer {self._token.text}"
            elif self._basic and self._credentials is not None:
                request.headers["authorization"] = _basic(self._credentials)
            return self._generation

    def _challenge_of(self, response: httpx.Response) -> Challenge | None:
        """The challenge to answer: Bearer before Basic, others are not known."""
        if response.status_code not in (401, 403):
            return None
        try:
            found = parse_challenges(response.headers.get_list("www-authenticate"))
        except InvalidChallenge as error:
            raise AccessDenied(
                f"{self._registry}: its request for a login cannot be understood: {error}", host=self._registry
            ) from error
        for challenge in found:
            if challenge.scheme == "bearer":
                if response.status_code == 403 and challenge.get("error") != "insufficient_scope":
                    return None
                return challenge
        basic = [challenge for challenge in found if challenge.scheme == "basic"]
        return basic[0] if basic and response.status_code == 401 else None

    def _start_basic(self) -> bool:
        credentials = self._find_credentials()
        if self._basic or credentials is None or not credentials.password:
            return False
        self._basic = True
        self._generation += 1
        return True

    def _scopes_to_ask(self, challenge: Challenge, fetched: bool) -> frozenset[str] | None:
        """Which scopes a new token needs, None where another token would not help."""
        own = frozenset({pull_scope(self._repository)}) if self._repository else frozenset()
        wanted = pull_scopes(challenge) or own
        if self._token is None:
            return None if fetched else wanted
        if challenge.get("error") == "insufficient_scope" and not wanted <= self._token.scopes:
            return wanted | self._token.scopes
        return None if fetched else wanted | self._token.scopes

    def _is_stale(self) -> bool:
        return self._token is not None and self._clock.monotonic() >= self._token.expires

    def _replace_stale(self) -> Flow:
        with self._lock:
            if self._is_stale() and self._challenge is not None and self._token is not None:
                yield from self._obtain(self._challenge, self._token.scopes)

    def _obtain(self, challenge: Challenge, scopes: frozenset[str]) -> Flow:
        """With the lock held: a token for ``scopes``, from the token server or as configured."""
        credentials = self._find_credentials()
        if credentials is not None and credentials.registry_token:
            self._keep(Token(text=credentials.registry_token, scopes=scopes, expires=float("inf")), challenge)
            return
        if not challenge.get("realm"):
            raise AccessDenied(f"{self._registry}: it asks for a login without naming its token server", host=self._registry)
        url = self._destinations.resolve(self._destinations.home, challenge.get("realm"), "token server")
        asked_at = self._clock.monotonic()
        response = yield self._token_request(url, challenge.get("service"), scopes, credentials)
        for _ in range(limits.TOKEN_REDIRECTS):
            if response.status_code not in REDIRECT_STATUS or response.request.method != "GET":
                break
            target = self._destinations.resolve(url, response.extensions[LOCATION], "token server's redirect")
            follow = httpx.Request("GET", target, headers=_headers(), extensions=self._extensions())
            if origin(target) == origin(url) and "authorization" in response.request.headers:
                follow.headers["authorization"] = response.request.headers["authorization"]
            url = target
            response = yield follow
        self._keep(self._read(response, scopes, asked_at), challenge)

    def _token_request(
        self, url: httpx.URL, service: str, scopes: frozenset[str], credentials: Credentials | None
    ) -> httpx.Request:
        names = sorted(scopes)
        service_field = [("service", service)] if service else []
        extensions = self._extensions()
        if credentials is not None and credentials.identity_token:
            fields = [("grant_type", "refresh_token"), *service_field, ("client_id", CLIENT_ID)]
            fields += [("scope", " ".join(names)), ("refresh_token", credentials.identity_token)]
            headers = _headers() | {"content-type": "application/x-www-form-urlencoded"}
            return httpx.Request("POST", url, headers=headers, content=urlencode(fields).encode(), extensions=extensions)
        query = [*service_field, *(("scope", name) for name in names)]
        headers = _headers()
        if credentials is not None:
            query.append(("account", credentials.username))
            headers["authorization"] = _basic(credentials)
        if self._offline:
            query += [("offline_token", "true"), ("client_id", CLIENT_ID)]
        url = url.copy_with(params=[*url.params.multi_items(), *query])
        return httpx.Request("GET", url, headers=headers, extensions=extensions)

    def _extensions(self) -> dict[str, object]:
        return {LIMIT: limits.ANSWER_BYTES, DOCUMENT: True, SENT_BY: self._destinations.home.host}

    def _read(self, response: httpx.Response, scopes: frozenset[str], asked_at: float) -> Token:
        host = response.request.url.netloc.decode()
        try:
            body = response.read()
        except AnswerTooLarge as error:
            raise self._unusable(host, error) from error
        if response.status_code in RETRIED_STATUS:
            raise TokenServerBusy(response)
        if response.status_code != 200:
            denied = response.status_code in (400, 401, 403)
            why = "login refused" if denied and self.logged_in else f"it answered {response.status_code}"
            raise AccessDenied(
                f"{self._registry}: no token from its token server {printable(host)}: {why}",
                host=self._registry,
                hint=f"log in with: pyrt login {self._registry}",
            )
        try:
            return parse_token(body, scopes=scopes, asked_at=asked_at)
        except InvalidToken as error:
            raise self._unusable(host, error) from error

    def _unusable(self, host: str, why: Exception) -> NotARegistry:
        message = f"{self._registry}: the answer of its token server {printable(host)} cannot be used: {why}"
        return NotARegistry(message, host=self._registry)

    def _keep(self, token: Token, challenge: Challenge) -> None:
        self._token = token
        self._challenge = challenge
        self._generation += 1
        self._seen |= {token.text, token.refresh} - {""}

    def _find_credentials(self) -> Credentials | None:
        if not self._asked:
            self._credentials = self._ask_credentials()
            self._asked = True
        return self._credentials


def _headers() -> dict[str, str]:
    return {"accept": "application/json", "accept-encoding": "identity", "user-agent": CLIENT_ID}


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password}".encode()
    return "Basic " + base64.b64encode(pair).decode("ascii")
