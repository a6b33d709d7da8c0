"""From a command line to the end of /bin/true in a container of a cached image, back to back and after idling."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.bundles import write_bundle
from benchmarks.cached_image import CachedImage
from benchmarks.command_race import command_race
from benchmarks.podman_storage import PodmanStorage
from benchmarks.race import scaled
from benchmarks.replay import Recorder
from benchmarks.workplace import have, pyrt_command
from tests.support.parts import need

NEEDED = {
    "pyrt run": (),
    "crun run": ("crun",),
    "runc run": ("runc",),
    "bwrap --unshare-all": ("bwrap",),
    "podman run": ("podman",),
}
IDLE = 0.1  # seconds


@pytest.fixture(scope="module")
def commands(place: Path, environ: dict[str, str], busybox: CachedImage) -> dict[str, list[str]]:
    """What is raced: the same command in the same files, on the host's network; bwrap always has a network of its own."""
    pyrt = [*pyrt_command(busybox.store), "run", "--rm"]
    found = {"pyrt run": [*pyrt, busybox.name, "/bin/true"]}
    shown = subprocess.run(
        [*pyrt, "--dry-run", busybox.name, "/bin/true"], check=True, env=environ, cwd=place, stdout=subprocess.PIPE
    )
    bundle = write_bundle(place / "bundle", json.loads(shown.stdout)["spec"], busybox.layer)
    for runtime in ("crun", "runc"):
        found[f"{runtime} run"] = [runtime, "--root", f"{place}/{runtime}", "run", "--bundle", str(bundle), "bench"]
    mounts = ("--bind", f"{bundle}/rootfs", "/", "--proc", "/proc", "--dev", "/dev")
    found["bwrap --unshare-all"] = ["bwrap", "--unshare-all", *mounts, "/bin/true"]
    if have("podman"):
        storage = PodmanStorage(place / "podman")
        pull = [*storage.command, "pull", "-q", busybox.transport]
        pulled = subprocess.run(pull, check=True, env=environ, stdout=subprocess.PIPE, text=True)
        found["podman run"] = storage.run(pulled.stdout.strip(), "/bin/true")
    return {name: argv for name, argv in found.items() if have(*NEEDED[name])}


@pytest.fixture(scope="module")
def back_to_back(commands: dict[str, list[str]], environ: dict[str, str]) -> dict[str, list[float]]:
    return command_race(commands, scaled(50), environ)


@pytest.fixture(scope="module")
def after_idling(commands: dict[str, list[str]], environ: dict[str, str]) -> dict[str, list[float]]:
    return command_race(commands, scaled(30), environ, pause=IDLE)


@pytest.mark.benchmark(group="start by command, back to back")
@pytest.mark.parametrize("name", NEEDED)
def test_back_to_back(name: str, back_to_back: dict[str, list[float]], record: Recorder) -> None:
    need(*NEEDED[name])
    record(back_to_back[name])


@pytest.mark.benchmark(group="start by command, after 100 ms of idling")
@pytest.mark.parametrize("name", NEEDED)
def test_after_idling(name: str, after_idling: dict[str, list[float]], record: Recorder) -> None:
    need(*NEEDED[name])
    record(after_idling[name])
