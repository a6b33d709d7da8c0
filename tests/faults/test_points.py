"""A sample of the sweeps of tests/faults/points.py and powercut.py, spread over all points; `make points` takes every one.

They run in a process of their own: it forks, and pytest's has threads.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.calls import FILES, PROCESSES
from tests.faults.scenarios import NAME, made
from tests.support import images
from tests.support.parts import missing, need

REPOSITORY = Path(__file__).parents[2]
INTERPRETER = {"execve", "prlimit64", "clone3", "clone", "vfork", "write", "sendmsg", "prctl"}  # its start makes some of them


def swept(module: str, *words: str) -> str:
    """What a sweep printed; fails with it where it found something."""
    if os.geteuid() != 0:
        missing("not root")
    need("gcc")
    done = subprocess.run(
        [sys.executable, "-m", f"tests.faults.{module}", *words], cwd=REPOSITORY, capture_output=True, text=True, timeout=600
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout


def test_st_01_no_call_is_missed(tmp_path: Path) -> None:
    """What the sweeps see of a pull is what strace sees of it in a process of its own, but for the interpreter's start."""
    need("strace")
    said = swept("points", "count", "pull a layout")
    seen = dict(word.split("=") for word in said.splitlines()[0].split())
    images.write_layout(tmp_path, {NAME: made(0)})
    store, log = tmp_path / "store", tmp_path / "log"
    store.mkdir(mode=0o700)
    pull = [sys.executable, "-m", "pyrt", "--root", store, "pull", f"oci:{tmp_path}:{NAME}"]
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(["strace", "-f", "-o", log, *pull], check=True, cwd=REPOSITORY, capture_output=True, env=environ)
    called = Counter(re.findall(r"^\d+ +(\w+)\(", log.read_text(), flags=re.MULTILINE))
    assert {"rename", "unlink", "mkdir", "fsync", "syncfs"} <= set(seen)
    for name in set((FILES + PROCESSES).split()) - INTERPRETER:
        assert int(seen.get(name, 0)) == called[name], name


def all_well(sweep: str, points: int, *names: str) -> None:
    """Whether so many points of each of these commands were found without a fault."""
    said = swept("points", sweep, "--points", str(points), *names)
    assert said.count(" 0 failures") == len(names), said


def test_st_01_pulls_killed_at_a_system_call() -> None:
    all_well("kill", 14, "pull a layout", "pull a newer one", "pull from a registry", "load an archive")


def test_st_01_other_commands_killed_at_a_system_call() -> None:
    all_well("kill", 12, "rmi", "tag", "image prune")


def test_st_32_runs_killed_at_a_system_call() -> None:
    all_well("kill", 12, "run --rm", "run --rm, on disk", "run", "run --rm for ever")


def test_st_34_an_rm_killed_at_a_system_call() -> None:
    all_well("kill", 14, "rm")


def test_st_09_an_error_at_a_system_call() -> None:
    all_well("fault", 20, "pull a layout", "load an archive", "rmi", "tag", "image prune")


def test_lc_20_an_error_at_a_system_call_of_a_container() -> None:
    all_well("fault", 20, "run --rm", "run", "rm")


def test_lc_03_terminated_at_a_system_call() -> None:
    all_well("term", 8, "pull a layout", "run --rm", "run --rm, on disk", "run")


@pytest.mark.parametrize(("file_system", "points"), [("ext4", "10"), ("ext4-writeback", "4")])
def test_st_03_power_cut_during_a_pull(file_system: str, points: str) -> None:
    need("mkfs.ext4")
    said = swept("powercut", "--fs", file_system, "--points", points, "pull a layout", "pull a newer one")
    assert said.count(" 0 wrong, 0 lost") == 2


def test_st_04_without_syncs_a_power_cut_after_the_pull_is_seen_to_do_damage() -> None:
    """So that the tests around this one are known to bite."""
    need("mkfs.ext4")
    said = swept("powercut", "--bite", "--fs", "ext4", "pull a layout")
    assert "without any sync: 0 wrong, 10 lost" in said
    assert "without syncfs: 0 wrong" not in said


@pytest.mark.parametrize("file_system", ["ext4", "xfs", "btrfs"])
def test_st_05_power_cut(file_system: str) -> None:
    need("mkfs.ext4", "mkfs.xfs", "mkfs.btrfs")
    said = swept("powercut", "--fs", file_system, "--points", "3", "pull a layout", "tag", "rmi")
    assert said.count(" 0 wrong, 0 lost") == 3
