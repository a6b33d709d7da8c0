"""The embedded registry over HTTP: every route, every refusal, and nothing left behind."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyrt.errors import ImageNotFound, UsageError
from pyrt.oci import media_types
from pyrt.oci.digest import Digest
from pyrt.oci.reference import Reference
from pyrt.registry.serve import Server, serve
from pyrt.registry.served import served_names
from tests.support import images

CONTENT = os.urandom(300_000)
ONE = images.image([images.layer(images.tar([images.Entry(name="f", content=CONTENT)]))])
TWO = images.image([images.layer(b"two")], config={"Cmd": ["two"]})
MANY = images.index(
    [images.image([images.layer(b"m")], platform=p) for p in ("linux/amd64", "linux/arm64")], attested=True
)
LAYER = ONE.blobs[-1]
IMAGES = {
    images.BUSYBOX: ONE,
    "docker.io/library/busybox:1": TWO,
    "docker.io/owner/app:v1": TWO,
    "ghcr.io/owner/many:latest": MANY,
    "127.0.0.1:5000/local:x": TWO,
    f"docker.io/library/pinned@{ONE.digest}": ONE,
    "not a reference": TWO,
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def code(self) -> str:
        """The error code of the distribution API."""
        errors = json.loads(self.body)["errors"]
        assert len(errors) == 1 and errors[0]["message"]
        return str(errors[0]["code"])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    images.write_layout(tmp_path / "store", IMAGES)
    return tmp_path / "store"


@pytest.fixture
def server(store: Path) -> Iterator[Server]:
    with serve(str(store), "127.0.0.1:0") as running:
        yield running


@contextmanager
def connected(server: Server) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def ask(server: Server, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
    with connected(server) as connection:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return Answer(status=answer.status, headers=answer.headers, body=answer.read())


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_version_check(server: Server, path: str) -> None:
    answer = ask(server, path)
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


@pytest.mark.parametrize("name", ["library/busybox", "busybox", "docker.io/library/busybox"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_manifest_by_tag_and_digest(server: Server, name: str, method: str) -> None:
    for which in ("latest", ONE.digest, ONE.digest.replace(":", "%3A")):
        answer = ask(server, f"/v2/{name}/manifests/{which}", method)
        assert answer.status == 200
        assert answer.body == (ONE.top.content if method == "GET" else b"")
        assert answer.headers["Content-Type"] == media_types.OCI_MANIFEST
        assert answer.headers["Docker-Content-Digest"] == ONE.digest
        assert answer.headers["ETag"] == f'"{ONE.digest}"'
        assert answer.headers["Content-Length"] == str(len(ONE.top.content))


def test_index_and_what_is_below_it(server: Server) -> None:
    answer = ask(server, "/v2/ghcr.io/owner/many/manifests/latest")
    assert answer.headers["Content-Type"] == media_types.OCI_INDEX
    for entry in json.loads(answer.body)["manifests"]:
        below = ask(server, f"/v2/ghcr.io/owner/many/manifests/{entry['digest']}")
        assert (below.status, below.headers["Content-Type"]) == (200, entry["mediaType"])
        document = json.loads(below.body)
        for part in (document["config"], *document["layers"]):
            blob = ask(server, f"/v2/ghcr.io/owner/many/blobs/{part['digest']}")
            assert (blob.status, len(blob.body)) == (200, part["size"])


@pytest.mark.parametrize(
    ("path", "digest"),
    [
        ("/v2/owner/app/manifests/v1", TWO.digest),
        ("/v2/docker.io/owner/app/manifests/v1", TWO.digest),
        ("/v2/local/manifests/x", TWO.digest),
        (f"/v2/pinned/manifests/{ONE.digest}", ONE.digest),
    ],
)
def test_other_names(server: Server, path: str, digest: str) -> None:
    assert ask(server, path, "HEAD").headers["Docker-Content-Digest"] == digest


def test_blob(server: Server) -> None:
    path = f"/v2/library/busybox/blobs/{LAYER.digest}"
    answer = ask(server, path)
    assert (answer.status, answer.body) == (200, LAYER.content)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Accept-Ranges"] == "bytes"
    head = ask(server, path, "HEAD", {"Range": "bytes=1-2"})
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(LAYER.content)))


@pytest.mark.parametrize(
    ("text", "start", "end"), [("0-0", 0, 1), ("1000-", 1000, None), ("-5", -5, None), ("7-9", 7, 10)]
)
def test_range(server: Server, text: str, start: int, end: int | None) -> None:
    answer = ask(server, f"/v2/library/busybox/blobs/{LAYER.digest}", headers={"Range": f"bytes={text}"})
    wanted = LAYER.content[start:end]
    first = start % len(LAYER.content)
    assert (answer.status, answer.body) == (206, wanted)
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(wanted) - 1}/{len(LAYER.content)}"
    assert answer.headers["Content-Length"] == str(len(wanted))
    assert answer.headers["Docker-Content-Digest"] == LAYER.digest


def test_range_that_cannot_be_satisfied(server: Server) -> None:
    size = len(LAYER.content)
    answer = ask(server, f"/v2/library/busybox/blobs/{LAYER.digest}", headers={"Range": f"bytes={size}-"})
    assert (answer.status, answer.body, answer.headers["Content-Range"]) == (416, b"", f"bytes */{size}")


def test_conditional_requests(server: Server) -> None:
    path, etag = f"/v2/library/busybox/blobs/{LAYER.digest}", f'"{LAYER.digest}"'
    assert ask(server, path, headers={"If-None-Match": etag}).status == 304
    assert ask(server, path, headers={"If-None-Match": '"other"'}).status == 200
    assert ask(server, path, headers={"Range": "bytes=1-", "If-Range": etag}).status == 206
    assert ask(server, path, headers={"Range": "bytes=1-", "If-Range": '"other"'}).status == 200


def test_tags(server: Server) -> None:
    answer = ask(server, "/v2/library/busybox/tags/list")
    assert json.loads(answer.body) == {"name": "library/busybox", "tags": ["1", "latest"]}
    assert answer.headers["Link"] is None


def test_tags_page_by_page(tmp_path: Path) -> None:
    tags = [f"t{number:02}" for number in range(7)] + ["a.b-c_D"]
    images.write_layout(tmp_path, {f"docker.io/library/x:{tag}": TWO for tag in tags})
    found: list[str] = []
    with serve(str(tmp_path), "127.0.0.1:0") as server:
        path = "/v2/x/tags/list?n=3"
        for _ in range(3):
            answer = ask(server, path)
            page = json.loads(answer.body)["tags"]
            assert len(page) <= 3
            found += page
            link = answer.headers["Link"]
            if link is None:
                break
            assert link.startswith("<") and link.endswith('>; rel="next"')
            path = link[1:].partition(">")[0]
        assert found == sorted(tags)
        assert json.loads(ask(server, "/v2/x/tags/list?last=t05").body)["tags"] == ["t06"]
        assert json.loads(ask(server, "/v2/x/tags/list?n=0").body)["tags"] == []
        for number in ("-1", "x", "", "9" * 20, "1.5"):
            answer = ask(server, f"/v2/x/tags/list?n={number}")
            assert (answer.status, answer.code) == (400, "PAGINATION_NUMBER_INVALID")


NOWHERE = "sha256:" + "0" * 64
REFUSALS = [
    ("/", 404, "NAME_UNKNOWN"),
    ("/v1/x", 404, "NAME_UNKNOWN"),
    ("/v2/_catalog", 404, "NAME_UNKNOWN"),
    ("/v2/nothing/tags/list", 404, "NAME_UNKNOWN"),
    ("/v2/nothing/manifests/latest", 404, "NAME_UNKNOWN"),
    (f"/v2/nothing/blobs/{LAYER.digest}", 404, "NAME_UNKNOWN"),
    ("/v2/busybox/tags/other", 404, "NAME_UNKNOWN"),
    ("/v2/busybox/manifests/nothing", 404, "MANIFEST_UNKNOWN"),
    (f"/v2/busybox/manifests/{NOWHERE}", 404, "MANIFEST_UNKNOWN"),
    (f"/v2/busybox/manifests/{LAYER.digest}", 404, "MANIFEST_UNKNOWN"),
    (f"/v2/owner/app/manifests/{ONE.digest}", 404, "MANIFEST_UNKNOWN"),
    (f"/v2/busybox/blobs/{NOWHERE}", 404, "BLOB_UNKNOWN"),
    (f"/v2/owner/app/blobs/{LAYER.digest}", 404, "BLOB_UNKNOWN"),
    ("/v2/busybox/blobs/latest", 400, "DIGEST_INVALID"),
    ("/v2/busybox/blobs/sha256:12", 400, "DIGEST_INVALID"),
    ("/v2/busybox/manifests/sha256:..", 400, "DIGEST_INVALID"),
    ("/v2/busybox/blobs/sha256:..%2f..%2findex.json", 404, "NAME_UNKNOWN"),
    (f"/v2/busybox/blobs/{LAYER.digest.upper()}", 400, "DIGEST_INVALID"),
    (f"/v2/busybox/blobs/md5:{'0' * 32}", 400, "DIGEST_INVALID"),
    ("/v2/Busybox/tags/list", 400, "NAME_INVALID"),
    ("/v2/../tags/list", 400, "NAME_INVALID"),
    ("/v2/a/../../b/tags/list", 400, "NAME_INVALID"),
    ("/v2/%2e%2e/tags/list", 400, "NAME_INVALID"),
    ("/v2/a%00b/tags/list", 400, "NAME_INVALID"),
    ("/v2//tags/list", 404, "NAME_UNKNOWN"),
]


@pytest.mark.parametrize(("path", "status", "code"), REFUSALS)
def test_refusal(server: Server, path: str, status: int, code: str) -> None:
    answer = ask(server, path)
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["Content-Type"] == "application/json"
    head = ask(server, path, "HEAD")
    assert (head.status, head.body) == (status, b"")


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE"])
def test_writes_are_refused(server: Server, method: str) -> None:
    answer = ask(server, "/v2/busybox/manifests/latest", method)
    assert (answer.status, answer.code) == (405, "UNSUPPORTED")
    assert answer.headers["Allow"] == "GET, HEAD"


def test_only_what_a_name_leads_to_is_served(store: Path, server: Server) -> None:
    digest = images.write_blob(str(store), b"a secret")
    assert ask(server, f"/v2/busybox/blobs/{digest}").code == "BLOB_UNKNOWN"


def test_store_may_change(store: Path, server: Server) -> None:
    images.write_layout(store, {"docker.io/library/new:latest": TWO})
    assert ask(server, "/v2/new/manifests/latest").status == 200
    assert ask(server, "/v2/busybox/manifests/latest").code == "NAME_UNKNOWN"
    (store / "blobs" / TWO.digest.replace(":", "/")).unlink()
    assert ask(server, "/v2/new/manifests/latest").code == "MANIFEST_UNKNOWN"
    assert ask(server, f"/v2/new/blobs/{TWO.blobs[-1].digest}").code == "BLOB_UNKNOWN"
    (store / "index.json").unlink()
    assert ask(server, "/v2/new/manifests/latest").code == "NAME_UNKNOWN"
    (store / "index.json").write_text("{")
    answer = ask(server, "/v2/new/manifests/latest")
    assert (answer.status, answer.code) == (500, "UNKNOWN")


def test_blob_that_is_a_symlink_is_not_followed(store: Path, server: Server) -> None:
    path = store / "blobs" / LAYER.digest.replace(":", "/")
    path.unlink()
    path.symlink_to("/etc/passwd")
    answer = ask(server, f"/v2/busybox/blobs/{LAYER.digest}")
    assert (answer.status, answer.code) == (500, "UNKNOWN")
    assert str(store).encode() not in answer.body and b"root:" not in answer.body


def test_one_connection_for_many_requests(server: Server) -> None:
    with connected(server) as connection:
        for path in (
            "/v2/",
            "/v2/nothing/tags/list",
            f"/v2/busybox/blobs/{LAYER.digest}",
            "/v2/busybox/manifests/latest",
        ):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert answer.version == 11 and not answer.will_close
        spent = []
        for _ in range(20):
            start = time.monotonic()
            connection.request("GET", "/v2/")
            connection.getresponse().read()
            spent.append(time.monotonic() - start)
        assert min(spent) < 0.03  # a delayed acknowledgement takes 0.04 s


def test_body_of_a_get_is_not_the_next_request(server: Server) -> None:
    with socket.create_connection((server.host, server.port)) as client:
        client.sendall(
            b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nGET /v2/x/tags/list HTTP/1.1\r\n\r\n"
        )
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01\x02\n", b"BREW /v2/ HTTP/1.1\r\n\r\n", b"GET\r\n\r\n", b"GET /v2/ HTTP/9.9\r\n\r\n"]
)
def test_malformed_request(server: Server, raw: bytes) -> None:
    with socket.create_connection((server.host, server.port)) as client:
        client.sendall(raw)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert b"UNSUPPORTED" in answer
    assert ask(server, "/v2/").status == 200


def test_many_clients_at_once(server: Server) -> None:
    bodies: list[bytes] = []

    def fetch() -> None:
        bodies.append(ask(server, f"/v2/busybox/blobs/{LAYER.digest}").body)

    threads = [threading.Thread(target=fetch) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bodies == [LAYER.content] * 16


def test_log_has_one_printable_line_for_each_request(store: Path) -> None:
    lines: list[str] = []
    with serve(str(store), "127.0.0.1:0", log=lines.append) as server:
        ask(server, "/v2/")
        for raw in (b"\x16\x03\x01\x02\x00\n", b"GET /\x1b[31m\x07" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n"):
            with socket.create_connection((server.host, server.port)) as client:
                client.sendall(raw)
                client.recv(1000)
    assert len(lines) == 3
    assert lines[:2] == ['127.0.0.1 "GET /v2/ HTTP/1.1" 200', '127.0.0.1 "a TLS handshake" 400']
    assert all(line.isprintable() and len(line) <= 500 for line in lines)


def test_nothing_stays_after_shutdown(store: Path) -> None:
    threads, files = threading.active_count(), sorted(os.listdir("/proc/self/fd"))
    with serve(str(store), "127.0.0.1:0") as server:
        clients = [socket.create_connection((server.host, server.port)) for _ in range(5)]
        for client in clients:
            client.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        start = time.monotonic()
    assert time.monotonic() - start < 2
    server.shutdown()
    for client in clients:
        client.close()
    assert threading.active_count() == threads
    assert sorted(os.listdir("/proc/self/fd")) == files
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port))


def test_shutdown_in_the_middle_of_a_blob(store: Path) -> None:
    big = images.image([images.layer(os.urandom(40 << 20), "")])
    images.write_layout(store, {images.BUSYBOX: big})
    with serve(str(store), "127.0.0.1:0") as server, socket.create_connection((server.host, server.port)) as client:
        client.sendall(f"GET /v2/busybox/blobs/{big.blobs[-1].digest} HTTP/1.1\r\n\r\n".encode())
        client.recv(1000)
        start = time.monotonic()
        server.shutdown()
        assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "listen",
    [
        "",
        "5000",
        ":5000",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:65536",
        "::1:5000",
        "http://x:1",
        "a b:1",
    ],
)
def test_bad_listen_address(store: Path, listen: str) -> None:
    with pytest.raises(UsageError, match="listen address"):
        serve(str(store), listen)


def test_address_in_use_and_not_ours(store: Path, server: Server) -> None:
    with pytest.raises(UsageError, match=f"cannot listen on {server.address}: Address already in use"):
        serve(str(store), server.address)
    with pytest.raises(UsageError, match="cannot listen on 192.0.2.1:5000"):
        serve(str(store), "192.0.2.1:5000")


def test_missing_store(tmp_path: Path) -> None:
    with pytest.raises(ImageNotFound, match="missing"):
        serve(str(tmp_path / "missing"), "127.0.0.1:0")


def test_ipv6_and_names(store: Path) -> None:
    for listen, address in (("[::1]:0", "[::1]:"), ("localhost:0", "")):
        try:
            server = serve(str(store), listen)
        except UsageError as error:
            assert listen == "[::1]:0", error  # a machine without IPv6
            continue
        with server:
            assert server.address.startswith(address)
            assert ask(server, "/v2/").status == 200


def test_wait_returns_after_shutdown(store: Path) -> None:
    server = serve(str(store), "127.0.0.1:0")
    timer = threading.Timer(0.2, server.shutdown)
    timer.start()
    server.wait()
    timer.join()


@pytest.mark.parametrize(
    ("reference", "names"),
    [
        ("busybox", ("library/busybox", "docker.io/library/busybox", "busybox")),
        ("owner/app:1", ("owner/app", "docker.io/owner/app")),
        ("ghcr.io/a/b", ("ghcr.io/a/b",)),
        ("localhost/a", ("a",)),
        ("localhost:5000/a/b", ("a/b",)),
        ("registry.example:5000/a", ("a",)),
    ],
)
def test_served_names(reference: str, names: tuple[str, ...]) -> None:
    assert served_names(Reference.parse(reference)) == names


def test_docker_hub_wins_where_two_registries_have_one_name(tmp_path: Path) -> None:
    for order in (
        ("docker.io/library/x:1", "localhost:5000/library/x:1"),
        ("localhost:5000/library/x:1", "docker.io/library/x:1"),
    ):
        images.write_layout(tmp_path, {name: ONE if name.startswith("docker.io") else TWO for name in order})
        with serve(str(tmp_path), "127.0.0.1:0") as server:
            answer = ask(server, "/v2/library/x/manifests/1")
            assert answer.headers["Docker-Content-Digest"] == str(Digest.parse(ONE.digest))
