"""The token dance against a registry that is a function: Request -> Response."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import httpx
import pytest

from pyrt.errors import AccessDenied, NotARegistry, RateLimited, RegistryError, RegistryUnreachable
from pyrt.registry.credentials import Credentials
from tests.support.registry_client import FakeClock, World, manifest_answer

HOST, REALM_HOST = "registry.example", "auth.example"
IMAGE = f"{HOST}/a/b:1"
ANNA = Credentials(username="anna", password="pa55:wörd")


@dataclass
class FakeRegistry:
    """Wants a token for everything; ``good`` are the tokens that it takes at this moment."""

    challenge: str = f'Bearer realm="https://{REALM_HOST}/token",service="{HOST}",scope="repository:a/b:pull"'
    good: set[str] = field(default_factory=set)
    issued: int = 0
    token_requests: list[httpx.Request] = field(default_factory=list)
    api_requests: list[httpx.Request] = field(default_factory=list)
    token_answer: Callable[[httpx.Request, int], httpx.Response] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        # A flow sends one request object several times, so what counts is a copy.
        request = httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
        with self.lock:
            if request.url.host == REALM_HOST:
                self.token_requests.append(request)
                self.issued += 1
                if self.token_answer:
                    return self.token_answer(request, self.issued)
                token = f"token-{self.issued}"
                self.good.add(token)
                return httpx.Response(200, json={"token": token, "expires_in": 300})
            self.api_requests.append(request)
            sent = request.headers.get("authorization", "")
            if sent.removeprefix("Bearer ") in self.good:
                return manifest_answer()
            return httpx.Response(401, headers={"www-authenticate": self.challenge}, json={"errors": []})


def query(request: httpx.Request) -> dict[str, list[str]]:
    return parse_qs(request.url.query.decode())


def pull(world: World, registry: Callable[[httpx.Request], httpx.Response], **options: object) -> None:
    with world.open(IMAGE, registry, **options) as source:  # type: ignore[arg-type]
        source.manifest()


def test_anonymous(world: World) -> None:
    registry = FakeRegistry()
    pull(world, registry)
    (request,) = registry.token_requests
    assert request.method == "GET" and "authorization" not in request.headers
    assert query(request) == {"service": [HOST], "scope": ["repository:a/b:pull"]}
    assert [r.headers.get("authorization") for r in registry.api_requests] == [None, "Bearer token-1"]
    assert all(r.headers["accept-encoding"] == "identity" for r in registry.api_requests + registry.token_requests)


def test_user_and_password(world: World) -> None:
    registry = FakeRegistry()
    pull(world, registry, credentials=ANNA)
    (request,) = registry.token_requests
    expected = "Basic " + base64.b64encode("anna:pa55:wörd".encode()).decode()
    assert request.headers["authorization"] == expected
    assert query(request)["account"] == ["anna"]
    assert all(expected != r.headers.get("authorization") for r in registry.api_requests)


def test_identity_token_by_post(world: World) -> None:
    registry = FakeRegistry()
    pull(world, registry, credentials=Credentials(username="anna", identity_token="identity"))
    (request,) = registry.token_requests
    assert request.method == "POST" and "authorization" not in request.headers and not request.url.query
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["identity"],
        "service": [HOST],
        "client_id": ["pyrt"],
        "scope": ["repository:a/b:pull"],
    }


def test_registry_token_needs_no_server(world: World) -> None:
    registry = FakeRegistry(good={"ready"})
    pull(world, registry, credentials=Credentials(registry_token="ready"))
    assert not registry.token_requests


def test_realm_with_a_query_and_access_token(world: World) -> None:
    registry = FakeRegistry(challenge=f'Bearer realm="https://{REALM_HOST}/token?tenant=7",service="s"')

    def answer(request: httpx.Request, number: int) -> httpx.Response:
        registry.good.add("x")
        return httpx.Response(200, json={"access_token": "x"})

    registry.token_answer = answer
    pull(world, registry)
    assert query(registry.token_requests[0]) == {
        "tenant": ["7"], "service": ["s"], "scope": ["repository:a/b:pull"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "asked"),
    [
        ("repository:a/b:pull,push,delete", ["repository:a/b:pull"]),
        ("repository:a/b:*", ["repository:a/b:pull"]),
        ("repository:a/b:pull repository:c/d:pull,push", ["repository:a/b:pull", "repository:c/d:pull"]),
        ("registry:catalog:*", ["repository:a/b:pull"]),
        ("repository:a/b:push", ["repository:a/b:pull"]),
        ("", ["repository:a/b:pull"]),
    ],
)
def test_rg_18_only_pull_is_asked_for(world: World, scope: str, asked: list[str]) -> None:
    registry = FakeRegistry(challenge=f'Bearer realm="https://{REALM_HOST}/token",scope="{scope}"')
    pull(world, registry)
    assert query(registry.token_requests[0])["scope"] == asked


def test_rg_18_insufficient_scope_is_upgraded_once(world: World) -> None:
    registry = FakeRegistry()
    upgraded = f'Bearer realm="https://{REALM_HOST}/token",error="insufficient_scope",scope="repository:c/d:pull,push"'

    def answer(request: httpx.Request, number: int) -> httpx.Response:
        if "repository:c/d:pull" in query(request)["scope"]:
            registry.good.add(f"token-{number}")
        registry.challenge = upgraded
        return httpx.Response(200, json={"token": f"token-{number}"})

    registry.token_answer = answer
    pull(world, registry)
    scopes = [query(request)["scope"] for request in registry.token_requests]
    assert scopes == [["repository:a/b:pull"], ["repository:a/b:pull", "repository:c/d:pull"]]


def test_rg_18_insufficient_scope_for_ever_is_an_error(world: World) -> None:
    registry = FakeRegistry()

    def answer(request: httpx.Request, number: int) -> httpx.Response:
        registry.challenge = registry.challenge.replace("a/b", f"x/{number}") + ',error="insufficient_scope"'
        return httpx.Response(200, json={"token": "never good"})

    registry.token_answer = lambda request, number: httpx.Response(200, json={"token": "never-good"})
    registry.challenge += ',error="insufficient_scope"'
    with pytest.raises(AccessDenied):
        pull(world, registry)
    assert len(registry.token_requests) == 1


def test_rg_16_a_token_that_ends_mid_pull_is_replaced_once(world: World) -> None:
    registry = FakeRegistry()
    with world.open(IMAGE, registry) as source:
        source.manifest()
        registry.good.clear()
        source.manifest()
        assert len(registry.token_requests) == 2
        registry.good.clear()
        registry.token_answer = lambda request, number: httpx.Response(200, json={"token": "stale"})
        with pytest.raises(AccessDenied) as caught:
            source.manifest()
    assert len(registry.token_requests) == 3
    assert "pyrt login registry.example" in caught.value.hint


def test_rg_43_expiry_is_relative_and_at_least_a_minute(world: World) -> None:
    """Issued_at and the wall clock play no part."""
    registry = FakeRegistry()
    clock = FakeClock()

    def answer(request: httpx.Request, number: int) -> httpx.Response:
        registry.good.add(f"t{number}")
        return httpx.Response(200, json={"token": f"t{number}", "expires_in": 5, "issued_at": "2099-01-01T00:00:00Z"})

    registry.token_answer = answer
    with world.open(IMAGE, registry, clock=clock) as source:
        source.manifest()
        clock.now += 59
        source.manifest()
        assert len(registry.token_requests) == 1
        clock.now += 2
        source.manifest()
        assert len(registry.token_requests) == 2
    sent = [r.headers.get("authorization") for r in registry.api_requests]
    assert sent == [None, "Bearer t1", "Bearer t1", "Bearer t2"]  # replaced before it is refused


@pytest.mark.parametrize("life", [-1, 1e300, "x", None, True, [], 0])
def test_rg_15_nonsense_as_expiry(world: World, life: object) -> None:
    registry = FakeRegistry()
    clock = FakeClock()

    def answer(request: httpx.Request, number: int) -> httpx.Response:
        registry.good.add("t")
        return httpx.Response(200, content=json.dumps({"token": "t", "expires_in": life}))

    registry.token_answer = answer
    with world.open(IMAGE, registry, clock=clock) as source:
        source.manifest()
        clock.now += 61
        source.manifest()
    assert len(registry.token_requests) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"<html>", b"[]", b"{}", b'{"token": 5}', b'{"token": ""}', b'{"token": "a\\r\\nX-Evil: 1"}',
        b'{"token": "a b"}', b'{"token": "\\u00e9"}', b'{"token": "x", "expires_in": ' + b"9" * 300000 + b"",
        b'{"token": ' + b"[" * 100000, b'{"token": "' + b"x" * 100000 + b'"}', b"\xff\xfe",
    ],
)  # fmt: skip
def test_rg_15_junk_from_the_token_server(world: World, body: bytes) -> None:
    registry = FakeRegistry(token_answer=lambda request, number: httpx.Response(200, content=body))
    with pytest.raises(NotARegistry, match="token server auth.example cannot be used"):
        pull(world, registry)
    assert len(registry.token_requests) == 1


def test_rg_15_endless_answer_of_the_token_server(world: World) -> None:
    registry = FakeRegistry(token_answer=lambda request, number: httpx.Response(200, content=b" " * (1 << 20) + b"{}"))
    with pytest.raises(RegistryError, match="token server auth.example cannot be used: longer than 1048576 bytes"):
        pull(world, registry)


def test_rg_27_an_encoded_answer_of_the_token_server_is_not_decoded(world: World) -> None:
    """We asked for identity, and what httpx would undo may be a bomb."""
    packed = gzip.compress(b'{"token": "t"}')
    encoded = {"content-encoding": "gzip"}
    registry = FakeRegistry(token_answer=lambda request, number: httpx.Response(200, content=packed, headers=encoded))
    with pytest.raises(NotARegistry, match="it is not JSON"):
        pull(world, registry)


@pytest.mark.parametrize("challenge", ["Negotiate", "Bearer", 'Bearer realm=""', "", 'Bearer realm="x",realm="y"', '"'])
def test_rg_14_challenges_without_a_way_in(world: World, challenge: str) -> None:
    registry = FakeRegistry(challenge=challenge)
    with pytest.raises(AccessDenied):
        pull(world, registry, credentials=ANNA)
    assert not registry.token_requests


@pytest.mark.parametrize("status", [400, 401, 403])
def test_refused_by_the_token_server(world: World, status: int) -> None:
    registry = FakeRegistry(token_answer=lambda request, number: httpx.Response(status, json={"details": "pa55:wörd"}))
    with pytest.raises(AccessDenied, match="login refused") as caught:
        pull(world, registry, credentials=ANNA)
    assert "pyrt login registry.example" in caught.value.hint and "pa55" not in str(caught.value)


def test_busy_token_server(world: World) -> None:
    registry = FakeRegistry()

    def answer(request: httpx.Request, number: int) -> httpx.Response:
        if number < 3:
            return httpx.Response(429 if number == 1 else 503, headers={"retry-after": "7"})
        registry.good.add("t")
        return httpx.Response(200, json={"token": "t"})

    registry.token_answer = answer
    clock = FakeClock()
    pull(world, registry, clock=clock)
    assert clock.slept == [7.0, 7.0]
    registry.token_answer = lambda request, number: httpx.Response(429)
    with pytest.raises(RateLimited):
        pull(world, registry)


def test_token_server_that_is_not_there(world: World) -> None:
    def refuse(request: httpx.Request, number: int) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(RegistryUnreachable, match="registry.example: auth.example"):
        pull(world, FakeRegistry(token_answer=refuse))


def test_basic(world: World) -> None:
    expected = "Basic " + base64.b64encode("anna:pa55:wörd".encode()).decode()
    sent: list[str | None] = []

    def registry(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("authorization"))
        if sent[-1] == expected:
            return manifest_answer()
        return httpx.Response(401, headers={"www-authenticate": 'Basic realm="x"'}, content=b"<html>", extensions={})

    with world.open(IMAGE, registry, credentials=ANNA) as source:
        source.manifest()
        source.manifest()
    assert sent == [None, expected, expected]
    sent.clear()
    with pytest.raises(AccessDenied), world.open(IMAGE, registry) as source:
        source.manifest()
    assert sent == [None]
    sent.clear()
    wrong = Credentials(username="anna", password="wrong")
    with pytest.raises(AccessDenied), world.open(IMAGE, registry, credentials=wrong) as source:
        source.manifest()
    assert len(sent) == 2


def test_rg_17_one_token_request_for_parallel_blobs(world: World) -> None:
    registry = FakeRegistry()
    gate = threading.Barrier(6)

    def slow(request: httpx.Request) -> httpx.Response:
        if request.url.host == HOST and "authorization" not in request.headers:
            gate.wait(10)  # all six have asked before any has a token
        return registry(request)

    with world.open(IMAGE, slow) as source:
        threads = [threading.Thread(target=source.manifest) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert len(registry.token_requests) == 1
    assert [r.headers.get("authorization") for r in registry.api_requests].count("Bearer token-1") == 6


@pytest.mark.parametrize(
    "realm",
    [
        "http://auth.example/token",  # RG-01
        "http://registry.example/token",
        "https://169.254.169.254/latest/meta-data",  # RG-02
        "https://10.0.0.1/token",
        "https://127.0.0.1/token",
        "https://127.1/token",
        "https://[::1]/token",
        "https://[::ffff:127.0.0.1]/token",
        "https://0.0.0.0/token",
        "https://[fd00::1]/token",
        "https://localhost/token",
        "https://2130706433/token",
        "file:///etc/passwd",  # RG-08
        "ftp://auth.example/",
        "javascript:alert(1)",
        "https:///token",
        "https://anna:secret@auth.example/token",
        "https://auth.example:99999/",
        "https://[/",
    ],
)
def test_rg_01_rg_02_rg_08_where_no_credentials_go(world: World, realm: str) -> None:
    registry = FakeRegistry(challenge=f'Bearer realm="{realm}",service="x"')
    with pytest.raises(RegistryError) as caught:
        pull(world, registry, credentials=ANNA)
    assert not registry.token_requests and len(registry.api_requests) == 1
    assert "secret" not in str(caught.value) and "pa55" not in str(caught.value)


def test_rg_03_the_token_server_redirects(world: World) -> None:
    """Inward is refused; elsewhere goes without credentials."""
    seen: list[tuple[str, str | None]] = []
    target = "https://other.example/token"

    def registry(request: httpx.Request) -> httpx.Response:
        authorization = request.headers.get("authorization")
        seen.append((request.url.host, authorization))
        if request.url.host == REALM_HOST:
            return httpx.Response(302, headers={"location": target})
        if request.url.host == "other.example":
            return httpx.Response(200, json={"token": "t"})
        if authorization == "Bearer t":
            return manifest_answer()
        return httpx.Response(401, headers={"www-authenticate": f'Bearer realm="https://{REALM_HOST}/token"'})

    pull(world, registry, credentials=ANNA)
    assert [host for host, _ in seen] == [HOST, REALM_HOST, "other.example", HOST]
    assert seen[1][1] is not None and seen[2][1] is None
    for wrong in ("https://169.254.169.254/", "http://auth.example/", "https://[::1]/", "gopher://x/"):
        target = wrong
        seen.clear()
        with pytest.raises(RegistryError, match="redirect"):
            pull(world, registry, credentials=ANNA)
        assert [host for host, _ in seen] == [HOST, REALM_HOST]


def test_rg_03_a_refresh_token_is_never_redirected(world: World) -> None:
    registry = FakeRegistry(
        token_answer=lambda request, number: httpx.Response(307, headers={"location": "https://other.example/"})
    )
    with pytest.raises(AccessDenied):
        pull(world, registry, credentials=Credentials(identity_token="identity"))
    assert len(registry.token_requests) == 1


def test_rg_04_rg_20_credentials_of_another_registry_stay_home(world: World) -> None:
    """Registry B names the token server of A."""
    world.write("home/.docker/config.json", '{"auths": {"a.example": {"auth": "YW5uYTpzZWNyZXQ="}}}')
    registry = FakeRegistry()
    with world.open("b.example/a/b:1", registry) as source:
        source.manifest()
    assert all("authorization" not in request.headers for request in registry.token_requests)
    assert all(b"anna" not in request.url.query for request in registry.token_requests)


def test_rg_19_a_server_that_echoes_secrets(world: World) -> None:

    def registry(request: httpx.Request) -> httpx.Response:
        if request.url.host == REALM_HOST:
            return httpx.Response(200, json={"token": "bearer-secret"})
        sent = request.headers.get("authorization", "")
        if not sent:
            return httpx.Response(401, headers={"www-authenticate": f'Bearer realm="https://{REALM_HOST}/token"'})
        return httpx.Response(403, json={"errors": [{"code": "DENIED", "message": f"you sent {sent} of pa55:wörd"}]})

    with pytest.raises(AccessDenied) as caught:
        pull(world, registry, credentials=ANNA)
    text = f"{caught.value} {caught.value.hint} {caught.value!r}"
    assert "DENIED: you sent" in text and "bearer-secret" not in text and "pa55" not in text
