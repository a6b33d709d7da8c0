"""skopeo and podman pull from the embedded registry."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrt.oci.platform import host
from pyrt.registry.serve import Server, serve
from tests.support import image_tools, images

PLATFORMS = ("linux/s390x", str(host()), "linux/ppc64le")
BUSYBOX = images.busybox()
MANY = images.index([images.busybox(platform=platform) for platform in PLATFORMS], attested=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    images.write_layout(
        folder,
        {
            images.BUSYBOX: BUSYBOX,
            "docker.io/library/busybox:zstd": images.busybox("zstd"),
            "docker.io/library/busybox:docker": images.busybox(docker=True),
            "ghcr.io/some/many:latest": MANY,
        },
    )
    return folder


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[Server]:
    with serve(str(store), "127.0.0.1:0") as running:
        yield running


@pytest.mark.parametrize(
    "name", ["library/busybox", "busybox:latest", "docker.io/library/busybox:zstd", "busybox:docker"]
)
def test_skopeo_copies(server: Server, tmp_path: Path, name: str) -> None:
    image_tools.skopeo_copy(f"docker://{server.address}/{name}", f"oci:{tmp_path}/to:it", "--src-tls-verify=false")
    assert image_tools.umoci_layers(tmp_path / "to") == 1


def test_skopeo_copies_by_digest(server: Server, tmp_path: Path) -> None:
    source = f"docker://{server.address}/library/busybox@{BUSYBOX.digest}"
    image_tools.skopeo_copy(source, f"oci:{tmp_path}/to:it", "--src-tls-verify=false")
    assert (tmp_path / "to" / "blobs" / BUSYBOX.digest.replace(":", "/")).read_bytes() == BUSYBOX.top.content


def test_skopeo_copies_every_platform(server: Server, tmp_path: Path) -> None:
    source = f"docker://{server.address}/ghcr.io/some/many"
    image_tools.skopeo_copy(source, f"oci:{tmp_path}/to:it", "--src-tls-verify=false", "--all")
    for blob in MANY.blobs:
        assert (tmp_path / "to" / "blobs" / blob.digest.replace(":", "/")).read_bytes() == blob.content


def test_skopeo_inspects_and_lists(server: Server) -> None:
    found = image_tools.skopeo_inspect(f"docker://{server.address}/busybox", "--tls-verify=false")
    assert found["Digest"] == BUSYBOX.digest
    assert found["RepoTags"] == ["docker", "latest", "zstd"]


def test_podman_pulls(server: Server) -> None:
    config = BUSYBOX.blobs[1].digest
    assert image_tools.podman_pull(f"{server.address}/library/busybox:latest") == config.partition(":")[2]


def test_ctrl_c_ends_it_cleanly(store: Path) -> None:
    program = (
        "import sys\n"
        "from pyrt.registry.serve import serve\n"
        "try:\n"
        "    with serve(sys.argv[1], '127.0.0.1:0') as server:\n"
        "        print(server.address, flush=True)\n"
        "        server.wait()\n"
        "except KeyboardInterrupt:\n"
        "    print('ended', flush=True)\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", program, str(store)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith("127.0.0.1:")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors) == (0, "ended\n", "")
