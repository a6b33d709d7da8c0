"""The most memory that a pull takes, whatever the size of the layer: the budget is a limit here."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import large_layer
from benchmarks.race import scaled
from benchmarks.replay import Recorder
from benchmarks.workplace import pyrt_command
from tests.support.registries import RunningRegistry, free_port, wait_for

LIMIT = 150  # MB
LARGE = 1536  # MB
NAME = "docker.io/library/large:latest"


@contextmanager
def served(root: Path, environ: dict[str, str]) -> Iterator[str]:
    """The embedded registry on an image layout; host:port."""
    port = free_port()
    command = [*pyrt_command(root), "serve", "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for("127.0.0.1", port, process)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def pull(place: Path, image: str, environ: dict[str, str]) -> tuple[float, float]:
    """Seconds, and MB (of 2**20 bytes) at most, of a process that pulls ``image`` into a new store."""
    store = Path(tempfile.mkdtemp(prefix="memory-", dir=place))
    argv = [sys.executable, "-m", "benchmarks.puller", str(store), image]
    repository = Path(__file__).parents[1]
    begun = time.perf_counter()
    done = subprocess.run(argv, check=True, env=environ, cwd=repository, stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - begun
    return seconds, int(done.stdout) / 1024


@pytest.mark.benchmark(group="peak memory of a pull")
@pytest.mark.parametrize("name", ["the pull image"])
def test_image(name: str, place: Path, environ: dict[str, str], registry: RunningRegistry, record: Recorder) -> None:
    seconds, peak = pull(place, f"{registry.host}/bench:latest", environ)
    record([seconds], peak_mb=peak)
    assert peak <= LIMIT


@pytest.mark.benchmark(group="peak memory of a pull")
@pytest.mark.parametrize("name", ["a layer of 1.5 GB"])
def test_large_layer(name: str, place: Path, environ: dict[str, str], record: Recorder) -> None:
    layout, megabytes = place / "large", scaled(LARGE)
    large_layer.write_layout(layout, NAME, megabytes)
    with served(layout, environ) as host:
        seconds, peak = pull(place, f"{host}/library/large:latest", environ)
    record([seconds], peak_mb=peak, layer_mb=megabytes)
    assert peak <= LIMIT
