"""Proxies over real sockets, the embedded registry, and what the client leaves alone."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrt.errors import RegistryUnreachable, UsageError
from pyrt.oci.digest import Digest
from pyrt.oci.manifest import Manifest, parse_document
from pyrt.registry.credentials import Credentials
from pyrt.registry.serve import serve
from tests.support import images
from tests.support.fault_registry import FaultRegistry, Seen, image
from tests.support.parts import missing
from tests.support.registry_client import World

DATA = b"layer" * 1000


class Proxy:
    """A proxy for plain http; ``heads`` has the head of each request. A CONNECT is refused."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (more := connection.recv(65536)):
                    head += more
                self.heads.append(head.decode("latin-1"))
                if head.startswith(b"CONNECT"):
                    connection.sendall(b"HTTP/1.1 403 Not through me\r\n\r\n")
                    continue
                target = head.split(b" ")[1].decode()
                host, _, path = target.removeprefix("http://").partition("/")
                name, _, port = host.partition(":")
                request = head.replace(target.encode(), f"/{path}".encode(), 1)
                request = b"\r\n".join(
                    line for line in request.split(b"\r\n") if not line.lower().startswith(b"proxy-")
                )
                with socket.create_connection((name, int(port))) as upstream:
                    upstream.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
                    upstream.settimeout(1)
                    try:
                        while data := upstream.recv(65536):
                            connection.sendall(data)
                    except TimeoutError:
                        pass


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as running:
        yield running


def test_rg_38_through_a_proxy(world: World, proxy: Proxy) -> None:
    """The proxy's password stays with the proxy."""
    world.environ["all_proxy"] = f"http://user:proxy-secret@{proxy.host}"
    with (
        world.open("registry.example/a:1") as source,
        pytest.raises(RegistryUnreachable, match="the proxy refused") as caught,
    ):
        source.manifest()
    assert "proxy-secret" not in str(caught.value)
    assert [head.split("\r\n")[0] for head in proxy.heads] == ["CONNECT registry.example:443 HTTP/1.1"]
    assert base64.b64encode(b"user:proxy-secret").decode() in proxy.heads[0]


def test_rg_38_a_proxy_that_lets_only_plain_http_through(world: World, proxy: Proxy) -> None:
    """127.1 is no loopback address by the rules, so it is proxied; an insecure host is tried by http then."""
    with FaultRegistry() as registry:
        image(registry, "a", "1", DATA)
        host = f"127.1:{registry.port}"
        world.write("etc/docker/daemon.json", f'{{"insecure-registries": ["{host}"]}}')
        world.environ["ALL_PROXY"] = proxy.host
        with world.open(f"{host}/a:1") as source:
            source.manifest()
        assert [head.split(" ")[0] for head in proxy.heads] == ["CONNECT", "GET"]
        world.environ["NO_PROXY"] = "127.1"
        with world.open(f"{host}/a:1") as source:
            source.manifest()
        assert len(proxy.heads) == 2


def test_rg_38_plain_http_through_a_proxy(world: World, proxy: Proxy) -> None:
    with FaultRegistry() as registry:
        image(registry, "a", "1", DATA)
        host = f"127.1:{registry.port}"
        world.environ["http_proxy"] = f"http://user:proxy-secret@{proxy.host}"
        mirror = f'{{"registry-mirrors": ["http://{host}"]}}'
        world.write("etc/docker/daemon.json", mirror)
        image(registry, "library/a", "1", DATA)
        seen: list[Seen] = registry.seen
        with world.open("a:1") as source:
            source.manifest()
        assert proxy.heads[0].startswith(f"GET http://{host}/v2/library/a/manifests/1 ")
        assert not any("proxy" in name for request in seen for name in request.headers)


@pytest.mark.parametrize("address", ["socks5://p:1", "ftp://p", "http://", "http://[::"])
def test_proxies_that_cannot_be_used(world: World, address: str) -> None:
    world.environ["https_proxy"] = address.replace("//", "//user:proxy-secret@")
    with world.open("registry.example/a:1") as source, pytest.raises(UsageError, match="proxy") as caught:
        source.manifest()
    assert "proxy-secret" not in str(caught.value)


def test_netrc_is_not_read(world: World) -> None:
    netrc = world.write("home/.netrc", "machine 127.0.0.1 login anna password secret\n")
    with FaultRegistry() as registry:
        image(registry, "a", "1", DATA)
        script = (
            "from tests.support.registry_client import World\n"
            "from pathlib import Path\n"
            f"World(root=Path({str(world.root)!r}), environ={world.environ!r})"
            f".open('{registry.host}/a:1').manifest()\n"
        )
        environ = {**world.environ, "NETRC": str(netrc), "PYTHONPATH": ":".join(sys.path)}
        subprocess.run([sys.executable, "-c", script], env=environ, check=True)
        assert all("authorization" not in seen.headers for seen in registry.requests())


def test_names_and_credentials_need_no_httpx() -> None:
    """Only what talks to a registry imports httpx: names, rules and credentials are looked up without it."""
    code = (
        "import sys; import pyrt.registry.hosts, pyrt.registry.credentials, pyrt.registry.config_paths;"
        "assert 'httpx' not in sys.modules and 'httpcore' not in sys.modules, 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_connections_are_closed(world: World) -> None:
    import os

    before = len(os.listdir("/proc/self/fd"))
    with FaultRegistry() as registry:
        _, layer = image(registry, "a", "1", DATA)
        for _ in range(5):
            with world.open(f"{registry.host}/a:1", credentials=Credentials(username="a", password="b")) as source:
                source.manifest()
                stream = source.blob(layer)
                next(stream)
                stream.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) <= before


def test_rg_44_three_blobs_at_once_take_three_connections(world: World) -> None:
    """Connections are bounded by whoever asks, and reused."""
    with FaultRegistry() as registry:
        layers = [registry.blob("a", bytes([number]) * 2_000_000) for number in range(30)]
        with world.open(f"{registry.host}/a:1") as source:
            queue = list(layers)

            def work() -> None:
                while queue:
                    list(source.blob(queue.pop()))

            threads = [threading.Thread(target=work) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
        assert len([seen for seen in registry.requests() if "/blobs/" in seen.path]) == 30
        assert registry.most_at_once <= 4  # one more for the question whether it speaks TLS


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0"])
def test_rg_37_the_embedded_registry(world: World, listen: str, tmp_path: Path) -> None:
    """Also by an IPv6 address; and as a mirror of Docker Hub, which is how ./dev demo uses it."""
    if ":" in listen[1:-3] and not socket.has_dualstack_ipv6():
        missing("no IPv6 here")
    built = images.image([images.layer(images.tar([images.Entry(name="hello", content=b"hello")]))])
    images.write_layout(tmp_path / "store", {images.BUSYBOX: built})
    with serve(str(tmp_path / "store"), listen) as server:
        world.write("etc/docker/daemon.json", f'{{"registry-mirrors": ["http://{server.address}"]}}')
        for name in (f"{server.address}/library/busybox:latest", "busybox"):
            with world.open(name) as source:
                document = parse_document(*source.manifest())
                assert isinstance(document, Manifest)
                for blob in (document.config, *document.layers):
                    assert Digest.of(b"".join(source.blob(blob))) == blob.digest
