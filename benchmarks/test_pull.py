"""A cold pull: download from a registry on loopback, verify, decompress, unpack; every store is new and on the same disk."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.fresh_directories import FreshDirectories
from benchmarks.podman_storage import PodmanStorage
from benchmarks.race import Contestant, race, scaled, timed
from benchmarks.replay import Recorder
from benchmarks.workplace import have, pyrt_command
from tests.support.parts import need
from tests.support.registries import RunningRegistry

NEEDED = {"pyrt": (), "podman": ("podman",), "skopeo + umoci": ("skopeo", "umoci")}


class Puller:
    """Contestants that pull bench:latest from a registry, each time into a directory of ``fresh``."""

    def __init__(self, fresh: FreshDirectories, environ: dict[str, str], registry: RunningRegistry) -> None:
        self._fresh = fresh
        self._environ = environ
        self._name = f"{registry.host}/bench:latest"

    def contestants(self) -> list[Contestant]:
        found = {"pyrt": self._pyrt, "podman": self._podman, "skopeo + umoci": self._skopeo_umoci}
        return [
            Contestant(name=name, sample=timed(pull), prepare=self._fresh.next)
            for name, pull in found.items()
            if have(*NEEDED[name])
        ]

    def _pyrt(self) -> None:
        self._run(*pyrt_command(self._fresh.directory / "s"), "pull", "-q", self._name)

    def _podman(self) -> None:
        self._run(*PodmanStorage(self._fresh.directory).command, "pull", "-q", "--tls-verify=false", self._name)

    def _skopeo_umoci(self) -> None:
        layout = f"{self._fresh.directory}/layout"
        copy = ("skopeo", "copy", "-q", "--insecure-policy", "--src-tls-verify=false")
        self._run(*copy, f"docker://{self._name}", f"oci:{layout}:it")
        self._run("umoci", "unpack", "--image", f"{layout}:it", f"{self._fresh.directory}/bundle")

    def _run(self, *argv: str) -> None:
        subprocess.run(argv, check=True, env=self._environ, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def times(place: Path, environ: dict[str, str], registry: RunningRegistry) -> dict[str, list[float]]:
    fresh = FreshDirectories(place / "p")
    return race(Puller(fresh, environ, registry).contestants(), scaled(5))


@pytest.mark.benchmark(group="cold pull and unpack")
@pytest.mark.parametrize("name", NEEDED)
def test_pull(name: str, times: dict[str, list[float]], record: Recorder) -> None:
    need(*NEEDED[name])
    record(times[name])
