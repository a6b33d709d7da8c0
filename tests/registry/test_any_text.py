"""Whatever a registry says in a header, and whatever stands in a file of this machine: a value, or a clean error."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from pathlib import Path

import httpx
from hypothesis import given
from hypothesis import strategies as st

from pyrt.errors import ImageError, InvalidReference, PyrtError, RegistryError, UsageError
from pyrt.oci import limits
from pyrt.oci.reference import Reference
from pyrt.registry.byte_range import parse_range
from pyrt.registry.challenge import InvalidChallenge, parse_challenges
from pyrt.registry.credentials import CredentialStore
from pyrt.registry.docker_daemon import DockerDaemon
from pyrt.registry.hosts import Hosts
from pyrt.registry.registries_conf import RegistriesConf
from pyrt.registry.retry import RetryPolicy, retry_after
from pyrt.registry.token import InvalidToken, parse_token
from pyrt.registry.transports import open_source
from tests.registry.test_archives_docker import FILES, one, write
from tests.support.registry_client import FakeClock, World


def words(*parts: str) -> st.SearchStrategy[str]:
    """Texts made of these, or of anything."""
    return st.lists(st.sampled_from(parts), max_size=10).map("".join) | st.text(max_size=20)


HEADERS = words(
    "Bearer",
    "Basic",
    " ",
    ",",
    "=",
    '"',
    "\\",
    "realm",
    "service",
    "scope",
    "https://a.example/t",
    "repository:a:pull",
    "\t",
    "==",
    "é",
)


@given(st.lists(HEADERS, max_size=4))
def test_fz_www_authenticate(values: list[str]) -> None:
    try:
        found = parse_challenges(values)
    except InvalidChallenge:
        return
    assert len(found) <= limits.CHALLENGES
    for challenge in found:
        assert challenge.scheme == challenge.scheme.lower() and isinstance(challenge.scopes, tuple)


@given(words("bytes", "=", "-", "0", "1", "9" * 19, ",", " ", "5", "\u0661"), st.integers(0, 1 << 62))
def test_fz_range(text: str, size: int) -> None:
    found = parse_range(text, size)
    assert found is None or (0 <= found.length <= size and (not found.length or found.start + found.length <= size))


CONTENT_RANGES = words("bytes", " ", "=", "-", "/", "*", "0", "1", "2", "3", "9" * 30, "\u0661")


@given(CONTENT_RANGES, st.integers(0, 3))
def test_fz_content_range(text: str, more: int) -> None:
    """A blob whose first answer breaks off after two bytes; whatever the second one claims to be, the digest decides."""
    blob = b"abcd"
    calls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.headers.get("range", ""))
        if len(calls) == 1:
            return httpx.Response(200, headers={"content-length": "4"}, stream=_Broken(blob[:2]))
        return httpx.Response(206, headers={"content-range": text.encode("utf-8")}, content=blob[2 : 2 + more])

    with tempfile.TemporaryDirectory() as place:
        source = World.below(Path(place)).open("r.example/a", answer, clock=FakeClock())
        try:
            content = b"".join(source.blob(_descriptor(blob)))
        except (RegistryError, ImageError):
            return
        finally:
            source.close()
    assert content == blob


class _Broken(httpx.SyncByteStream):
    def __init__(self, content: bytes) -> None:
        self.content = content

    def __iter__(self):  # type: ignore[no-untyped-def]
        yield self.content
        raise httpx.ReadError("broken")


def _descriptor(blob: bytes):  # type: ignore[no-untyped-def]
    from pyrt.oci.descriptor import Descriptor
    from pyrt.oci.digest import Digest

    return Descriptor(media_type="application/octet-stream", digest=Digest.of(blob), size=len(blob))


ADDRESSES = words(
    "http", "https", "file", ":", "//", "/", "registry.example", "other.example", "xn--", "127.0.0.1", "[::1]", "[", "]",
    "10.0.0.1", "@", "?", "#", "%2e", "..", "\u00e9", " ", "\n", ":5000", ":99999", "0x7f.1", "a",
)  # fmt: skip


@given(ADDRESSES | ADDRESSES.map("https://".__add__), st.booleans())
def test_fz_redirect(address: str, realm: bool) -> None:
    """As the Location of a blob, and as the realm of a token server."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host != "registry.example":
            return httpx.Response(200, content=b"abcd")
        if realm:
            quoted = address.replace("\\", "").replace('"', "")
            return httpx.Response(401, headers={"www-authenticate": f'Bearer realm="{quoted}"'.encode()})
        return httpx.Response(307, headers={"location": address.encode()})

    with tempfile.TemporaryDirectory() as place:
        source = World.below(Path(place)).open("registry.example/a", answer, clock=FakeClock())
        try:
            assert b"".join(source.blob(_descriptor(b"abcd"))) == b"abcd"
        except (RegistryError, ImageError):
            return
        finally:
            source.close()


MOMENTS = words(
    "0", "1", "60", "-1", "9" * 12, "9" * 30, "1e9", "nan", "inf", " ", ";", "Wed", ", ", "21 Oct 2015 07:28:00 GMT",
    "31 Feb 9999",
    "00:00:00", "+9999", "\u0661",
)  # fmt: skip
MOMENT_HEADERS = st.sampled_from(["Retry-After", "RateLimit-Reset", "X-RateLimit-Reset", "X-Retry-After"])


@given(st.dictionaries(MOMENT_HEADERS, MOMENTS))
def test_fz_retry_after(headers: dict[str, str]) -> None:
    seconds = retry_after(httpx.Headers([(name.encode(), text.encode()) for name, text in headers.items()]), FakeClock())
    assert seconds is None or seconds >= 0
    assert RetryPolicy().retry_after_cap < float("inf")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["\ud800", "é", "dTpw",
    "Og==", "x\r\ny"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["auths", "r.example", "auth", "username", "password", "identitytoken", "registrytoken",
        "https://r.example/v1/",
                         "credHelpers", "credsStore", "token", "access_token", "expires_in", "registry-mirrors",
                         "insecure-registries"]),
        inner, max_size=4),
    max_leaves=10,
)  # fmt: skip
# Helpers are programs; what they are called is nobody's choice here.
AUTH_FILES = JSON.map(
    lambda value: {k: v for k, v in value.items() if not k.startswith("cred")} if isinstance(value, dict) else value
)


SECRETS = (
    st.sampled_from(["", "x", "é", "\ud800", "\n", "dTpw", "Og==", "dTpwAAA=", "/w==", "dTr/", "7aCA", "="])
    | st.text(max_size=4)
    | JSON
)
ENTRIES = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["auth", "username", "password", "identitytoken", "registrytoken"], SECRETS)
)


@given(AUTH_FILES | ENTRIES.map(lambda entry: {"auths": {"r.example": entry}}))
def test_fz_auth_file(document: object) -> None:
    with tempfile.TemporaryDirectory() as place:
        world = World.below(Path(place))
        world.write("home/.docker/config.json", json.dumps(document))
        try:
            found = CredentialStore(world.paths, world.environ).find("r.example", "a/b")
        except UsageError as error:
            assert "config.json" in str(error)
            return
        if found:
            assert all(isinstance(secret, str) for secret in found.secrets())


@given(JSON | st.fixed_dictionaries({"token": SECRETS}, optional={"expires_in": st.floats() | st.integers() | JSON}))
def test_fz_token_answer(document: object) -> None:
    try:
        token = parse_token(json.dumps(document).encode(), scopes=frozenset(), asked_at=0.0)
    except InvalidToken:
        return
    assert "Token(" in repr(token)


@given(JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(["registry-mirrors", "insecure-registries"], st.lists(
    words("r.example", "http://", "https://", ":5000", "/", "10.0.0.0/8", "::", "[", "]", "@", "?", "*"),
    max_size=3))))  # fmt: skip
def test_fz_daemon_json(document: object) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "daemon.json"
        path.write_text(json.dumps(document))
        try:
            hosts = Hosts(conf=RegistriesConf(), daemon=DockerDaemon.load(str(path)))
            assert [place.host for place in hosts.endpoints(Reference.parse("busybox"))][-1] == "registry-1.docker.io"
            hosts.endpoints(Reference.parse("10.1.2.3:5000/a"))
        except UsageError as error:
            assert "daemon.json" in str(error)


TOML = words(
    "[[registry]]\n", "[[registry.mirror]]\n", "[aliases]\n", "prefix", "location", "mirror-by-digest-only", "pull-from-mirror",
    "unqualified-search-registries", "insecure", "blocked", " = ", '"r.example/a"', '"*.example"', '"a"', "true", "1", "[",
    "]", "\n", '""',
    '"digest-only"', "{", "}", ",", '"/x"', "'é'", '"r.example:99999"',
)  # fmt: skip
RULES = st.lists(st.sampled_from(['prefix = "r.example"\n', 'prefix = "*.example"\n', 'location = "other.example/x"\n',
    'location = "a"\n',
                                  'location = "r.example:x"\n', "blocked = true\n", "insecure = true\n", 'location = "-"\n',
                                  '[[registry.mirror]]\nlocation = "m.example/"\n',
                                  '[[registry.mirror]]\nlocation = "?"\n'])).map("".join)  # fmt: skip


@given(TOML | RULES.map("[[registry]]\n".__add__))
def test_fz_registries_conf(text: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        world = World.below(Path(place))
        file = world.write("home/.config/containers/registries.conf", "")
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            conf = RegistriesConf.load(world.paths)
        except UsageError as error:
            assert "registries.conf" in str(error)
            return
        assert conf.rule_for("r.example/a/b") in (None, *conf.rules)
        hosts = Hosts.load(world.paths)
        try:
            for reference in hosts.candidates("r.example/a/b:1") + hosts.candidates("short"):
                assert hosts.endpoints(reference)[-1].host
        except (InvalidReference, RegistryError):
            return


@given(
    words(
        "registry",
        ".example",
        ":",
        "5000",
        "/",
        "a",
        "A",
        "..",
        "@",
        "sha256:",
        "0" * 64,
        "_",
        "-",
        "[::1]",
        " ",
        "\n",
        "?",
        "#",
        "%2e",
    )
)
def test_fz_reference(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReference as error:
        assert "\n" not in str(error)
        return
    assert Reference.parse(str(reference)) == reference
    assert not set(str(reference)) & set(" \n?#%\\") and ".." not in str(reference).split("/")


MEMBERS = st.sampled_from(
    [
        "0/layer.tar",
        "1/layer.tar",
        "",
        "/",
        "..",
        "../../etc/shadow",
        "/etc/passwd",
        ".",
        "manifest.json",
        "x" * 5000,
        "a\0b",
        "é",
        "\ud800",
    ]
)
IMAGES = st.fixed_dictionaries(
    {},
    optional={
        "Config": MEMBERS | JSON,
        "RepoTags": st.lists(st.sampled_from(["old:latest", "", ":", "a" * 300, "\ud800"]), max_size=2) | JSON,
        "Layers": st.lists(MEMBERS, max_size=4) | JSON,
    },
).map(lambda fields: one(**fields))


@given(st.lists(IMAGES, max_size=2) | JSON, st.sampled_from(["", ":old:latest", ":@0", ":@9", ":nothing", ":@x"]))
def test_fz_docker_archive(document: object, name: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = write(Path(place) / "a.tar", [("manifest.json", json.dumps(document).encode()), *FILES])
        try:
            source, _ = open_source(f"docker-archive:{path}{name}", _no_registry)
        except PyrtError:
            return
        try:
            source.manifest(None)
        except PyrtError:
            return
        finally:
            source.close()


def _no_registry(reference: Reference):  # type: ignore[no-untyped-def]
    raise AssertionError(f"a registry was asked for {reference}")


@given(st.integers(0, 6000), st.integers(0, 255))
def test_fz_docker_archive_with_another_byte(at: int, byte: int) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for member, content in [("manifest.json", json.dumps([one()]).encode()), *FILES]:
            assert isinstance(content, bytes)
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    raw = bytearray(file.getvalue())
    raw[at] = byte
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "a.tar"
        path.write_bytes(raw)
        try:
            source, _ = open_source(f"docker-archive:{path}", _no_registry)
        except PyrtError:
            return
        source.close()
