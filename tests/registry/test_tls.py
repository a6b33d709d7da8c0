"""Whom we believe, for the registry, its token server and the targets of its redirects alike."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyrt.errors import RegistryUnreachable, UsageError
from pyrt.registry.certs import host_trust, tls_context
from pyrt.registry.credentials import Credentials
from tests.support.authorities import Authority
from tests.support.fault_registry import FaultRegistry, Reply, Seen, image, redirect
from tests.support.registry_client import World

DATA = b"layer" * 1000


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@contextmanager
def serving(context: ssl.SSLContext, address: str = "127.0.0.1") -> Iterator[FaultRegistry]:
    with FaultRegistry(address, tls=context) as registry:
        image(registry, "a", "1", DATA)
        yield registry


def certs(world: World, registry: FaultRegistry, place: str = "etc/docker/certs.d") -> Path:
    return world.root / place / registry.host


def works(world: World, registry: FaultRegistry) -> None:
    with world.open(f"{registry.host}/a:1") as source:
        source.manifest()


def refused(world: World, registry: FaultRegistry, why: str) -> RegistryUnreachable:
    with world.open(f"{registry.host}/a:1") as source, pytest.raises(RegistryUnreachable, match=why) as caught:
        source.manifest()
    assert not [seen for seen in registry.requests() if seen.path != "/v2/"]
    return caught.value


PLACES = ["etc/docker/certs.d", "etc/containers/certs.d", "home/.config/containers/certs.d"]


@pytest.mark.parametrize("place", PLACES)
def test_rg_21_a_private_authority(world: World, authority: Authority, place: str) -> None:
    with serving(authority.served("127.0.0.1").context()) as registry:
        error = refused(world, registry, "TLS: .*certificate")
        assert "certs.d" in error.hint
        authority.trust(certs(world, registry, place))
        works(world, registry)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_variables(world: World, authority: Authority, variable: str) -> None:
    with serving(authority.served("127.0.0.1").context()) as registry:
        world.environ[variable] = str(authority.certificate)
        works(world, registry)
        world.environ[variable] = str(world.root / "missing.pem")
        with pytest.raises(UsageError, match="missing.pem"):
            works(world, registry)


def test_a_directory_of_hashed_certificates(world: World, authority: Authority, tmp_path: Path) -> None:
    import subprocess

    hashed = tmp_path / "hashed"
    hashed.mkdir()
    (hashed / "ca.pem").write_bytes(authority.certificate.read_bytes())
    subprocess.run(["openssl", "rehash", str(hashed)], check=True, capture_output=True)
    with serving(authority.served("127.0.0.1").context()) as registry:
        world.environ["SSL_CERT_DIR"] = f"{tmp_path / 'nothing'}"
        with pytest.raises(UsageError, match="nothing"):
            works(world, registry)
        world.environ["SSL_CERT_DIR"] = f"{tmp_path / 'nothing'}:{hashed}"  # as OpenSSL, which passes it over
        works(world, registry)


def test_rg_21_rg_43_expired(world: World, authority: Authority) -> None:
    """The message names the clock."""
    with serving(authority.served("127.0.0.1", expired=True).context()) as registry:
        authority.trust(certs(world, registry))
        assert "date of this machine" in refused(world, registry, "expired").hint


def test_rg_21_wrong_name(world: World, authority: Authority) -> None:
    with serving(authority.served("127.0.0.2").context()) as registry:
        authority.trust(certs(world, registry))
        refused(world, registry, "TLS: .*127.0.0.1")


def test_rg_21_old_protocol(world: World, authority: Authority) -> None:
    context = authority.served("127.0.0.1").context()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with serving(context) as registry:
        authority.trust(certs(world, registry))
        refused(world, registry, "TLS")


def test_rg_21_client_certificate(world: World, authority: Authority) -> None:
    context = authority.served("127.0.0.1").context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.certificate)
    with serving(context) as registry:
        authority.trust(certs(world, registry))
        refused(world, registry, "TLS|connection lost|reset")
        authority.client(certs(world, registry))
        works(world, registry)
        (certs(world, registry) / "client.key").unlink()
        with pytest.raises(UsageError, match=r"client\.cert: its key client\.key is missing"):
            works(world, registry)


def test_rg_21_insecure_takes_any_certificate_but_only_there(world: World, authority: Authority) -> None:
    with serving(authority.served("nobody.example").context()) as registry:
        refused(world, registry, "TLS")
        world.write("etc/containers/registries.conf", f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n')
        works(world, registry)
        with serving(authority.served("nobody.example").context(), "127.0.0.2") as other:
            _, layer = image(registry, "a", "1", DATA)
            registry.script(f"/v2/a/blobs/{layer.digest}", redirect(f"{other.base}/x"))
            with world.open(f"{registry.host}/a:1") as source, pytest.raises(RegistryUnreachable, match=other.host):
                list(source.blob(layer))
            assert not other.requests()


def test_rg_21_token_server_and_storage_are_verified_by_their_own_hosts(world: World, authority: Authority) -> None:
    """RG-21, CVE-2025-6032's class: with the authority known for the registry only, nothing is sent to the others."""
    with (
        serving(authority.served("127.0.0.1").context()) as registry,
        serving(authority.served("127.0.0.2").context(), "127.0.0.2") as realm,
        serving(authority.served("127.0.0.3").context(), "127.0.0.3") as storage,
    ):
        authority.trust(certs(world, registry))
        _, layer = image(registry, "a", "1", DATA)
        challenge = ("WWW-Authenticate", f'Bearer realm="{realm.base}/token",service="x"')
        realm.script("/token", Reply(body=b'{"token": "t"}'))
        storage.script("/x", Reply(body=DATA))
        path = f"/v2/a/blobs/{layer.digest}"

        def guarded(seen: Seen) -> Reply:
            known = seen.headers.get("authorization") == "Bearer t"
            return redirect(f"{storage.base}/x") if known else Reply(status=401, headers=(challenge,))

        registry.script(path, guarded)
        anna = Credentials(username="anna", password="pa55")

        def pull() -> bytes:
            with world.open(f"{registry.host}/a:1", credentials=anna) as source:
                return b"".join(source.blob(layer))

        with pytest.raises(RegistryUnreachable, match=realm.host):
            pull()
        assert not realm.requests()
        authority.trust(certs(world, realm))
        with pytest.raises(RegistryUnreachable, match=storage.host):
            pull()
        assert not storage.requests()
        authority.trust(certs(world, storage))
        assert pull() == DATA
        assert "authorization" not in storage.requests("/x")[0].headers


def test_rg_01_an_https_registry_names_a_plain_realm(world: World, authority: Authority) -> None:
    with serving(authority.served("127.0.0.1").context()) as registry, FaultRegistry("127.0.0.2") as realm:
        authority.trust(certs(world, registry))
        challenge = ("WWW-Authenticate", f'Bearer realm="{realm.base}/token"')
        registry.script("/v2/a/manifests/1", Reply(status=401, headers=(challenge,)))
        with world.open(f"{registry.host}/a:1") as source, pytest.raises(Exception, match="from https to plain http"):
            source.manifest()
        assert not realm.requests()


def test_plain_http_where_it_is_not_allowed(world: World) -> None:
    """A host that is not loopback gets TLS or nothing: here one by a name that an entry of daemon.json could allow."""
    with FaultRegistry() as registry:
        image(registry, "a", "1", DATA)
        port = registry.port
        # 127.1 is 127.0.0.1 for the resolver, and no loopback address by the rules for plain http.
        with world.open(f"127.1:{port}/a:1") as source, pytest.raises(RegistryUnreachable) as caught:
            source.manifest()
        assert not registry.requests()
        assert str(caught.value) == f"127.1:{port}: it does not speak TLS"
        assert "insecure in registries.conf" in caught.value.hint
        world.write("etc/docker/daemon.json", f'{{"insecure-registries": ["127.1:{port}"]}}')
        with world.open(f"127.1:{port}/a:1") as source:
            source.manifest()


def test_names_in_certs_d(world: World) -> None:
    for name in ("docker.io", "r.example", "r.example:5000", "[::1]:5000"):
        world.write(f"etc/docker/certs.d/{name}/x.crt", "")
    expected = {
        "registry-1.docker.io:443": 1,
        "r.example:443": 1,
        "r.example:5000": 1,
        "::1:5000": 1,
        "r.example:80": 0,
    }
    for place, count in expected.items():
        host, _, port = place.rpartition(":")
        assert len(host_trust(world.paths, host, int(port)).authorities) == count


def test_an_encrypted_key_does_not_ask(world: World, authority: Authority) -> None:
    import subprocess

    directory = world.root / "etc/docker/certs.d/r.example"
    authority.client(directory)
    key = directory / "client.key"
    subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", str(key), "-out", str(key) + "2", "-passout", "pass:secret"], check=True
    )
    (directory / "client.key2").rename(key)
    with pytest.raises(UsageError, match=r"client\.cert: cannot be used"):
        tls_context(host_trust(world.paths, "r.example", 443), environ={})
