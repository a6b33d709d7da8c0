"""Debian's docker-registry: plain, with TLS, with Basic auth, with tokens, and its schema 1 answers."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrt.errors import AccessDenied, ImageNotFound
from pyrt.oci import media_types
from pyrt.oci.digest import Digest
from pyrt.oci.manifest import Index, Manifest, parse_document
from pyrt.oci.schema1 import Schema1
from pyrt.registry.client import RegistrySource
from pyrt.registry.credentials import Credentials
from pyrt.registry.login import login, logout
from tests.support import images
from tests.support.authorities import Authority, token_key
from tests.support.credential_helper import install_helper
from tests.support.registries import PASSWORD, USER, RunningRegistry, basic, running_registry
from tests.support.registry_client import World
from tests.support.token_server import TokenServer

ANNA = Credentials(username=USER, password=PASSWORD)
CONTENT = [images.Entry(name="hello", content=b"hello\n" * 100_000)]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OCI layout with one image of two layers, under the name "latest"."""
    directory = tmp_path_factory.mktemp("layout")
    layers = [images.layer(images.tar(CONTENT)), images.layer(images.tar([images.Entry(name="two", content=b"2")]))]
    images.write_layout(directory, {"latest": images.image(layers)})
    return directory


def pulled(source: RegistrySource) -> int:
    """Fetches everything, verifies each digest, and answers the number of layers."""
    raw, kind = source.manifest()
    document = parse_document(raw, kind)
    if isinstance(document, Index):
        raw, kind = source.manifest(document.manifests[0].digest)
        document = parse_document(raw, kind)
    assert isinstance(document, Manifest)
    for blob in (document.config, *document.layers):
        content = b"".join(source.blob(blob))
        assert Digest.of(content) == blob.digest and len(content) == blob.size
        assert b"".join(source.blob(blob, 5)) == content[5:]
    return len(document.layers)


def test_plain(world: World, layout: Path, tmp_path: Path) -> None:
    with running_registry(tmp_path / "registry") as registry:
        registry.push(layout, "team/demo:1")
        with world.open(f"{registry.host}/team/demo:1") as source:
            assert pulled(source) == 2
            assert source.tags() == ("1",)
        with world.open(f"{registry.host}/team/demo:2") as source, pytest.raises(ImageNotFound, match="no such tag"):
            source.manifest()
        with world.open(f"{registry.host}/nobody/demo") as source, pytest.raises(ImageNotFound, match="no such"):
            source.manifest()
        # As with docker, a registry without guards takes every login.
        assert login(registry.host, ANNA, environ=world.environ, paths=world.paths)


def test_by_digest_and_many_tags(world: World, layout: Path, tmp_path: Path) -> None:
    with running_registry(tmp_path / "registry") as registry:
        for number in range(5):
            registry.push(layout, f"demo:{number}")
        with world.open(f"{registry.host}/demo:3") as source:
            digest = Digest.of(source.manifest()[0])
            assert sorted(source.tags()) == list("01234")
        with world.open(f"{registry.host}/demo@{digest}") as source:
            assert pulled(source) == 2


def test_docker_formats(world: World, layout: Path, tmp_path: Path) -> None:
    with running_registry(tmp_path / "registry") as registry:
        registry.push(layout, "demo:1", "--format=v2s2")
        with world.open(f"{registry.host}/demo:1") as source:
            assert source.manifest()[1] == media_types.DOCKER_MANIFEST
            assert pulled(source) == 2


def test_schema_1(world: World, layout: Path, tmp_path: Path) -> None:
    """What the registry makes of a schema 2 image for a client that only knows schema 1, signed."""
    with running_registry(tmp_path / "registry") as registry:
        registry.push(layout, "demo:1", "--format=v2s2")
        accept = (media_types.SCHEMA1_SIGNED, media_types.SCHEMA1)
        with world.open(f"{registry.host}/demo:1", accept=accept) as source:
            raw, kind = source.manifest()
            assert kind == media_types.SCHEMA1_SIGNED
            document = parse_document(raw, kind)
            assert isinstance(document, Schema1) and len(document.layers) == 2
            for layer in document.layer_descriptors():
                assert layer.size is None
                assert Digest.of(b"".join(source.blob(layer))) == layer.digest


def test_tls(world: World, layout: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    with running_registry(tmp_path / "registry", tls=authority.served("127.0.0.1").files) as registry:
        registry.push(layout, "demo:1")
        authority.trust(world.root / "etc/containers/certs.d" / registry.host)
        with world.open(f"{registry.host}/demo:1") as source:
            assert pulled(source) == 2
    assert not any(line.endswith(" 400") for line in registry.requests())


def test_basic(world: World, layout: Path, tmp_path: Path) -> None:
    with running_registry(tmp_path / "registry", htpasswd=(USER, PASSWORD)) as registry:
        registry.push(layout, "demo:1")
        reference = f"{registry.host}/demo:1"
        with world.open(reference) as source, pytest.raises(AccessDenied) as caught:
            source.manifest()
        assert f"pyrt login {registry.host}" in caught.value.hint
        with world.open(reference, credentials=ANNA) as source:
            assert pulled(source) == 2
        wrong = Credentials(username=USER, password="wrong-secret")
        with pytest.raises(AccessDenied, match="login refused") as caught:
            login(registry.host, wrong, environ=world.environ, paths=world.paths)
        assert "wrong-secret" not in str(caught.value)
        path = login(registry.host, ANNA, environ=world.environ, paths=world.paths)
        with world.open(reference) as source:
            assert pulled(source) == 2
        # What we wrote is what others read: skopeo, by docker's file.
        inspect = ["skopeo", "inspect", "--tls-verify=false", f"--authfile={path}", f"docker://{reference}"]
        assert json.loads(subprocess.run(inspect, check=True, capture_output=True).stdout)["Name"]
        assert logout(registry.host, environ=world.environ, paths=world.paths) == (path,)
        with world.open(reference) as source, pytest.raises(AccessDenied):
            source.manifest()


def test_a_login_by_skopeo_is_read(world: World, layout: Path, tmp_path: Path) -> None:
    with running_registry(tmp_path / "registry", htpasswd=(USER, PASSWORD)) as registry:
        registry.push(layout, "demo:1")
        authfile = world.root / "run/containers/auth.json"
        authfile.parent.mkdir(parents=True)
        command = ["skopeo", "login", "--tls-verify=false", "-u", USER, "--password-stdin", f"--authfile={authfile}"]
        subprocess.run([*command, registry.host], input=PASSWORD.encode(), check=True, capture_output=True)
        with world.open(f"{registry.host}/demo:1") as source:
            assert pulled(source) == 2


def test_a_helper_is_asked(world: World, layout: Path, tmp_path: Path) -> None:
    with running_registry(tmp_path / "registry", htpasswd=(USER, PASSWORD)) as registry:
        registry.push(layout, "demo:1")
        helper = install_helper(tmp_path / "bin", "safe", {registry.host: (USER, PASSWORD)}, world.environ)
        world.write("home/.docker/config.json", json.dumps({"credHelpers": {registry.host: "safe"}}))
        with world.open(f"{registry.host}/demo:1") as source:
            assert pulled(source) == 2
        assert helper.calls() == [f"get {registry.host}"]


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[TokenServer]:
    chain, key = token_key(tmp_path / "token")
    with TokenServer(chain, key) as server:
        server.users[USER] = PASSWORD
        yield server


@pytest.fixture
def guarded(tokens: TokenServer, tmp_path: Path, layout: Path) -> Iterator[RunningRegistry]:
    settings = tokens.settings(tmp_path / "token/token.pem")
    with running_registry(tmp_path / "registry", token=settings, login=(USER, PASSWORD)) as registry:
        registry.push(layout, "demo:1")
        registry.push(layout, "open:1")
        tokens.public.add("open")
        tokens.asked.clear()
        yield registry


def test_token(world: World, guarded: RunningRegistry, tokens: TokenServer) -> None:
    with world.open(f"{guarded.host}/demo:1", credentials=ANNA) as source:
        assert pulled(source) == 2
    assert [(method, fields["scope"]) for method, fields in tokens.asked] == [("GET", ["repository:demo:pull"])]


def test_token_for_nobody(world: World, guarded: RunningRegistry, tokens: TokenServer) -> None:
    with world.open(f"{guarded.host}/open:1") as source:
        assert pulled(source) == 2
    assert len(tokens.asked) == 1
    with world.open(f"{guarded.host}/demo:1") as source, pytest.raises(AccessDenied):
        source.manifest()
    assert len(tokens.asked) == 2


def test_token_by_identity_token(world: World, guarded: RunningRegistry, tokens: TokenServer) -> None:
    path = login(guarded.host, ANNA, environ=world.environ, paths=world.paths)
    entry = json.loads(Path(path).read_text())["auths"][guarded.host]
    assert entry == {"auth": basic(USER, ""), "identitytoken": f"identity-of-{USER}"}
    with world.open(f"{guarded.host}/demo:1") as source:
        assert pulled(source) == 2
    assert [method for method, _ in tokens.asked] == ["GET", "POST"]
    tokens.refresh.clear()
    with world.open(f"{guarded.host}/demo:1") as source, pytest.raises(AccessDenied, match="login refused"):
        source.manifest()


def test_rg_16_a_token_that_the_registry_finds_expired(world: World, guarded: RunningRegistry, tokens: TokenServer) -> None:
    """Docker-registry allows a minute of skew, so the first token is made older than that."""
    tokens.life = -100
    with world.open(f"{guarded.host}/demo:1", credentials=ANNA) as source:
        with pytest.raises(AccessDenied):
            source.manifest()
        assert len(tokens.asked) == 1
        tokens.life = 300
        assert pulled(source) == 2
    assert len(tokens.asked) == 2


def test_rg_16_a_token_that_expires_in_the_middle(world: World, guarded: RunningRegistry, tokens: TokenServer) -> None:
    tokens.life = -58  # two seconds of life, with the registry's minute of skew
    with world.open(f"{guarded.host}/demo:1", credentials=ANNA) as source:
        source.manifest()
        time.sleep(3.1)
        tokens.life = 300
        assert pulled(source) == 2
    assert len(tokens.asked) == 2


def test_rg_17_one_token_for_parallel_blobs(world: World, guarded: RunningRegistry, tokens: TokenServer) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            assert pulled(source) == 2
        except BaseException as error:
            failures.append(error)

    with world.open(f"{guarded.host}/demo:1", credentials=ANNA) as source:
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert not failures and len(tokens.asked) == 1


def test_wrong_password_for_a_token(world: World, guarded: RunningRegistry) -> None:
    wrong = Credentials(username=USER, password="wrong-secret")
    with world.open(f"{guarded.host}/demo:1", credentials=wrong) as source:
        for action in (
            lambda: login(guarded.host, wrong, environ=world.environ, paths=world.paths),
            source.manifest,
        ):
            with pytest.raises(AccessDenied, match="login refused") as caught:
                action()
            assert "wrong-secret" not in f"{caught.value}{caught.value.hint}"
