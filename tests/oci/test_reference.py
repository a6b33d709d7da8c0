"""Image references, by the table of the grammar and by generated ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrt.errors import InvalidReference
from pyrt.oci.digest import Digest
from pyrt.oci.reference import Reference

SHA = "sha256:" + "0123456789abcdef" * 4

GOOD = [
    # text, canonical, familiar, api host
    ("busybox", "docker.io/library/busybox:latest", "busybox:latest", "registry-1.docker.io"),
    ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36", "registry-1.docker.io"),
    (f"busybox@{SHA}", f"docker.io/library/busybox@{SHA}", f"busybox@{SHA}", "registry-1.docker.io"),
    (f"busybox:1@{SHA}", f"docker.io/library/busybox:1@{SHA}", f"busybox:1@{SHA}", "registry-1.docker.io"),
    ("library/busybox", "docker.io/library/busybox:latest", "busybox:latest", "registry-1.docker.io"),
    ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest", "registry-1.docker.io"),
    ("index.docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest", "registry-1.docker.io"),
    ("owner/name", "docker.io/owner/name:latest", "owner/name:latest", "registry-1.docker.io"),
    ("a/b/c:d", "docker.io/a/b/c:d", "a/b/c:d", "registry-1.docker.io"),
    ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest", "registry-1.docker.io"),
    ("ghcr.io/o/n", "ghcr.io/o/n:latest", "ghcr.io/o/n:latest", "ghcr.io"),
    ("localhost/x", "localhost/x:latest", "localhost/x:latest", "localhost"),
    ("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest", "localhost:5000"),
    ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000", "registry-1.docker.io"),
    ("registry:5000/x:y", "registry:5000/x:y", "registry:5000/x:y", "registry:5000"),
    ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest", "127.0.0.1:5000/a/b:latest", "127.0.0.1:5000"),
    ("[::1]:5000/x:y", "[::1]:5000/x:y", "[::1]:5000/x:y", "[::1]:5000"),
    ("[2001:db8::1]/x", "[2001:db8::1]/x:latest", "[2001:db8::1]/x:latest", "[2001:db8::1]"),
    (f"[::1]:5000/x:y@{SHA}", f"[::1]:5000/x:y@{SHA}", f"[::1]:5000/x:y@{SHA}", "[::1]:5000"),
    ("Host/x", "Host/x:latest", "Host/x:latest", "Host"),
    ("xn--bcher-kva.example/x", "xn--bcher-kva.example/x:latest", "xn--bcher-kva.example/x:latest", None),
    ("a_b__c.d-e--f", "docker.io/library/a_b__c.d-e--f:latest", "a_b__c.d-e--f:latest", "registry-1.docker.io"),
    ("x:_t.-", "docker.io/library/x:_t.-", "x:_t.-", "registry-1.docker.io"),
    ("x:" + "t" * 128, "docker.io/library/x:" + "t" * 128, "x:" + "t" * 128, "registry-1.docker.io"),
    ("docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c:latest", "registry-1.docker.io"),
    ("docker.io/localhost/c", "docker.io/localhost/c:latest", "docker.io/localhost/c:latest", "registry-1.docker.io"),
    ("r.io/" + "a" * 255, "r.io/" + "a" * 255 + ":latest", "r.io/" + "a" * 255 + ":latest", "r.io"),
]

BAD = [
    ("", "empty"),
    (" ", "component ' '"),
    ("a b", "component 'a b'"),
    ("Busybox", "'Busybox' must be lowercase"),
    ("owner/Name", "'owner/Name' must be lowercase"),
    ("busybox:", "tag ''"),
    ("busybox:-x", "tag '-x'"),
    ("busybox:.x", "tag '.x'"),
    ("busybox:a b", "tag 'a b'"),
    ("busybox:" + "t" * 129, "tag"),
    ("busybox:é", "tag 'é'"),
    ("busybox:a:b", "component 'busybox:a'"),
    ("busybox@", "digest ''"),
    ("busybox@sha256:12", "2 hexadecimal digits"),
    (f"busybox@{SHA.upper()}", "algorithm"),
    (f"busybox@{SHA}@{SHA}", "digest"),
    (f"busybox@md5:{'0' * 32}", "algorithm"),
    (f"@{SHA}", "repository name is empty"),
    (":tag", "repository name is empty"),
    ("/x", "empty component"),
    ("x/", "empty component"),
    ("a//b", "empty component"),
    ("localhost:5000/", "repository name is empty"),
    ("-x", "component '-x'"),
    ("x-", "component 'x-'"),
    ("a..b", "component 'a..b'"),
    ("a___b", "component 'a___b'"),
    ("a/../b", "component '..'"),
    ("a/./b", "component '.'"),
    ("../b", "registry '..'"),
    ("a._b", "component 'a._b'"),
    ("a/b\n", "component"),
    ("a/b?x=1", "component"),
    ("a/b#f", "component"),
    ("a/%2e%2e/b", "component '%2e%2e'"),
    ("-host.io/x", "registry '-host.io'"),
    ("host-.io/x", "registry 'host-.io'"),
    ("ho_st.io/x", "registry 'ho_st.io'"),
    ("host.io:/x", "registry 'host.io:'"),
    ("host.io:abc/x", "registry 'host.io:abc'"),
    ("host.io:0/x", "port 0"),
    ("host.io:65536/x", "port 65536"),
    ("[::1/x", "registry"),
    ("::1/x", "registry '::1'"),
    ("[zz::1]:5000/x", "registry"),
    ("http://host.io/x", "registry 'http:'"),
    ("user@host.io/x", "digest 'host.io/x'"),
    ("0123456789abcdef" * 4, "id, not a repository name"),
    ("r.io/" + "a" * 256, "longer than 255"),
    ("a" * 249, "longer than 255"),
    ("x" * 100_000, "longer than"),
    ("busybox\0", "component"),
]


@pytest.mark.parametrize(("text", "canonical", "familiar", "api_host"), GOOD)
def test_rg_37_good_reference(text: str, canonical: str, familiar: str, api_host: str | None) -> None:
    reference = Reference.parse(text)
    assert str(reference) == canonical
    assert reference.familiar() == familiar
    assert reference.api_host() == (api_host or reference.registry)


@pytest.mark.parametrize(("text", "why"), BAD, ids=[text[:30] for text, _ in BAD])
def test_rg_42_bad_reference_names_the_wrong_part(text: str, why: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        Reference.parse(text)
    assert why in str(caught.value)
    assert len(str(caught.value)) < 800


def test_with_digest_keeps_name_and_tag() -> None:
    pinned = Reference.parse("busybox:1").with_digest(Digest.parse(SHA))
    assert str(pinned) == f"docker.io/library/busybox:1@{SHA}"
    assert pinned.name == "docker.io/library/busybox"


COMPONENT = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}", fullmatch=True)
HOST = st.from_regex(
    r"([a-z0-9]{1,5}(\.[a-zA-Z0-9-]{0,4}[a-z]){1,2}|localhost|\[[0-9a-f:]{2,9}\])(:[1-9][0-9]{0,3})?", fullmatch=True
)
TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True)
DIGEST = st.from_regex(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}", fullmatch=True)


@st.composite
def references(draw: st.DrawFn) -> str:
    text = "/".join(draw(st.lists(COMPONENT, min_size=1, max_size=4)))
    if draw(st.booleans()):
        text = f"{draw(HOST)}/{text}"
    if draw(st.booleans()):
        text += f":{draw(TAG)}"
    if draw(st.booleans()):
        text += f"@{draw(DIGEST)}"
    return text


@given(references())
def test_canonical_and_familiar_text_mean_the_same(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReference:
        return  # a first component with a dot that is no host, such as "a-.b"
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar()) == reference
    assert (reference.tag is not None) or (reference.digest is not None)
    assert len(reference.familiar()) <= len(str(reference))


@given(st.text(max_size=80) | st.text(alphabet="abZ09./:@-_[]%~ ", max_size=40))
def test_any_text_is_a_reference_or_a_clear_refusal(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReference as error:
        assert str(error).startswith("invalid reference ")
        return
    url_safe = set("abcdefghijklmnopqrstuvwxyz0123456789./_-")
    assert set(reference.repository) <= url_safe
    assert ".." not in reference.repository.split("/")
    assert not set(reference.registry) & set("/@?#% \\")
