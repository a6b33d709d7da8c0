"""A cold pull: download from a registry on loopback, verify, decompress, unpack; every store is new and on the same disk."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.podman_storage import PodmanStorage
from benchmarks.race import Contestant, race, scaled, timed
from benchmarks.replay import Recorder
from benchmarks.workplace import have, pyrt_command, remove
from tests.support.parts import need
from tests.support.registries import RunningRegistry

NEEDED = {"pyrt": (), "podman": ("podman",), "skopeo + umoci": ("skopeo", "umoci")}


class Puller:
    """Contestants that pull ``name`` of a registry, each below a directory of its own that is new for every round."""

    def __init__(self, place: Path, environ: dict[str, str], registry: RunningRegistry) -> None:
        self._place = place
        self._environ = environ
        self._name = f"{registry.host}/bench:latest"

    def contestants(self) -> list[Contestant]:
        found = {"pyrt": self._pyrt, "podman": self._podman, "skopeo + umoci": self._skopeo_umoci}
        return [
            Contestant(name=name, sample=timed(pull), prepare=self._clear)
            for name, pull in found.items()
            if have(*NEEDED[name])
        ]

    def _clear(self) -> None:
        """Nothing of an earlier pull is there, and nothing of it is still on its way to the disk."""
        remove(self._place)
        self._place.mkdir()
        os.sync()

    def _pyrt(self) -> None:
        self._run(*pyrt_command(self._place / "s"), "pull", "-q", self._name)

    def _podman(self) -> None:
        self._run(*PodmanStorage(self._place).command, "pull", "-q", "--tls-verify=false", self._name)

    def _skopeo_umoci(self) -> None:
        layout = f"{self._place}/layout"
        copy = ("skopeo", "copy", "-q", "--insecure-policy", "--src-tls-verify=false")
        self._run(*copy, f"docker://{self._name}", f"oci:{layout}:it")
        self._run("umoci", "unpack", "--image", f"{layout}:it", f"{self._place}/bundle")

    def _run(self, *argv: str) -> None:
        subprocess.run(argv, check=True, env=self._environ, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def times(place: Path, environ: dict[str, str], registry: RunningRegistry) -> dict[str, list[float]]:
    directory = place / "p"
    found = race(Puller(directory, environ, registry).contestants(), scaled(5))
    remove(directory)
    return found


@pytest.mark.benchmark(group="cold pull and unpack")
@pytest.mark.parametrize("name", NEEDED)
def test_pull(name: str, times: dict[str, list[float]], record: Recorder) -> None:
    need(*NEEDED[name])
    record(times[name])
