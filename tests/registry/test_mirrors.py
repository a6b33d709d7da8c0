"""Several places for one image, and several meanings of one name."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from pyrt.errors import DigestMismatch, ImageNotFound, RegistryError, RegistryUnreachable, SizeMismatch
from pyrt.oci.digest import Digest
from tests.support.fault_registry import FaultRegistry, Reply, error, html, image, noise, ranged
from tests.support.registry_client import World, manifest_answer

DATA = noise(3_000_000, 4)
CONF = "etc/containers/registries.conf"


@pytest.fixture
def mirror() -> Iterator[FaultRegistry]:
    with FaultRegistry("127.0.0.2") as running:
        yield running


@pytest.fixture
def origin(world: World, mirror: FaultRegistry) -> Iterator[FaultRegistry]:
    with FaultRegistry("127.0.0.3") as running:
        world.write(CONF, f'[[registry]]\nlocation = "{running.host}"\n[[registry.mirror]]\nlocation = "{mirror.host}/cache"\n')
        yield running


def blobs(registry: FaultRegistry) -> list[str]:
    return [seen.path for seen in registry.requests() if "/blobs/" in seen.path]


def test_the_mirror_serves(world: World, mirror: FaultRegistry, origin: FaultRegistry) -> None:
    image(mirror, "cache/a", "1", DATA)
    with world.open(f"{origin.host}/a:1") as source:
        source.manifest()
        assert str(source.reference) == f"{origin.host}/a:1"
    assert not origin.requests()


@pytest.mark.parametrize("answer", [error(404, "X"), error(401, "X"), error(500, "X"), error(429, "X"), html()])
def test_a_mirror_that_fails_is_passed_over_at_once(
    world: World, mirror: FaultRegistry, origin: FaultRegistry, answer: Reply
) -> None:
    digest, layer = image(origin, "a", "1", DATA)
    for path in (f"/v2/cache/a/blobs/{layer.digest}", "/v2/cache/a/manifests/1", f"/v2/cache/a/manifests/{digest}"):
        mirror.script(path, answer)
    with world.open(f"{origin.host}/a:1") as source:
        source.manifest()
        source.manifest(digest)
        assert b"".join(source.blob(layer)) == DATA
    assert len(mirror.requests(f"/v2/cache/a/blobs/{layer.digest}")) == 1


def test_a_dead_mirror_is_asked_once(world: World, origin: FaultRegistry) -> None:
    dead = FaultRegistry("127.0.0.2")
    world.write(CONF, f'[[registry]]\nlocation = "{origin.host}"\n[[registry.mirror]]\nlocation = "{dead.host}"\n')
    _, layer = image(origin, "a", "1", DATA)
    dead._server.server_close()
    with world.open(f"{origin.host}/a:1") as source:
        source.manifest()
        assert source._order("x") == [(1, True)]
        assert b"".join(source.blob(layer)) == DATA


def test_rg_41_wrong_bytes_of_a_manifest(world: World, mirror: FaultRegistry, origin: FaultRegistry) -> None:
    digest, _ = image(origin, "a", "1", DATA)
    mirror.script(f"/v2/cache/a/manifests/{digest}", manifest_reply(b"{}"))
    with world.open(f"{origin.host}/a@{digest}") as source:
        raw, _ = source.manifest()
        assert Digest.of(raw) == digest
    origin.script(f"/v2/a/manifests/{digest}", manifest_reply(b"{}"))
    with world.open(f"{origin.host}/a@{digest}") as source, pytest.raises(DigestMismatch):
        source.manifest()


def manifest_reply(body: bytes) -> Reply:
    return Reply(body=body, headers=(("Content-Type", "application/vnd.oci.image.manifest.v1+json"),))


def test_rg_41_wrong_bytes_of_a_blob(world: World, mirror: FaultRegistry, origin: FaultRegistry) -> None:
    """The reader rejects, the next place is asked; where all lie, the error stands."""
    _, layer = image(origin, "a", "1", DATA)
    wrong = noise(len(DATA), 5)
    mirror.script(f"/v2/cache/a/blobs/{layer.digest}", lambda seen: ranged(seen, wrong))
    mismatch = DigestMismatch("wrong", expected="", actual="")
    with world.open(f"{origin.host}/a:1") as source:
        assert b"".join(source.blob(layer)) == wrong
        source.reject(layer, mismatch)
        assert b"".join(source.blob(layer)) == DATA
        assert len(blobs(mirror)) == 1
        with pytest.raises(DigestMismatch):
            source.reject(layer, mismatch)


def test_rg_41_wrong_bytes_of_a_small_blob(world: World, mirror: FaultRegistry, origin: FaultRegistry) -> None:
    small = noise(1000, 6)
    layer = origin.blob("a", small)
    mirror.script(f"/v2/cache/a/blobs/{layer.digest}", Reply(body=noise(1000, 7)))
    with world.open(f"{origin.host}/a:1") as source:
        assert b"".join(source.blob(layer)) == small


def test_rg_28_rg_41_wrong_size(world: World, mirror: FaultRegistry, origin: FaultRegistry) -> None:
    """Known before the first byte is handed on, so nobody needs to start again."""
    _, layer = image(origin, "a", "1", DATA)
    mirror.script(f"/v2/cache/a/blobs/{layer.digest}", Reply(body=DATA + b"x"))
    with world.open(f"{origin.host}/a:1") as source:
        assert b"".join(source.blob(layer)) == DATA
    mirror.script(f"/v2/cache/a/blobs/{layer.digest}", Reply(body=DATA + b"x", chunked=True))
    with world.open(f"{origin.host}/a:1") as source:
        with pytest.raises(SizeMismatch) as caught:
            list(source.blob(layer))
        source.reject(layer, caught.value)
        assert b"".join(source.blob(layer)) == DATA


def test_the_origin_continues_where_a_mirror_broke(world: World, mirror: FaultRegistry, origin: FaultRegistry) -> None:
    _, layer = image(origin, "a", "1", DATA)
    mirror.script(f"/v2/cache/a/blobs/{layer.digest}", Reply(body=DATA, cut=1_500_000))
    with world.open(f"{origin.host}/a:1") as source:
        assert b"".join(source.blob(layer)) == DATA
        source.reject(layer, DigestMismatch("put together from two", expected="", actual=""))
    (seen,) = origin.requests(f"/v2/a/blobs/{layer.digest}")
    assert seen.headers["range"].startswith("bytes=")


def test_rg_04_credentials_are_for_the_registry_that_they_name(world: World) -> None:
    """Those of the origin do not go to the mirror."""
    world.write(CONF, '[[registry]]\nlocation = "o.example"\n[[registry.mirror]]\nlocation = "m.example"\n')
    world.write("home/.docker/config.json", '{"auths": {"o.example": {"auth": "YW5uYTpzZWNyZXQ="}}}')
    seen: list[tuple[str, str | None]] = []

    def registry(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.host, request.headers.get("authorization")))
        if request.headers.get("authorization"):
            return manifest_answer()
        return httpx.Response(401, headers={"www-authenticate": 'Basic realm="x"'})

    with world.open("o.example/a:1", registry) as source:
        source.manifest()
    assert seen == [("m.example", None), ("o.example", None), ("o.example", "Basic YW5uYTpzZWNyZXQ=")]


def test_short_names_go_through_the_list(world: World) -> None:
    world.write(CONF, 'unqualified-search-registries = ["one.example", "two.example", "three.example"]\n')
    hosts: list[str] = []

    def registry(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return manifest_answer() if request.url.host == "two.example" else httpx.Response(404)

    with world.open("tool:1", registry) as source:
        source.manifest()
        assert str(source.reference) == "two.example/tool:1"
        source.manifest("other")
    assert hosts == ["one.example", "two.example", "two.example"]


def test_short_names_that_nobody_has(world: World) -> None:
    world.write(CONF, 'unqualified-search-registries = ["one.example", "two.example"]\n')
    with (
        world.open("tool:1", lambda request: httpx.Response(404)) as source,
        pytest.raises(ImageNotFound, match="two.example/tool:1"),
    ):
        source.manifest()


def test_blocked(world: World) -> None:
    world.write(CONF, '[[registry]]\nlocation = "o.example"\nblocked = true\n')
    with pytest.raises(RegistryError, match="registry o.example is blocked"):
        world.open("o.example/a:1")


def test_nobody_is_there_any_more(world: World) -> None:
    with FaultRegistry("127.0.0.2") as mirror, FaultRegistry("127.0.0.3") as origin:
        world.write(CONF, f'[[registry]]\nlocation = "{origin.host}"\n[[registry.mirror]]\nlocation = "{mirror.host}"\n')
        _, layer = image(origin, "a", "1", DATA)
        source = world.open(f"{origin.host}/a:1")
        source.manifest()
    with source:
        for action in (source.manifest, lambda: list(source.blob(layer))):
            with pytest.raises(RegistryUnreachable, match=origin.host):
                action()
