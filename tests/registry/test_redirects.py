"""Redirects of blobs and manifests: who sees what, and where we do not go."""

from __future__ import annotations

import httpx
import pytest

from pyrt.errors import RegistryError
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.registry.credentials import Credentials
from tests.support.fault_registry import FaultRegistry, Reply, image, redirect
from tests.support.registry_client import World, manifest_answer

ANNA = Credentials(username="anna", password="secret-pa55")
DATA = b"x" * 1000
BLOB = Descriptor(media_type="application/vnd.oci.image.layer.v1.tar", digest=Digest.of(DATA), size=len(DATA))


class Redirecting:
    """Wants Basic, and sends every blob to ``target``."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.seen: list[tuple[str, dict[str, str]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append((str(request.url), dict(request.headers)))
        if request.url.host != "registry.example" or request.url.port is not None:
            return httpx.Response(200, content=DATA)
        if "authorization" not in request.headers:
            challenge = {"www-authenticate": 'Basic realm="x"', "set-cookie": "session=secret-cookie"}
            return httpx.Response(401, headers=challenge)
        if request.url.path.startswith("/moved"):
            return httpx.Response(200, content=DATA)
        return httpx.Response(307, headers={"location": self.target, "set-cookie": "session=secret-cookie"})


def blob(world: World, registry: Redirecting, **options: tuple[str, ...]) -> bytes:
    with world.open("registry.example/a/b:1", registry, credentials=ANNA, **options) as source:  # type: ignore[arg-type]
        return b"".join(source.blob(BLOB))


@pytest.mark.parametrize(
    "target",
    [
        "https://storage.example/x?X-Amz-Signature=abc%2Fdef&X-Amz-Date=1",  # RG-05, BN-19
        "https://registry.example:8443/x",  # RG-06
        "https://registry.example.evil.example/x",
        "https://8.8.8.8/x",
    ],
)
def test_rg_05_rg_06_bn_19_another_origin_gets_nothing_of_ours(world: World, target: str) -> None:
    registry = Redirecting(target)
    assert blob(world, registry) == DATA
    url, headers = registry.seen[-1]
    assert url == target
    assert not {"authorization", "cookie"} & set(headers)
    assert "secret" not in str(headers)


def test_rg_05_the_same_origin_keeps_authorization(world: World) -> None:
    registry = Redirecting("/moved/x")
    assert blob(world, registry) == DATA
    assert registry.seen[-1][0] == "https://registry.example/moved/x"
    assert "authorization" in registry.seen[-1][1] and "cookie" not in registry.seen[-1][1]


@pytest.mark.parametrize(
    "target",
    [
        "http://storage.example/x",  # RG-07
        "http://registry.example/x",
        "file:///etc/passwd",  # RG-08
        "ftp://storage.example/x",
        "unix:/var/run/docker.sock",
        "data:text/plain,x",
        "javascript:x",
        "https:///x",
        "",
        "https://127.0.0.1/x",  # RG-09
        "https://10.0.0.1/x",
        "https://169.254.169.254/x",
        "https://[fe80::1]/x",
        "https://0x7f.1/x",
        "https://anna:pw@storage.example/x",
        "https://storage.example:0/x",
    ],
)
def test_rg_07_rg_08_rg_09_where_we_do_not_go(world: World, target: str) -> None:
    registry = Redirecting(target)
    with pytest.raises(RegistryError) as caught:
        blob(world, registry)
    assert len(registry.seen) == 2  # the challenge, then the redirect
    assert "pw" not in str(caught.value)


def test_rg_10_a_loop_ends(world: World) -> None:
    registry = Redirecting("https://registry.example/v2/again")
    with pytest.raises(RegistryError, match="more than 10 redirects"):
        blob(world, registry)
    assert len(registry.seen) == 1 + 11


def test_rg_10_ten_hops_are_allowed(world: World) -> None:
    hops = [f"https://h{number}.example/x" for number in range(10)]

    def registry(request: httpx.Request) -> httpx.Response:
        number = hops.index(str(request.url)) if str(request.url) in hops else -1
        if number == 9:
            return httpx.Response(200, content=DATA)
        return httpx.Response(302, headers={"location": hops[number + 1]})

    with world.open("registry.example/a/b:1", registry) as source:
        assert b"".join(source.blob(BLOB)) == DATA


def test_rg_19_signed_queries_are_not_shown(world: World) -> None:

    def registry(request: httpx.Request) -> httpx.Response:
        if request.url.host == "registry.example":
            return httpx.Response(307, headers={"location": "https://storage.example/x?X-Amz-Signature=s3cr3t"})
        return httpx.Response(307, headers={"location": "http://other.example/x?X-Amz-Signature=s3cr3t"})

    with pytest.raises(RegistryError) as caught, world.open("registry.example/a/b:1", registry) as source:
        list(source.blob(BLOB))
    assert "s3cr3t" not in str(caught.value) and "http://other.example/x?..." in str(caught.value)


def test_rg_13_pages_of_tags_stay_at_the_registry(world: World) -> None:
    seen: list[str] = []
    links = ['</v2/a/b/tags/list?last=2&n=2>; rel="next"', '<https://evil.example/v2/a/b/tags/list>; rel="next"']

    def registry(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        number = len(seen)
        link = {"link": links[number - 1]} if number <= len(links) else {}
        return httpx.Response(200, json={"name": "a/b", "tags": [f"{number}a", f"{number}b"]}, headers=link)

    with world.open("registry.example/a/b:1", registry) as source:
        with pytest.raises(RegistryError, match="next page leads to another host"):
            source.tags()
        assert len(seen) == 2
        links.pop()
        seen.clear()
        assert source.tags() == ("1a", "1b", "2a", "2b")


def test_rg_09_bn_18_public_to_inside_on_real_sockets(world: World) -> None:
    """RG-09 and its twin BN-18: 127.0.0.2 plays a public registry, 127.0.0.1 the inside, 127.0.0.3 more public."""
    with (
        FaultRegistry("127.0.0.2") as public,
        FaultRegistry("127.0.0.1") as inside,
        FaultRegistry("127.0.0.3") as other,
    ):
        image(public, "a", "1", DATA)
        descriptor = public.blob("a", DATA, redirect(f"{inside.base}/x"), redirect(f"{other.base}/x"))
        for host in (inside, other):
            host.script("/x", Reply(body=DATA))
        with world.open(f"{public.host}/a:1", public=("127.0.0.2", "127.0.0.3")) as source:
            with pytest.raises(RegistryError, match="an address inside this network"):
                list(source.blob(descriptor))
            assert not inside.requests()
            assert b"".join(source.blob(descriptor)) == DATA
            assert len(other.requests("/x")) == 1
        public.blob("a", DATA, redirect(f"{inside.base}/x"))
        with world.open(f"{public.host}/a:1") as source:  # now a private registry, which may go where it likes
            assert b"".join(source.blob(descriptor)) == DATA


def test_plain_http_ends_at_this_machine(world: World) -> None:
    """A registry on loopback may be plain, what it leads to elsewhere may not: 127.1 is no loopback by the rules."""
    with FaultRegistry() as registry:
        descriptor = registry.blob("a", DATA)
        outward = f"http://127.1:{registry.port}/x"
        challenge = ("WWW-Authenticate", f'Bearer realm="{outward}"')
        path = f"/v2/a/blobs/{descriptor.digest}"
        for answer in (redirect(outward), Reply(status=401, headers=(challenge,))):
            registry.script(path, answer)
            with (
                world.open(f"{registry.host}/a:1", credentials=ANNA) as source,
                pytest.raises(RegistryError, match="plain http beyond this machine"),
            ):
                list(source.blob(descriptor))
        assert {seen.path for seen in registry.requests()} == {path}


def test_rg_42_names_that_are_no_paths_reach_nobody(world: World) -> None:
    from pyrt.errors import UsageError

    def registry(request: httpx.Request) -> httpx.Response:
        raise AssertionError("asked")

    for name in ("a/../b", "a/%2e%2e/b", "a?b", "a#b", "a//b", "a/b@sha256:../../x", "a/b:..", "a b", "a\n"):
        with pytest.raises(UsageError):
            world.open(f"registry.example/{name}", registry)


def test_manifests_redirect_too(world: World) -> None:
    def registry(request: httpx.Request) -> httpx.Response:
        if request.url.host == "registry.example":
            return httpx.Response(301, headers={"location": "https://other.example/m"})
        assert "accept" in request.headers and "authorization" not in request.headers
        return manifest_answer()

    with world.open("registry.example/a/b:1", registry, credentials=ANNA) as source:
        source.manifest()


@pytest.mark.parametrize("target", ["https://xn--/x", "//xn--", "https://xn--99999999.example/"])
def test_fz_a_host_that_idna_does_not_know(world: World, target: str) -> None:
    """Found with test_fz_redirect: httpx decodes such a name when it is asked for it, and that was a traceback."""
    with pytest.raises(RegistryError):
        blob(world, Redirecting(target))


@pytest.mark.parametrize("reference", ["xn--99999999.example/a:1", "xn--0.example:5000/a:1"])
def test_fz_a_registry_that_idna_does_not_know(world: World, reference: str) -> None:
    with world.open(reference, Redirecting("")) as source, pytest.raises(RegistryError, match="not the name of a host"):
        source.manifest(None)
