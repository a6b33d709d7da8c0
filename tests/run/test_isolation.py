"""Namespaces, covered paths and limits as a program inside finds them, and what is said of them outside."""

from __future__ import annotations

import os
import resource

import pytest

import pyrt

KINDS = {"pid": "pid", "ipc": "ipc", "uts": "uts", "cgroupns": "cgroup"}


def inodes(kinds: str) -> str:
    return " ".join(os.readlink(f"/proc/self/ns/{kind}") for kind in kinds.split())


def test_ct_47_every_namespace_is_the_containers_own(busybox):
    script = "for n in pid mnt uts ipc cgroup net; do readlink /proc/self/ns/$n; done"
    inside = busybox(script, network="none").stdout.decode().split()
    assert not {*inside} & {*inodes("pid mnt uts ipc cgroup net").split()}
    assert len({*inside}) == 6


@pytest.mark.parametrize("option", [name for name in KINDS if name != "pid"])
def test_the_hosts_namespace_when_it_is_asked_for(busybox, option):
    result = busybox(f"readlink /proc/self/ns/{KINDS[option]}", **{option: "host"})
    assert result.stdout.decode().strip() == inodes(KINDS[option])
    assert not result.isolation[f"{KINDS[option]} namespace"].on


def test_the_hosts_name_and_shared_memory(busybox):
    result = busybox("hostname; cat /etc/hostname; stat -c %d /dev/shm", uts="host", ipc="host")
    name = os.uname().nodename
    assert result.stdout.decode().split() == [name, name, str(os.stat("/dev/shm").st_dev)]


def test_the_host_keeps_its_name(busybox):
    before = os.uname().nodename
    assert busybox("hostname changed 2>&1; hostname", uts="host").stdout.decode().split()[-1] == before
    assert os.uname().nodename == before


@pytest.mark.full
def test_paths_are_hidden_and_opened(busybox):
    count = "ls /sys/firmware | wc -l; cat /etc/passwd | wc -c; (: >>/proc/sys/vm/swappiness) 2>/dev/null && echo open; true"
    assert busybox(count, mask=["/etc/passwd"]).stdout.split() == [b"0", b"0"]
    # AppArmor, where there is one, keeps them closed by itself.
    opened = busybox(count, unmask=["/sys/firmware", "/proc/sys"], apparmor="unconfined").stdout.split()
    assert (int(opened[0]), opened[2:]) == (len(os.listdir("/sys/firmware")), [b"open"])


def test_ct_35_no_new_privileges(busybox):
    assert busybox("grep NoNewPrivs /proc/self/status").stdout.split()[-1] == b"0"
    result = busybox("grep NoNewPrivs /proc/self/status", no_new_privileges=True)
    assert result.stdout.split()[-1] == b"1"
    assert result.isolation["no_new_privs"].on


def test_ct_61_limits_are_the_callers_with_a_ceiling(busybox):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    inside = busybox("ulimit -Sn; ulimit -Hn").stdout.split()
    assert inside == [str(min(limit, 1 << 20)).encode() for limit in (soft, hard)]
    before = resource.getrlimit(resource.RLIMIT_NPROC)
    inside = busybox("grep processes /proc/self/limits").stdout.split()
    assert [int(word) for word in inside[2:4]] == [min(limit % 2**64, 1 << 20) for limit in before]


@pytest.mark.full
def test_a_run_says_what_stood_between(busybox):
    isolation = busybox("true").isolation
    assert isolation.rung == "full"
    on = {barrier.name for barrier in isolation.barriers if barrier.on}
    assert {"pid namespace", "mount namespace", "capabilities", "masked paths", "read-only paths", "devices"} <= on
    assert isolation["network namespace"].why == "the host's own"
    assert busybox("true", network="none", user="1000").isolation["non-root user"].why == "uid 1000"
    open_one = busybox("true", privileged=True).isolation
    names = ("capabilities", "seccomp", "AppArmor", "masked paths", "read-only paths", "devices")
    assert not any(open_one[name].on for name in names)


def test_info_says_what_a_plain_container_gets(store, busybox):
    found = pyrt.info(store=store)
    assert found.isolation == busybox("true").isolation
    assert found.images > 0 and found.root == store.layout.root


def test_inspect_has_dockers_words_for_what_was_asked(pyrt):
    words = ["run", "--name", "asked", "--cap-add", "NET_RAW", "--security-opt", "no-new-privileges", "--uts", "host"]
    assert pyrt(*words, "busybox", "true").returncode == 0
    template = "{{.HostConfig.UTSMode}} {{.HostConfig.CapAdd}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Privileged}}"
    assert pyrt("inspect", "-f", template, "asked").stdout == "host [NET_RAW] [no-new-privileges] false\n"
    assert pyrt("rm", "asked").returncode == 0
