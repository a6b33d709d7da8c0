from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pyrt.store.store import Store
from tests.support import images
from tests.support.parts import missing

REPOSITORY = Path(__file__).parents[2]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def store_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the busybox image, and one whose tree has odd things where pyrt puts its own."""
    from pyrt.image_pull import pull

    if os.geteuid() != 0:
        missing("not root")
    root = tmp_path_factory.mktemp("store")
    layout = tmp_path_factory.mktemp("layout")
    entry = images.Entry
    made = {
        "busybox": images.busybox(),
        "odd": images.busybox(
            entries=[
                entry(name="var/run", kind="sym", link="/run"),
                entry(name="run", kind="dir", mode=0o755),
                entry(name="etc/resolv.conf", kind="sym", link="/run/resolve/stub-resolv.conf"),
                entry(name="etc/mtab", kind="sym", link="../proc/self/mounts"),
                entry(name="data", kind="dir", mode=0o750, uid=1000, gid=1000),
                entry(name="data/covered", content=b"of the image"),
                entry(name="dev/null", content=b"a file in the image"),
                entry(name="dev/sda", kind="block", device=(8, 0), mode=0o666),
            ]
        ),
        "proclink": images.busybox(entries=[entry(name="proc", kind="sym", link="/tmp")]),
    }
    images.write_layout(layout, {f"docker.io/library/{name}:latest": image for name, image in made.items()})
    store = Store.open(str(root))
    for name in made:
        pull(f"oci:{layout}:docker.io/library/{name}:latest", store=store)
    # What is made once for a store: the probe's answer, the compiled filter.
    subprocess.run(command(root, "run", "--rm", "busybox", "true"), cwd=REPOSITORY, check=True)
    return root


def command(store_root: Path, *words: str) -> list[str]:
    """pyrt in the sandbox."""
    return [sys.executable, "-m", "tests.chroot.sandbox", sys.executable, "-m", "pyrt", "--root", str(store_root), *words]


@pytest.fixture
def run(store_root: Path) -> Run:
    """Runs a script in a container on the rung "chroot", by the command, from inside of docker's sandbox."""

    def run(
        script: str, *options: str, image: str = "busybox", timeout: float = 60, check: bool = True, input: str = ""
    ) -> subprocess.CompletedProcess[str]:
        words = ["run", "--rm", *options, *([image] if image else []), "sh", "-c", script]
        done = subprocess.run(
            command(store_root, *words), cwd=REPOSITORY, capture_output=True, text=True, timeout=timeout, input=input
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture
def leakless(store_root: Path) -> Iterator[None]:
    """Nothing of a container is left. There are no namespaces and mounts to look for (tests.support.leaks): files of the store,
    processes in one of its roots, and keepers."""
    before = _left(store_root)
    yield
    deadline = time.monotonic() + 5
    while new := _left(store_root) - before:
        assert time.monotonic() < deadline, f"left behind: {sorted(new)[:5]}"
        time.sleep(0.05)


def _left(store_root: Path) -> set[str]:
    found = {str(path) for path in store_root.rglob("*") if not {"layers", "volumes", "filters"} & set(path.parts)}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            root = os.readlink(f"/proc/{pid}/root")
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if root.startswith(f"{store_root}/"):
                found.add(f"{pid}: {root} {command!r}")
    return found
