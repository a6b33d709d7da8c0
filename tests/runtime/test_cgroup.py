"""A container's cgroup: which hierarchy, made, joined, killed, removed."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrt import cgroupfs
from pyrt.errors import Unsupported
from pyrt.runtime import cgroup
from pyrt.runtime.cgroup import Cgroup
from tests.support.parts import missing

LINE = "30 24 0:26 / {} rw,nosuid shared:9 - {} {} rw{}\n"
V1 = "".join(
    LINE.format(f"/sys/fs/cgroup/{name}", "cgroup", "cgroup", f",{name}")
    for name in ("cpuset", "memory", "cpu,cpuacct", "devices", "pids", "name=systemd")
)
UNIFIED = LINE.format("/sys/fs/cgroup/unified", "cgroup2", "cgroup2", "")
V2 = LINE.format("/sys/fs/cgroup", "cgroup2", "cgroup2", ",nsdelegate")
OTHER = LINE.format("/", "ext4", "/dev/vda", "") + LINE.format("/x", "tmpfs", "cgroup", ",devices")
ID = "c0ffee"


@pytest.mark.parametrize(
    ("mounts", "devices", "path", "version"),
    [
        (V2, True, "/sys/fs/cgroup", 2),
        (V2, False, "/sys/fs/cgroup", 2),
        (OTHER + V1, True, "/sys/fs/cgroup/devices", 1),
        (V1, False, "/sys/fs/cgroup/pids", 1),
        (V1.replace("pids", "rdma"), False, "/sys/fs/cgroup/devices", 1),
        (UNIFIED + V1, True, "/sys/fs/cgroup/devices", 1),
        (UNIFIED + V1, False, "/sys/fs/cgroup/unified", 2),
        (V1.replace("devices", "rdma") + UNIFIED, True, "/sys/fs/cgroup/unified", 2),
    ],
)
def test_which_hierarchy(tmp_path: Path, mounts, devices, path, version):
    (tmp_path / "mountinfo").write_text(mounts)
    found = cgroup.find(ID, "a test", devices=devices, mounts=str(tmp_path / "mountinfo"))
    assert found == Cgroup(path=f"{path}/pyrt/{ID}", version=version, purpose="a test")
    assert found.joins == ((f"{path}/pyrt/{ID}/tasks",) if version == 1 else ())


@pytest.mark.parametrize(
    ("mounts", "devices"), [("", True), (OTHER, False), (V1.replace("devices", "rdma"), True)], ids=["none", "other", "v1"]
)
def test_lc_25_no_such_hierarchy_is_refused_by_name(tmp_path: Path, mounts, devices):
    (tmp_path / "mountinfo").write_text(mounts)
    with pytest.raises(Unsupported, match="a test: takes a cgroup"):
        cgroup.find(ID, "a test", devices=devices, mounts=str(tmp_path / "mountinfo"))


def mounted() -> list[str]:
    """The places for a cgroup on this machine, one of each kind that it has."""
    found = {"v2" if one.version == 2 else "v1": one.mount for one in cgroup.hierarchies() if one.mount in USABLE}
    return [f"{version} {mount}" for version, mount in found.items()]


USABLE = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids")


@pytest.fixture(params=mounted() or ["none"])
def made(request: pytest.FixtureRequest) -> Iterator[Cgroup]:
    if os.geteuid() != 0 or request.param == "none":
        missing("no cgroup hierarchy, or not root")
    version, mount = request.param.split()
    place = Cgroup(path=f"{mount}/pyrt/test-{os.getpid()}", version=int(version[1]), purpose="a test")
    cgroup.make(place)
    yield place
    assert cgroupfs.remove(place.path)
    assert not os.path.exists(place.path)


def start(path: str, script: str) -> subprocess.Popen[str]:
    """A shell in the cgroup that has said "ready"."""
    command = ["sh", "-c", f"echo 0 >{path}/cgroup.procs && {script}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_lc_09_kill_reaches_those_that_have_left_their_parent(made: Cgroup):
    daemon = "(setsid sh -c 'trap \"\" TERM HUP; (sleep 300 & sleep 300)' &)"
    with start(made.path, f"for i in 1 2 3; do {daemon}; done; echo ready; exec sleep 300") as process:
        _wait_for(made.path, 7)
        assert cgroupfs.kill(made.path)
        assert process.wait(10) == -9
    assert not cgroupfs.members(made.path)


def _wait_for(path: str, count: int) -> None:
    deadline = time.monotonic() + 10
    while len(cgroupfs.members(path)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_lc_09_kill_outruns_a_process_that_forks_all_the_time(made: Cgroup):
    with start(made.path, "fork() { (sleep 0.01; fork) & }; fork; fork; echo ready; wait; exec sleep 300") as process:
        assert cgroupfs.kill(made.path)
        process.wait(10)
    time.sleep(0.1)
    assert not cgroupfs.members(made.path)


def test_lc_15_a_cgroup_with_cgroups_and_processes_below_is_removed(made: Cgroup):
    for number in range(100):
        os.mkdir(f"{made.path}/{number}")
    os.makedirs(f"{made.path}/0/1/2/3")
    inner = f"{made.path}/0/1/2/3"
    with start(inner, "echo ready; exec sleep 300") as process:
        assert cgroupfs.remove(made.path)
        assert process.wait(10) == -9
    assert not os.path.exists(made.path)


def test_the_directory_above_goes_with_the_last(made: Cgroup):
    above = os.path.dirname(made.path)
    other = Cgroup(path=f"{above}/test-{os.getpid()}-other", version=made.version, purpose="a test")
    cgroup.make(other)
    assert cgroupfs.remove(other.path)
    assert os.path.isdir(made.path)
    assert cgroupfs.remove(made.path)
    cgroup.make(made)  # and it is made again


def test_nothing_to_remove_is_fine(tmp_path: Path):
    assert cgroupfs.remove(f"{tmp_path}/pyrt/not-there")
    assert cgroupfs.kill(f"{tmp_path}/pyrt/not-there")
