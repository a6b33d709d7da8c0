"""Manifests: what is asked, what is checked, and what each refusal becomes."""

from __future__ import annotations

import hashlib
import json

import httpx
import pytest

from pyrt.errors import (
    AccessDenied,
    DigestMismatch,
    ImageNotFound,
    InvalidManifest,
    NotARegistry,
    PyrtError,
    RateLimited,
    RegistryError,
)
from pyrt.oci import media_types
from pyrt.oci.digest import Digest
from tests.support.registry_client import MANIFEST_BODY, FakeClock, World, manifest_answer

IMAGE = "registry.example/a/b:1"
GOOD = Digest.of(MANIFEST_BODY)
OTHER = Digest.of(b"other")


def fetch(
    world: World, answer: httpx.Response, which: str | Digest | None = None, clock: FakeClock | None = None
) -> tuple[bytes, str]:
    with world.open(IMAGE, lambda request: answer, clock=clock) as source:
        return source.manifest(which)


def error(status: int, code: str = "X", message: str = "why", **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json={"errors": [{"code": code, "message": message}]}, headers=sent)


def test_what_is_asked(world: World) -> None:
    seen: list[httpx.Request] = []

    def registry(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return manifest_answer()

    with world.open(IMAGE, registry) as source:
        assert source.manifest() == (MANIFEST_BODY, media_types.OCI_MANIFEST)
        source.manifest("other")
        source.manifest(GOOD)
    assert [request.url.path for request in seen] == [
        "/v2/a/b/manifests/1",
        "/v2/a/b/manifests/other",
        f"/v2/a/b/manifests/{GOOD}",
    ]
    assert seen[0].headers["accept"].split(", ") == list(media_types.ACCEPT)
    with world.open(f"registry.example/a/b@{GOOD}", registry) as source:
        source.manifest()
    assert seen[-1].url.path == f"/v2/a/b/manifests/{GOOD}"


def test_by_digest_the_bytes_are_verified(world: World) -> None:
    fetch(world, manifest_answer(docker_content_digest=str(OTHER)), GOOD)  # the header means nothing then
    with pytest.raises(DigestMismatch) as caught:
        fetch(world, manifest_answer(), OTHER)
    assert (caught.value.expected, caught.value.actual) == (str(OTHER), str(GOOD))


def test_sha512(world: World) -> None:
    digest = Digest(algorithm="sha512", hex=hashlib.sha512(MANIFEST_BODY).hexdigest())
    fetch(world, manifest_answer(), digest)
    fetch(world, manifest_answer(docker_content_digest=str(digest)))
    with pytest.raises(DigestMismatch):
        fetch(world, manifest_answer(), Digest(algorithm="sha512", hex="0" * 128))


def test_by_tag_the_header_is_verified(world: World) -> None:
    fetch(world, manifest_answer(docker_content_digest=""))
    with pytest.raises(DigestMismatch):
        fetch(world, manifest_answer(docker_content_digest=str(OTHER)))
    with pytest.raises(InvalidManifest, match="Docker-Content-Digest"):
        fetch(world, manifest_answer(docker_content_digest="sha256:../../x"))


@pytest.mark.parametrize("kind", ["", "application/json; charset=utf-8", "text/plain", "application/vnd.x+json"])
def test_content_types_that_may_be_a_manifest(world: World, kind: str) -> None:
    assert fetch(world, manifest_answer(content_type=kind))[1] == kind.partition(";")[0]


@pytest.mark.parametrize("kind", ["text/html", "text/html; charset=utf-8", "image/png", "text/css"])
def test_content_types_of_something_else(world: World, kind: str) -> None:
    with pytest.raises(NotARegistry):
        fetch(world, manifest_answer(content_type=kind))


@pytest.mark.parametrize("status", [200, 404, 401])
def test_a_web_page(world: World, status: int) -> None:
    page = httpx.Response(status, content=b"<html>welcome</html>", headers={"content-type": "text/html"})
    with pytest.raises(NotARegistry, match="registry.example: not a registry: it answers with a web page"):
        fetch(world, page)


def test_a_proxy_that_wants_a_login_with_a_web_page(world: World) -> None:
    page = httpx.Response(401, content=b"<html>", headers={"content-type": "text/html", "www-authenticate": "Basic"})
    with pytest.raises(AccessDenied):
        fetch(world, page)


def test_overload_with_a_web_page(world: World) -> None:
    page = httpx.Response(502, content=b"<html>bad gateway</html>", headers={"content-type": "text/html"})
    with pytest.raises(RegistryError, match="registry.example answered with status 502$"):
        fetch(world, page)


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (error(404, "MANIFEST_UNKNOWN"), ImageNotFound, "registry.example/a/b:1: the registry has no such tag"),
        (error(404, "NAME_UNKNOWN"), ImageNotFound, "registry.example/a/b: the registry has no such repository"),
        (error(401, "UNAUTHORIZED"), AccessDenied, "registry.example/a/b:1: access denied"),
        (error(403, "DENIED"), AccessDenied, "registry.example/a/b:1: access denied: DENIED: why"),
        (error(400, "TAG_INVALID"), RegistryError, "answered with status 400: TAG_INVALID: why"),
        (error(501), RegistryError, "answered with status 501"),
        (error(500), RegistryError, "answered with status 500"),
        (httpx.Response(204), RegistryError, "answered with status 204"),
        (httpx.Response(404, content=b"no\x1b[31m\r\nway"), ImageNotFound, "no such tag"),
        (httpx.Response(403, content=b"no\x1b[31m\r\nway"), AccessDenied, r"no\\x1b\[31m\\r\\nway"),
    ],
)
def test_refusals(world: World, answer: httpx.Response, kind: type[PyrtError], text: str) -> None:
    with pytest.raises(kind, match=text) as caught:
        fetch(world, answer)
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)
    if kind is AccessDenied:
        assert "pyrt login registry.example" in caught.value.hint


def test_a_missing_digest(world: World) -> None:
    with pytest.raises(ImageNotFound, match=f"registry.example/a/b@{OTHER}: the registry has no such digest"):
        fetch(world, error(404), OTHER)


@pytest.mark.parametrize(
    "message",
    [
        "\x1b]52;c;aGk=\x07",
        "\u202egnp.exe",
        "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
        "x" * 9999,
    ],
)
def test_im_31_text_of_a_registry_is_escaped_and_cut(world: World, message: str) -> None:
    with pytest.raises(AccessDenied) as caught:
        fetch(world, error(403, "DENIED", message))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("headers", "after"),
    [({}, None), ({"retry_after": "3600"}, 3600.0), ({"x_ratelimit_reset": "1700002000"}, 1000.0)],
)
def test_rate_limited(world: World, headers: dict[str, str], after: float | None) -> None:
    clock = FakeClock(now=1000.0)
    answer = error(429, "TOOMANYREQUESTS", "You have reached your pull rate limit.", **headers)
    with pytest.raises(RateLimited, match="TOOMANYREQUESTS: You have reached") as caught:
        fetch(world, answer, clock=clock)
    assert caught.value.retry_after == after and caught.value.host == "registry.example"
    assert len(clock.slept) == (4 if after is None else 0)


def test_rate_limited_in_plain_text(world: World) -> None:
    with pytest.raises(RateLimited, match="toomanyrequests"):
        fetch(world, httpx.Response(429, content=b"toomanyrequests: slow down"))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_rg_35_what_is_tried_again(world: World, status: int) -> None:
    clock = FakeClock()
    answers = [httpx.Response(status), httpx.Response(status, headers={"retry-after": "20"}), manifest_answer()]
    with world.open(IMAGE, lambda request: answers.pop(0), clock=clock) as source:
        source.manifest()
    assert clock.slept == [0.5, 20.0]


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501, 505])
def test_rg_35_what_is_not_tried_again(world: World, status: int) -> None:
    answers = [httpx.Response(status)]
    with pytest.raises(PyrtError), world.open(IMAGE, lambda request: answers.pop(0)) as source:
        source.manifest()


def test_im_06_rg_25_too_large(world: World) -> None:
    limit = 4 * 1024 * 1024
    body = b'{"x":"' + b"x" * (limit - 8) + b'"}'
    assert len(fetch(world, manifest_answer(body))[0]) == limit
    with pytest.raises(InvalidManifest, match="longer than 4194304 bytes"):
        fetch(world, manifest_answer(body + b" "))


def test_rg_27_encodings_are_not_undone(world: World) -> None:
    """The bytes are what the digest is of, and a bomb stays small."""
    import gzip

    bomb = gzip.compress(gzip.compress(b"0" * 50_000_000))
    raw, _ = fetch(world, manifest_answer(bomb, content_encoding="gzip, gzip"))
    assert raw == bomb


def test_signed_schema_1_has_the_digest_of_its_payload(world: World) -> None:
    payload = '{\n   "schemaVersion": 1,\n   "name": "a/b",\n   "tag": "1",\n   "architecture": "amd64",\n   "fsLayers": ['
    payload += f'\n      {{\n         "blobSum": "{OTHER}"\n      }}\n   ],\n   "history": [\n      {{\n'
    payload += '         "v1Compatibility": ' + json.dumps(json.dumps({"id": "1" * 64})) + "\n      }\n   ]"
    signed = payload + "\n}"
    protected = {"formatLength": len(payload), "formatTail": "Cn0", "time": "2020-01-01T00:00:00Z"}
    import base64

    encoded = base64.urlsafe_b64encode(json.dumps(protected).encode()).rstrip(b"=").decode()
    signatures = [{"header": {"alg": "ES256"}, "signature": "AA", "protected": encoded}]
    body = (payload + ',\n   "signatures": ' + json.dumps(signatures) + "\n}").encode()
    digest = Digest.of(signed.encode())
    answer = manifest_answer(body, content_type=media_types.SCHEMA1_SIGNED, docker_content_digest=str(digest))
    assert fetch(world, answer)[0] == body
    assert fetch(world, answer, digest)[0] == body
    with pytest.raises(DigestMismatch):
        fetch(world, answer, OTHER)
