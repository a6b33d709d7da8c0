from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from pyrt.image_pull import pull
from pyrt.request import CompletedRun
from pyrt.store.store import Store
from tests.support import images, prober
from tests.support.canary import make_canary, manifest
from tests.support.leaks import assert_nothing_new, snapshot
from tests.support.parts import missing
from tests.support.scripts import runner

REPOSITORY = Path(__file__).parents[2]
Command = Callable[..., "subprocess.CompletedProcess[bytes]"]
Make = Callable[..., str]


@pytest.fixture(scope="session")
def security_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with busybox and the prober."""
    if os.geteuid() != 0:
        missing("not root")
    root = tmp_path_factory.mktemp("security-store")
    layout = tmp_path_factory.mktemp("security-layout")
    made = {"busybox": images.busybox(), "prober": prober.image()}
    images.write_layout(layout, {f"docker.io/library/{name}:latest": image for name, image in made.items()})
    store = Store.open(str(root))
    for name in made:
        pull(f"oci:{layout}:docker.io/library/{name}:latest", store=store)
    return root


@pytest.fixture
def store(security_root: Path) -> Iterator[Store]:
    """The store; after the test no container, mount, namespace, process or fd is there that was not before."""
    before = snapshot(security_root / "containers")
    yield Store.open(str(security_root))
    assert os.listdir(security_root / "containers") == []
    assert_nothing_new(before, security_root / "containers")


@pytest.fixture
def make(store: Store, tmp_path: Path) -> Make:
    """Makes an image of busybox and further entries (or, with ``layers``, of these layers alone); returns its name."""
    count = 0

    def made(*entries: images.Entry, config: dict[str, object] | None = None, layers: Iterable[images.Blob] = ()) -> str:
        nonlocal count
        count += 1
        name = f"docker.io/library/made-{abs(hash(str(tmp_path)))}-{count}:latest"
        layout = tmp_path / f"layout-{count}"
        layers = tuple(layers)
        image = images.image(layers, config=config) if layers else images.busybox(config=config, entries=entries)
        images.write_layout(layout, {name: image})
        pull(f"oci:{layout}:{name}", store=store)
        return name

    return made


@pytest.fixture
def busybox(store: Store) -> Callable[..., CompletedRun]:
    """``pyrt.run`` of a shell script in the busybox image; other options as they are."""
    return runner(store)


@pytest.fixture
def command(store: Store, security_root: Path) -> Command:
    """``pyrt run --rm ...`` as it is typed, on the same store."""

    def typed(*words: str, **options: object) -> subprocess.CompletedProcess[bytes]:
        argv = [sys.executable, "-m", "pyrt", "--root", str(security_root), "run", "--rm", *words]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        given = {"capture_output": True, "stdin": subprocess.DEVNULL, "timeout": 120, "cwd": REPOSITORY, "env": environment}
        return subprocess.run(argv, **{**given, **options})  # type: ignore[call-overload, no-any-return]

    return typed


@pytest.fixture
def probe(command: Command) -> Callable[..., prober.Answers]:
    """The prober's answers in a container with these options; ``sections`` are its arguments."""

    def answers(*options: str, sections: tuple[str, ...] = (), **others: object) -> prober.Answers:
        result = command(*options, "prober", *sections, **others)
        assert result.returncode == 0, result
        return prober.parse(result.stdout)

    return answers


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A tree of the host that must be after the test what it was before."""
    place = make_canary(tmp_path / "canary")
    before = manifest(place)
    yield place
    assert manifest(place) == before
