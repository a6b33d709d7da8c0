"""Facts read from files: of roots made for it, and of this machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pyrt.host import Host
from pyrt.ids import Range
from pyrt.machine import Cgroups, Machine, cgroups, file_system, read
from pyrt.subordinate import MISSING, NO_NEW_PRIVILEGES, PROGRAMS, UNPRIVILEGED, mapper, ranges
from tests.doctor.places import HOST
from tests.support.parts import missing, need

V2 = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
V1 = "31 25 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids"
BOTH = "32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"


def place(root: Path, files: dict[str, str], *, environ: dict[str, str] | None = None, host: Host = HOST) -> Machine:
    """A machine with these files, and the least that every one has."""
    least = {"proc/self/mountinfo": "25 1 0:1 / / rw - ext4 x rw", "proc/self/uid_map": "0 0 4294967295"}
    for name, content in {**least, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content + "\n")
    return read(host, str(root), root=str(root), environ=environ or {"PATH": f"{root}/bin"})


def test_a_bare_machine(tmp_path: Path) -> None:
    found = place(tmp_path, {})
    assert (found.container, found.user, found.distribution, found.label) == ("", "1000", (), "")
    assert (found.max_user_namespaces, found.unprivileged_userns_clone, found.apparmor_restricts) == (None, None, None)
    assert (found.rooted, found.ids, found.over_proc, found.has_user_namespaces) == (True, 2**32 - 1, (), False)
    assert [each.lacks for each in found.mappers] == [MISSING, MISSING]
    assert found.cgroups == Cgroups(version=0, hybrid=False, delegated=())
    assert found.lacks_for_apparmor == ""


def test_everything_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "proc/self/ns").mkdir(parents=True)
    (tmp_path / "proc/self/ns/user").symlink_to("user:[4026531837]")
    found = place(
        tmp_path,
        {
            "proc/sys/user/max_user_namespaces": "0",
            "proc/sys/kernel/unprivileged_userns_clone": "1",
            "proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
            "proc/self/status": "Name:\tx\nNoNewPrivs:\t1\nSeccomp:\t2\nCapBnd:\t00000000a80425fb",
            "proc/self/attr/current": "docker-default (enforce)",
            "proc/self/mountinfo": "25 1 0:1 /x / rw - overlay x rw\n26 25 0:2 / /proc rw - proc x rw\n"
            "27 26 0:3 / /proc/kcore rw - tmpfs x rw\n29 26 0:5 / /proc/sys/fs/binfmt_misc rw - autofs x rw\n"
            "30 26 0:3 / /proc/kcore rw - tmpfs x rw\n28 25 0:4 / /procedures rw - tmpfs x rw",
            "proc/self/uid_map": "0 1000 1\n1 100000 999",
            "etc/passwd": "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh",
            "etc/subuid": "ann:100000:65536\nnonsense\nbob:x:1",
            "etc/subgid": "1000:200000:1",
            "etc/os-release": 'NAME="X"\nID=rocky\nID_LIKE="rhel centos fedora"',
        },
    )
    assert (found.user, found.ids, found.label) == ("ann", 1000, "docker-default (enforce)")
    assert (found.max_user_namespaces, found.unprivileged_userns_clone, found.apparmor_restricts) == (0, 1, 1)
    assert (found.no_new_privileges, found.seccomp, found.rooted, found.has_user_namespaces) == (True, True, True, True)
    assert found.subordinate_users == (("ann", 100000, 65536),)
    assert found.subordinate_groups == (("1000", 200000, 1),)
    assert found.distribution == ("rocky", "rhel", "centos", "fedora")
    assert found.over_proc == ("/proc/kcore",)


def test_a_chroot_has_no_mount_as_its_root(tmp_path: Path) -> None:
    assert place(tmp_path, {"proc/self/mountinfo": "26 25 0:2 / /proc rw - proc x rw"}).rooted is False


@pytest.mark.parametrize(
    ("files", "environ", "expected"),
    [
        (["run/.containerenv"], {}, "podman"),
        ([".dockerenv", "run/.containerenv", "var/run/secrets/kubernetes.io/token"], {}, "kubernetes"),
        ([".dockerenv"], {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "kubernetes"),
        ([".dockerenv"], {}, ""),
        ([], {"container": "lxc"}, "lxc"),
    ],
)
def test_the_marks_of_containers(tmp_path: Path, files: list[str], environ: dict[str, str], expected: str) -> None:
    found = place(tmp_path, dict.fromkeys(files, ""), environ={"PATH": "", **environ})
    assert found.container == expected


def test_dockers_mark_counts_where_docker_has_mounted_its_files(tmp_path: Path) -> None:
    mounts = "25 1 0:1 / / rw - overlay x rw\n26 25 8:1 /h /etc/hosts rw - ext4 x rw"
    assert place(tmp_path, {".dockerenv": "", "proc/self/mountinfo": mounts}).container == "docker"


@pytest.mark.parametrize(
    ("mounts", "own", "writable", "expected"),
    [
        (V2, "0::/user/me", ["sys/fs/cgroup/user/me"], Cgroups(version=2, hybrid=False, delegated=("memory", "pids"))),
        (V2, "0::/user/me", [], Cgroups(version=2, hybrid=False, delegated=())),
        (V1, "3:pids:/me", ["sys/fs/cgroup/pids/me"], Cgroups(version=1, hybrid=False, delegated=("pids",))),
        (f"{V1}\n{BOTH}", "3:pids:/me\n0::/", [], Cgroups(version=1, hybrid=True, delegated=())),
    ],
)
def test_cgroups(tmp_path: Path, mounts: str, own: str, writable: list[str], expected: Cgroups) -> None:
    for name in writable:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "cgroup.procs").write_text("")
        (tmp_path / name / "cgroup.controllers").write_text("memory pids\n")
    place(tmp_path, {"proc/self/mountinfo": mounts, "proc/self/cgroup": own})
    assert cgroups(str(tmp_path)) == expected


def test_a_session_has_what_systemd_was_given(tmp_path: Path) -> None:
    """A login session is in a cgroup of root's; the user's service manager has one of the user's."""
    place(tmp_path, {"proc/self/mountinfo": V2, "proc/self/cgroup": "0::/user.slice/session-1.scope"})
    service = tmp_path / f"sys/fs/cgroup/user.slice/user-{os.getuid()}.slice/user@{os.getuid()}.service"
    service.mkdir(parents=True)
    (service / "cgroup.controllers").write_text("memory pids\n")
    assert cgroups(str(tmp_path)) == Cgroups(version=2, hybrid=False, delegated=())
    (service / "cgroup.procs").write_text("")
    assert cgroups(str(tmp_path)) == Cgroups(version=2, hybrid=False, delegated=("memory", "pids"), by_systemd=True)


def test_a_mapper_needs_its_rights(tmp_path: Path) -> None:
    """As newuidmap is in a copied tree, as it is installed, and for a process that may get no more rights."""
    need("setcap")
    if os.geteuid() != 0:
        missing("root gives a file set-user-id root")
    program = tmp_path / "newuidmap"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    here = str(tmp_path)
    assert mapper("newuidmap", path=here).lacks == UNPRIVILEGED
    program.chmod(0o4755)
    assert mapper("newuidmap", path=here).lacks == ""
    os.chown(program, 1000, 1000)
    program.chmod(0o4755)
    assert mapper("newuidmap", path=here).lacks == UNPRIVILEGED
    subprocess.run(["setcap", "cap_setgid=ep", program], check=True)
    assert mapper("newuidmap", path=here).lacks == UNPRIVILEGED
    subprocess.run(["setcap", "cap_setuid=ep", program], check=True)
    assert mapper("newuidmap", path=here).lacks == ""
    (tmp_path / "self").mkdir()
    (tmp_path / "self/status").write_text("Seccomp:\t0\nNoNewPrivs:\t1\n")
    assert mapper("newuidmap", path=here, proc=here).lacks == NO_NEW_PRIVILEGES
    assert mapper("newgidmap", path=here).lacks == MISSING


def test_ids_that_nobody_can_map_are_none(tmp_path: Path) -> None:
    """A start chose them and failed, where it could have gone on with a single id."""
    if os.geteuid() != 0:
        missing("root gives a file set-user-id root")
    given = tmp_path / "given"
    given.write_text(f"{os.geteuid()}:100000:65536\n")
    for name in PROGRAMS:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    files, here = (str(given), str(given)), str(tmp_path)
    assert ranges(os.geteuid(), files, here) is None
    for name in PROGRAMS:
        (tmp_path / name).chmod(0o4755)
    assert ranges(os.geteuid(), files, here) == ((Range(1, 100000, 65536),), (Range(1, 100000, 65536),))


def test_file_systems_have_names(tmp_path: Path) -> None:
    assert file_system("/dev/shm") == "tmpfs"
    assert file_system("/proc") == "0x9fa0"
    assert file_system(f"{tmp_path}/nothing") == ""


def test_this_machine(tmp_path: Path) -> None:
    """Whatever it is: it can be read."""
    host = Host.probe()
    found = read(host, str(tmp_path))
    assert found.ids >= 1 and found.rooted and found.kernel >= (5, 10)
    assert found.has_user_namespaces is os.path.lexists("/proc/self/ns/user")
