"""The rung "chroot": entering a root, and what programs in it pay for a keeper that answers some of their calls."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import pyrt
from benchmarks.race import Contestant, race, scaled, timed
from benchmarks.replay import Recorder
from pyrt.store.store import Store
from tests.support import distribution
from tests.support.parts import need

PYRT, NATIVE, PROOT = "pyrt", "chroot", "proot"
CONTESTANTS = (PYRT, NATIVE, PROOT)
LOOPS = {
    "exec loop": "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i + 1)); done",
    "dpkg -L loop": "i=0; while [ $i -lt 40 ]; do dpkg -L dpkg > /dev/null; i=$((i + 1)); done",
    "find and stat": "find /usr/lib/python3 /usr/lib/python3.* /usr/share/doc -printf '%s %m\\n' > /dev/null",
}


@pytest.fixture(scope="module")
def root(place: Path) -> Path:
    """A root of the distribution with a tree of Python files."""
    need("mmdebstrap", "tar")
    tree = place / "chroot-root"
    tree.mkdir()
    distribution.make_layer(place / "chroot.tar", "python3")
    subprocess.run(["tar", "-C", str(tree), "-xf", str(place / "chroot.tar")], check=True)
    return tree


@pytest.fixture(scope="module")
def store(place: Path) -> Store:
    return Store.open(str(place / "chroot-store"))


def inside(words: str) -> str:
    """A script that says how long its loop took, in nanoseconds: what comes before and after is not counted."""
    return f"begun=$(date +%s%N); {words}; echo $(($(date +%s%N) - begun))"


def contestant(name: str, root: Path, store: Store, words: str) -> Contestant:
    # The same for all: dpkg closes every fd that it may have open, or those that /proc tells of.
    own_proc = ["unshare", "--mount", f"--mount-proc={root}/proc"]
    argv = {
        NATIVE: [*own_proc, "chroot", str(root)],
        PROOT: ["proot", "-0", "-r", str(root), "-b", "/proc", "-b", "/dev", "-w", "/"],
    }

    def sample() -> list[float]:
        shell = ["/bin/sh", "-c", inside(words)]
        if name == PYRT:
            printed = pyrt.run("", shell, rootfs=str(root), store=store, isolation="chroot", check=True).stdout
        else:
            printed = subprocess.run([*argv[name], *shell], check=True, stdout=subprocess.PIPE).stdout
        return [int(printed) / 1e9]

    return Contestant(name=name, sample=sample)


@pytest.fixture(scope="module")
def loops(root: Path, store: Store) -> dict[str, dict[str, list[float]]]:
    need("proot")
    raced = {}
    for loop, words in LOOPS.items():
        raced[loop] = race([contestant(name, root, store, words) for name in CONTESTANTS], scaled(10))
    return raced


@pytest.mark.benchmark(group="chroot: exec loop")
@pytest.mark.parametrize("name", CONTESTANTS)
def test_exec_loop(name: str, loops: dict[str, dict[str, list[float]]], record: Recorder) -> None:
    record(loops["exec loop"][name])


@pytest.mark.benchmark(group="chroot: dpkg -L loop")
@pytest.mark.parametrize("name", CONTESTANTS)
def test_dpkg_loop(name: str, loops: dict[str, dict[str, list[float]]], record: Recorder) -> None:
    record(loops["dpkg -L loop"][name])


@pytest.mark.benchmark(group="chroot: find and stat")
@pytest.mark.parametrize("name", CONTESTANTS)
def test_find_and_stat(name: str, loops: dict[str, dict[str, list[float]]], record: Recorder) -> None:
    record(loops["find and stat"][name])


@pytest.mark.benchmark(group="entering a chroot")
@pytest.mark.parametrize("name", (PYRT,))
def test_entering(name: str, root: Path, store: Store, record: Recorder) -> None:
    """From the call to the end of /bin/true, in a root that is there."""
    enter = timed(lambda: pyrt.run("", ["/bin/true"], rootfs=str(root), store=store, isolation="chroot", check=True))
    record(race([Contestant(name=name, sample=enter)], scaled(50))[name])
