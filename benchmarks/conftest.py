"""Benchmarks run with ``--benchmark-only`` and nothing else does then; what they need is made here, once."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import floors, pull_image
from benchmarks.cached_image import CachedImage
from benchmarks.replay import Clock, Recorder
from benchmarks.workplace import environment, pyrt_command, workplace
from tests.support import images
from tests.support.parts import missing, need
from tests.support.registries import RunningRegistry, running_registry

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted: bool = config.getoption("benchmark_only")
    left_out = [item for item in items if (HERE in item.path.parents) != wanted]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if (HERE in item.path.parents) == wanted]


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Clock:
    """The timer of the coming ``benchmark`` fixture."""
    clock = Clock()
    marker = request.node.get_closest_marker("benchmark")
    request.node.add_marker(pytest.mark.benchmark(**{**marker.kwargs, "timer": clock.time}), append=False)
    return clock


@pytest.fixture
def record(clock: Clock, benchmark: BenchmarkFixture) -> Recorder:
    """What makes the seconds of a contestant the result of the calling test."""
    return Recorder(clock, benchmark)


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """Where everything is written."""
    if os.geteuid() != 0:
        missing("not root")
    with workplace() as directory:
        yield directory


@pytest.fixture(scope="session")
def environ(place: Path) -> dict[str, str]:
    """The environment of every contestant."""
    return environment(place / "home")


@pytest.fixture(scope="session")
def busybox(place: Path, environ: dict[str, str]) -> CachedImage:
    """The cached image of all start benchmarks."""
    layout, store = place / "busybox", place / "s"
    images.write_layout(layout, {images.BUSYBOX: images.busybox(), "it": images.busybox()})
    pull = [*pyrt_command(store), "pull", "-q", f"oci:{layout}:{images.BUSYBOX}"]
    subprocess.run(pull, check=True, env=environ, cwd=place, stdout=subprocess.DEVNULL)
    (layer,) = (path for path in (store / "layers").iterdir() if path.is_dir())  # beside each the digest of its tree
    return CachedImage(store=store, name=images.BUSYBOX, layer=layer, transport=f"oci:{layout}:it")


@pytest.fixture(scope="session")
def floor(place: Path) -> floors.Floor:
    """The C floor, compiled."""
    directory = place / "floor"
    directory.mkdir()
    return floors.build(directory)


@pytest.fixture(scope="session")
def image(place: Path) -> pull_image.PullImage:
    """The image that is pulled and unpacked."""
    return pull_image.find(place / "small-image")


@pytest.fixture(scope="session")
def registry(place: Path, image: pull_image.PullImage) -> Iterator[RunningRegistry]:
    """Debian's docker-registry on loopback; the image is in it as bench:latest."""
    need("docker-registry", "skopeo")
    with running_registry(place / "registry") as running:
        running.push(image.layout, "bench:latest", source=image.name)
        yield running
