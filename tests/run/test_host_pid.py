"""``--pid host``: a container without a pid namespace of its own ends with its first process all the same, by its cgroup."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pyrt.errors import ContainerTimeout, Unsupported
from pyrt.runtime import cgroup
from tests.support.parts import missing

REPOSITORY = Path(__file__).parents[2]
DAEMON = "(setsid sleep 300 >/dev/null 2>&1 & echo $!) ; "


@pytest.fixture(autouse=True)
def some_cgroup(store):
    if not cgroup.hierarchies():
        missing("no cgroup hierarchy")


def is_there(pid: int) -> bool:
    """Whether it runs; a dead one may wait for whoever inherited it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_lc_09_a_daemon_does_not_outlive_its_container(busybox):
    done = busybox(DAEMON + "echo $$", pid="host")
    daemon, first = map(int, done.stdout.split())
    assert first > 1 and not is_there(daemon)


def test_lc_09_nor_a_time_out(busybox):
    with pytest.raises(ContainerTimeout) as caught:
        busybox(DAEMON + "sleep 300", pid="host", timeout=2)
    assert caught.value.result is not None
    assert not is_there(int(caught.value.result.stdout))


def test_lc_09_one_that_ends_well_costs_nothing_more(busybox, store):
    assert busybox("exit 7", pid="host").returncode == 7
    assert store.containers.list() == ()


def test_lc_09_a_daemon_of_a_killed_owner_is_ended_by_the_next_start(busybox, store, store_root):
    argv = [sys.executable, "-m", "pyrt", "--root", str(store_root), "run", "--rm", "--pid", "host", "busybox"]
    with subprocess.Popen([*argv, "sh", "-c", DAEMON + "sleep 300"], cwd=REPOSITORY, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        daemon = int(owner.stdout.readline())
        assert is_there(daemon)
        (record,) = store.containers.list()
        os.kill(owner.pid, signal.SIGKILL)
    assert is_there(daemon)
    assert busybox("true").returncode == 0
    assert not is_there(daemon) and not any(map(os.path.exists, record.cgroups))


def test_lc_25_a_machine_without_cgroups_refuses(tmp_path):
    (tmp_path / "mountinfo").write_text("")
    with pytest.raises(Unsupported, match="--pid host: takes a cgroup"):
        cgroup.find("c0ffee", "--pid host", mounts=str(tmp_path / "mountinfo"))
