"""Everything that the ancestor could do (rs-docker's README), from a real registry: one test for each of its lines."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import images
from tests.support.registries import RunningRegistry, running_registry

REPOSITORY = Path(__file__).parents[2]
Pyrt = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    """A registry that stands for Docker Hub, with an image of each kind that the ancestor knew."""
    directory = tmp_path_factory.mktemp("hub")
    schema2 = images.busybox()
    entry = images.Entry
    other = images.busybox(platform="linux/s390x", entries=[entry(name="other-machine", content=b"")])
    layers = images.busybox(entries=[entry(name="second", content=b"layer\n")])
    layout = directory / "layout"
    images.write_layout(
        layout, {"latest": schema2, "list": images.index([other, schema2]), "layers": layers}
    )
    with running_registry(directory / "registry") as registry:
        registry.push(layout, "library/busybox:latest", "--format=v2s2")
        registry.push(layout, "library/busybox:layers", "--format=v2s2", source="layers")
        registry.push(layout, "library/busybox:list", "--all", "--format=v2s2", source="list")
        registry.push(layout, "library/busybox:schema1", "--format=v2s1")
        yield registry


@pytest.fixture
def pyrt(hub: RunningRegistry, tmp_path: Path) -> Pyrt:
    """The command line of somebody who has never pulled anything; docker.io is served by ``hub``."""
    conf = tmp_path / "registries.conf"
    conf.write_text(
        f'[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n'
        f'[[registry.mirror]]\nlocation = "{hub.host}"\ninsecure = true\n'
    )
    environment = {**os.environ, "CONTAINERS_REGISTRIES_CONF": str(conf), "HOME": str(tmp_path)}

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "pyrt", "--root", str(tmp_path / "store"), *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=REPOSITORY, env=environment)

    return command


def test_run_image_command_arguments(pyrt: Pyrt) -> None:
    result = pyrt("run", "busybox", "echo", "hello", "world")
    assert (result.returncode, result.stdout) == (0, "hello world\n"), result.stderr


def test_default_tag_and_library_prefix(pyrt: Pyrt, hub: RunningRegistry) -> None:
    assert pyrt("run", "--rm", "busybox", "true").returncode == 0
    assert any("GET /v2/library/busybox/manifests/latest 200" in line for line in hub.requests())
    assert pyrt("images", "--format", "{{.Repository}}:{{.Tag}}").stdout == "busybox:latest\n"


def test_a_tag_of_its_own_and_layers_over_one_another(pyrt: Pyrt) -> None:
    assert pyrt("run", "--rm", "busybox:layers", "cat", "/second").stdout == "layer\n"


def test_manifest_list_gives_this_machines_image(pyrt: Pyrt) -> None:
    result = pyrt("run", "--rm", "busybox:list", "sh", "-c", "test ! -e /other-machine && uname -m")
    assert (result.returncode, result.stdout) == (0, os.uname().machine + "\n"), result.stderr


def test_schema_2_with_gzip_layers(pyrt: Pyrt) -> None:
    assert pyrt("pull", "-q", "busybox").returncode == 0
    media_types = pyrt("image", "inspect", "busybox", "--format", "{{json .RootFS.Type}}").stdout
    assert media_types == '"layers"\n'
    assert pyrt("run", "--rm", "busybox", "true").returncode == 0


def test_schema_1(pyrt: Pyrt) -> None:
    result = pyrt("run", "--rm", "busybox:schema1", "sh", "-c", "echo $PATH")
    assert (result.returncode, result.stdout) == (0, images.PATH.partition("=")[2] + "\n"), result.stderr


def test_the_root_is_the_images(pyrt: Pyrt) -> None:
    result = pyrt("run", "--rm", "busybox", "sh", "-c", "ls /; cat /etc/passwd")
    assert "app:x:1000" in result.stdout and "dev" in result.stdout.split()
    assert not os.path.exists("/etc/passwd") or "app:x:1000" not in Path("/etc/passwd").read_text()


def test_a_pid_namespace_of_its_own(pyrt: Pyrt) -> None:
    assert pyrt("run", "--rm", "busybox", "sh", "-c", "echo $$; ls /proc | grep -c '^[0-9]'").stdout.split()[0] == "1"


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_the_exit_code_is_handed_on(pyrt: Pyrt, code: int) -> None:
    assert pyrt("run", "--rm", "busybox", "sh", "-c", f"exit {code}").returncode == code


def test_output_of_a_command_that_fails_is_shown(pyrt: Pyrt) -> None:
    result = pyrt("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 1")
    assert (result.returncode, result.stdout) == (1, "out\n")
    assert result.stderr.endswith("err\n")
