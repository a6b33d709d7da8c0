"""Where credentials are found, and that they are shown nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyrt.errors import UsageError
from pyrt.registry.config_paths import ConfigPaths
from pyrt.registry.credentials import HUB_KEY, Credentials, CredentialStore
from tests.support.credential_helper import install_helper
from tests.support.registries import basic
from tests.support.registry_client import World

DOCKER = "home/.docker/config.json"


def keyed(entries: dict[str, str]) -> str:
    return json.dumps({"auths": {key: {"auth": basic(user, "secret")} for key, user in entries.items()}})


def user(world: World, registry: str, repository: str = "", *, authfile: str = "") -> str:
    paths = ConfigPaths.from_environ(world.environ, authfile=authfile, etc=str(world.root / "etc"))
    found = CredentialStore(paths, world.environ).find(registry, repository)
    return found.username if found else ""


def test_nobody(world: World) -> None:
    assert CredentialStore(world.paths, world.environ).find("registry.example") is None


def test_order_of_the_files(world: World) -> None:
    world.write("home/.dockercfg", json.dumps({"r.example": {"auth": basic("dockercfg", "x")}}))
    assert user(world, "r.example") == "dockercfg"
    world.write(DOCKER, keyed({"r.example": "docker"}))
    assert user(world, "r.example") == "docker"
    world.environ["DOCKER_CONFIG"] = str(world.write("elsewhere/config.json", keyed({"r.example": "moved"})).parent)
    assert user(world, "r.example") == "moved"
    world.write("home/.config/containers/auth.json", keyed({"r.example": "containers"}))
    assert user(world, "r.example") == "containers"
    world.environ["XDG_CONFIG_HOME"] = str(world.root / "xdg")
    assert user(world, "r.example") == "moved"
    world.write("xdg/containers/auth.json", keyed({"r.example": "xdg"}))
    assert user(world, "r.example") == "xdg"
    world.write("run/containers/auth.json", keyed({"r.example": "runtime"}))
    assert user(world, "r.example") == "runtime"
    world.environ["REGISTRY_AUTH_FILE"] = str(world.write("variable.json", keyed({"r.example": "variable"})))
    assert user(world, "r.example") == "variable"
    option = world.write("option.json", keyed({"r.example": "option"}))
    assert user(world, "r.example", authfile=str(option)) == "option"
    assert user(world, "other.example", authfile=str(option)) == ""


def test_without_runtime_directory(world: World) -> None:
    del world.environ["XDG_RUNTIME_DIR"]
    assert ConfigPaths.from_environ(world.environ, uid=7).auth_files[0] == "/run/containers/7/auth.json"


def test_most_specific_key(world: World) -> None:
    world.write(DOCKER, keyed({"r.example": "host", "r.example/a": "a", "r.example/a/b": "ab"}))
    assert user(world, "r.example", "a/b") == "ab"
    assert user(world, "r.example", "a/b/c") == "ab"
    assert user(world, "r.example", "a/c") == "a"
    assert user(world, "r.example", "ab") == "host"
    assert user(world, "r.example") == "host"


def test_rg_20_only_for_the_registry_that_is_named(world: World) -> None:
    world.write(DOCKER, keyed({"r.example": "host", "r.example:5000": "port", HUB_KEY: "hub"}))
    for other in ("r.example:443", "s.example", "sub.r.example", "r.example.evil.example", "example"):
        assert user(world, other, "a/b") == ""
    assert user(world, "r.example:5000") == "port"


@pytest.mark.parametrize("key", [HUB_KEY, "index.docker.io", "docker.io", "https://index.docker.io/v1", "registry-1.docker.io"])
def test_keys_of_docker_hub(world: World, key: str) -> None:
    world.write(DOCKER, keyed({key: "hub"}))
    assert user(world, "docker.io", "library/busybox") == ("hub" if key != "https://index.docker.io/v1" else "")


@pytest.mark.parametrize("key", ["https://r.example", "https://r.example/v1/", "http://r.example/v2/"])
def test_old_keys_with_an_address(world: World, key: str) -> None:
    world.write(DOCKER, keyed({key: "old"}))
    assert user(world, "r.example", "a/b") == "old"
    assert user(world, "example") == ""


def test_forms_of_an_entry(world: World) -> None:
    world.write(
        DOCKER,
        json.dumps(
            {
                "auths": {
                    "token.example": {"auth": basic("u", ""), "identitytoken": "identity"},
                    "bearer.example": {"registrytoken": "bearer"},
                    "plain.example": {"username": "u", "password": "p"},
                    "colon.example": {"auth": basic("u", "a:b:c")},
                    "nul.example": {"auth": basic("u", "p\0\0")},
                    "empty.example": {},
                    "junk.example": {"auth": "***"},
                    "list.example": [],
                }
            }
        ),
    )
    store = CredentialStore(world.paths, world.environ)
    assert store.find("token.example") == Credentials(username="u", identity_token="identity")
    assert store.find("bearer.example") == Credentials(registry_token="bearer")
    assert store.find("plain.example") == Credentials(username="u", password="p")
    assert store.find("colon.example") == Credentials(username="u", password="a:b:c")
    assert store.find("nul.example") == Credentials(username="u", password="p")
    for nobody in ("empty.example", "junk.example", "list.example"):
        assert store.find(nobody) is None


def test_helpers(world: World, tmp_path: Path) -> None:
    helper = install_helper(tmp_path / "bin", "one", {"r.example": ("helped", "secret")}, world.environ)
    install_helper(tmp_path / "bin", "two", {"s.example": ("<token>", "identity"), HUB_KEY: ("hub", "x")}, world.environ)
    world.write(
        DOCKER,
        json.dumps(
            {
                "credHelpers": {"r.example": "one", "q.example": "one"},
                "credsStore": "two",
                "auths": {"q.example": {"auth": basic("file", "x")}},
            }
        ),
    )
    store = CredentialStore(world.paths, world.environ)
    assert store.find("r.example", "a/b") == Credentials(username="helped", password="secret")
    assert store.find("s.example") == Credentials(identity_token="identity")
    assert store.find("docker.io", "library/a") == Credentials(username="hub", password="x")
    assert store.find("q.example") == Credentials(username="file", password="x")
    assert store.find("t.example") is None
    assert store.notes == []
    assert helper.calls() == ["get r.example", "get q.example"]


@pytest.mark.parametrize("kind", ["missing", "failing", "talking", "../../evil"])
def test_a_broken_helper_does_not_stop_a_pull(world: World, tmp_path: Path, kind: str) -> None:
    if kind in ("failing", "talking"):
        install_helper(tmp_path / "bin", kind, {}, world.environ, behave=kind)
    world.write(DOCKER, json.dumps({"credsStore": kind, "auths": {"r.example": {"auth": basic("file", "x")}}}))
    store = CredentialStore(world.paths, world.environ)
    assert store.find("r.example") == Credentials(username="file", password="x")
    assert len(store.notes) == 1 and store.notes[0].startswith("docker-credential-")
    assert "hunter2" not in store.notes[0]


@pytest.mark.parametrize("text", ['{"auths": {"r.example": {"auth": "c2VjcmV0"', "[]", '{"a": ' + "[" * 100000, "\xff"])
def test_wrong_file(world: World, text: str) -> None:
    world.write(DOCKER, text)
    with pytest.raises(UsageError, match=r"config\.json") as caught:
        user(world, "r.example")
    assert "c2VjcmV0" not in str(caught.value)


def test_rg_19_nothing_is_shown() -> None:
    credentials = Credentials(username="anna", password="pa55", identity_token="identity", registry_token="bearer")
    for shown in (repr(credentials), str(credentials), f"{credentials}", repr([credentials])):
        assert not any(secret in shown for secret in ("pa55", "identity", "bearer"))
    assert {"pa55", "identity", "bearer", basic("anna", "pa55")} == credentials.secrets()


def test_no_variable_with_a_token_is_used(world: World) -> None:
    for name in ("GITHUB_TOKEN", "DOCKER_PASSWORD", "REGISTRY_PASSWORD", "CI_REGISTRY_PASSWORD"):
        world.environ[name] = "x"
    assert CredentialStore(world.paths, world.environ).find("ghcr.io", "a/b") is None


@pytest.mark.parametrize("entry", [{"auth": "é"}, {"auth": "7aCA"}, {"username": "u", "password": "\ud800"},
    {"registrytoken": "\udfff"}])
def test_fz_what_no_request_could_carry_is_no_credential(world: World, entry: dict[str, str]) -> None:
    """Found by test_fz_auth_file: a traceback, from an auth that is not ASCII and from half of a surrogate pair."""
    world.write(DOCKER, json.dumps({"auths": {"r.example": entry}}))
    found = CredentialStore(world.paths, world.environ).find("r.example")
    assert found is None or (not found.password and not found.secrets())
