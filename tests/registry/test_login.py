"""pyrt login and logout: verified first, written as docker does."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from pyrt.errors import AccessDenied, InvalidReference, NotARegistry, RateLimited, RegistryError, StoreError, UsageError
from pyrt.registry.api_check import ApiState
from pyrt.registry.credentials import HUB_KEY, Credentials, CredentialStore
from pyrt.registry.login import check, login, logout, registry_name
from pyrt.registry.wire import WireSettings
from tests.support.credential_helper import install_helper
from tests.support.registries import basic
from tests.support.registry_client import FakeClock, World

ANNA = Credentials(username="anna", password="pa55:wörd")
DOCKER = "home/.docker/config.json"
VERSION = {"docker-distribution-api-version": "registry/2.0"}


def guarded(request: httpx.Request) -> httpx.Response:
    """A registry with Basic auth that knows anna."""
    assert request.url.path == "/v2/"
    if request.headers.get("authorization") == "Basic " + base64.b64encode("anna:pa55:wörd".encode()).decode():
        return httpx.Response(200, json={}, headers=VERSION)
    return httpx.Response(401, headers={**VERSION, "www-authenticate": 'Basic realm="x"'})


def tokens(request: httpx.Request) -> httpx.Response:
    """A registry with a token server that gives identity tokens."""
    if request.url.host == "auth.example":
        assert request.url.params["offline_token"] == "true" and request.url.params["account"] == "anna"
        return httpx.Response(200, json={"token": "t", "refresh_token": "identity"})
    if request.headers.get("authorization") == "Bearer t":
        return httpx.Response(200, content=b"", headers=VERSION)
    return httpx.Response(401, headers={"www-authenticate": 'Bearer realm="https://auth.example/",service="s"'})


def enter(world: World, registry: str, handler: Callable[[httpx.Request], httpx.Response] = guarded,
          credentials: Credentials = ANNA) -> str:  # fmt: skip
    wire = WireSettings(transport=httpx.MockTransport(handler), clock=FakeClock())
    return login(registry, credentials, environ=world.environ, paths=world.paths, wire=wire)


def written(path: str | Path) -> dict[str, dict[str, object]]:
    document: dict[str, dict[str, object]] = json.loads(Path(path).read_text())
    return document


def test_a_new_file(world: World) -> None:
    path = enter(world, "r.example")
    assert path == str(world.root / DOCKER)
    assert written(path) == {"auths": {"r.example": {"auth": basic("anna", "pa55:wörd")}}}
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
    assert CredentialStore(world.paths, world.environ).find("r.example") == ANNA
    assert os.listdir(os.path.dirname(path)) == ["config.json"]


def test_everything_else_in_the_file_stays(world: World) -> None:
    before = {"auths": {"other.example": {"auth": "eA=="}}, "HttpHeaders": {"X": "ü"}, "psFormat": "table"}
    path = world.write(DOCKER, json.dumps(before))
    path.chmod(0o644)
    enter(world, "r.example")
    after = written(path)
    assert after["auths"].pop("r.example") and after == before
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_is_written_through(world: World) -> None:
    real = world.write("dotfiles/docker.json", "{}")
    link = world.root / DOCKER
    link.parent.mkdir()
    link.symlink_to(real)
    enter(world, "r.example")
    assert link.is_symlink() and "r.example" in written(real)["auths"]


def test_where_it_is_read_from_it_is_written_to(world: World) -> None:
    containers = world.write("run/containers/auth.json", json.dumps({"auths": {"r.example": {"auth": basic("old", "x")}}}))
    assert enter(world, "r.example") == str(containers)
    assert enter(world, "s.example") == str(world.root / DOCKER)
    world.environ["REGISTRY_AUTH_FILE"] = str(world.root / "mine.json")
    assert enter(world, "r.example") == str(world.root / "mine.json")


def test_an_identity_token_replaces_the_password(world: World) -> None:
    path = enter(world, "r.example", tokens)
    assert written(path)["auths"]["r.example"] == {"auth": basic("anna", ""), "identitytoken": "identity"}
    found = CredentialStore(world.paths, world.environ).find("r.example")
    assert found == Credentials(username="anna", identity_token="identity")


@pytest.mark.parametrize("name", ["", "docker.io", "index.docker.io", "https://index.docker.io/v1/"])
def test_docker_hub(world: World, name: str) -> None:
    hosts: list[str] = []

    def hub(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return guarded(request)

    path = enter(world, name, hub)
    assert list(written(path)["auths"]) == [HUB_KEY] and set(hosts) == {"registry-1.docker.io"}


def test_by_a_helper(world: World, tmp_path: Path) -> None:
    helper = install_helper(tmp_path / "bin", "safe", {}, world.environ)
    path = world.write(DOCKER, json.dumps({"credsStore": "safe"}))
    assert enter(world, "r.example") == "docker-credential-safe"
    assert "pa55" not in path.read_text() and written(path)["auths"] == {"r.example": {}}
    assert CredentialStore(world.paths, world.environ).find("r.example") == ANNA
    enter(world, "s.example", tokens)
    assert CredentialStore(world.paths, world.environ).find("s.example") == Credentials(identity_token="identity")
    assert logout("r.example", environ=world.environ, paths=world.paths) == ("docker-credential-safe", str(path))
    assert "erase r.example" in helper.calls()
    assert CredentialStore(world.paths, world.environ).find("r.example") is None


@pytest.mark.parametrize("behave", ["failing", "missing"])
def test_a_helper_that_fails_is_an_error(world: World, tmp_path: Path, behave: str) -> None:
    if behave == "failing":
        install_helper(tmp_path / "bin", "bad", {}, world.environ, behave=behave)
    path = world.write(DOCKER, json.dumps({"credsStore": "bad"}))
    with pytest.raises(RegistryError, match="docker-credential-bad") as caught:
        enter(world, "r.example")
    assert "hunter2" not in str(caught.value) and written(path) == {"credsStore": "bad"}


def test_a_helper_that_takes_too_long(world: World, tmp_path: Path) -> None:
    from pyrt.registry.credential_helpers import CredentialHelper

    install_helper(tmp_path / "bin", "slow", {}, world.environ, behave="sleeping")
    with pytest.raises(RegistryError, match="docker-credential-slow get: no answer within 0.3 s"):
        CredentialHelper("slow", world.environ, time_limit=0.3).get("r.example")


def html(status: int) -> httpx.Response:
    return httpx.Response(status, content=b"<html>", headers={"content-type": "text/html"})


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (httpx.Response(401, headers={"www-authenticate": 'Basic realm="x"'}), AccessDenied, "login refused"),
        (httpx.Response(403, headers=VERSION), AccessDenied, "login refused"),
        (httpx.Response(404), NotARegistry, "no registry of API version 2"),
        (html(200), NotARegistry, "not a registry"),
        (html(403), NotARegistry, "not a registry"),
        (httpx.Response(401), NotARegistry, "not a registry"),
        (httpx.Response(200, content=b"welcome"), NotARegistry, "not a registry"),
        (httpx.Response(200, content=b"x" * (1 << 21)), NotARegistry, "not a registry"),
        (httpx.Response(429, headers={"retry-after": "100"}), RateLimited, "too many requests"),
        (httpx.Response(500), RegistryError, "status 500"),
    ],
)
def test_v2_told_apart(world: World, answer: httpx.Response, kind: type[RegistryError], text: str) -> None:
    with pytest.raises(kind, match=text) as caught:
        enter(world, "r.example", lambda request: answer)
    assert "pa55" not in str(caught.value)
    assert not (world.root / DOCKER).exists()


def test_check_without_a_login(world: World) -> None:
    def check_with(handler: Callable[[httpx.Request], httpx.Response]) -> ApiState:
        wire = WireSettings(transport=httpx.MockTransport(handler), clock=FakeClock())
        return check("r.example", environ=world.environ, paths=world.paths, wire=wire)

    assert check_with(lambda request: httpx.Response(200, headers=VERSION)) is ApiState.OPEN
    assert check_with(lambda request: httpx.Response(403, headers=VERSION)) is ApiState.FORBIDDEN
    assert check_with(guarded) is ApiState.NEEDS_LOGIN
    enter(world, "r.example")
    assert check_with(guarded) is ApiState.OPEN


@pytest.mark.parametrize("body", [b"", b"{}", b'{"x": 1}'])
def test_a_registry_without_the_old_header(world: World, body: bytes) -> None:
    assert enter(world, "r.example", lambda request: httpx.Response(200, content=body))


@pytest.mark.parametrize("name", ["not a host", "r.example/..", "word", "anna:pw@r.example", "r.example:99999", "[::"])
def test_what_is_no_registry(world: World, name: str) -> None:
    with pytest.raises((UsageError, InvalidReference)):
        enter(world, "word" if name == "r.example/.." else name)


def test_names() -> None:
    assert registry_name("https://r.example:5000/v2/") == "r.example:5000"
    assert registry_name("r.example/team") == "r.example"


def test_logout(world: World) -> None:
    entries = {
        key: {"auth": basic("anna", "x")} for key in ("r.example", "https://r.example/v1/", "r.example/team", "s.example")
    }
    path = world.write(DOCKER, json.dumps({"auths": entries, "psFormat": "x"}))
    old = world.write("home/.dockercfg", json.dumps({"r.example": {"auth": "eA=="}, "s.example": {"auth": "eA=="}}))
    assert logout("r.example", environ=world.environ, paths=world.paths) == (str(path), str(old))
    assert sorted(written(path)["auths"]) == ["r.example/team", "s.example"] and written(path)["psFormat"] == "x"
    assert list(written(old)) == ["s.example"]
    assert logout("r.example", environ=world.environ, paths=world.paths) == ()


def test_logout_of_docker_hub(world: World) -> None:
    path = world.write(DOCKER, json.dumps({"auths": {HUB_KEY: {}, "index.docker.io": {}, "docker.io": {}}}))
    assert logout("", environ=world.environ, paths=world.paths) == (str(path),)
    assert written(path)["auths"] == {}


def test_a_directory_that_cannot_be_made(world: World) -> None:
    world.write("home/.docker", "a file")
    with pytest.raises(StoreError, match=r"config\.json: cannot be written"):
        enter(world, "r.example")
