"""System calls, by the prober's matrix against this machine's own, and single acts with arguments that are right."""

from __future__ import annotations

import errno
import os
import platform

import pytest

from tests.support import prober

DENIED = {errno.EPERM, errno.EACCES, errno.ENOSYS}


@pytest.fixture
def acts(probe):
    def found(*options: str) -> dict[str, object]:
        return probe(*options, sections=("acts",))["acts"]  # type: ignore[no-any-return]

    return found


def test_ct_37_no_new_namespaces(acts):
    found = acts()
    for kind in ("user", "mount", "pid", "net", "ipc", "uts", "cgroup"):
        assert found[f"clone {kind}"] in DENIED and found[f"unshare {kind}"] in DENIED, kind
    assert found["setns"] in DENIED
    # clone3's arguments are behind a pointer, which a filter cannot follow: as on a kernel without it, and libc falls back.
    assert found["clone3"] == found["clone3 user"] == errno.ENOSYS and found["clone"] == 0


def test_ct_37_namespaces_for_who_may_mount(acts):
    found = acts("--cap-add", "SYS_ADMIN")
    assert found["clone uts"] == found["unshare mount"] == found["clone3"] == 0


def test_ct_38_families_that_are_no_network(probe):
    found = probe("--network", "none", sections=("sockets",))
    alg, vsock = found["sockets"][38], found["sockets"][40]
    assert {*alg, *vsock} == {errno.EPERM}, "refused by the filter, not only absent"
    assert set(found["sockets"][17]) <= {errno.EPERM, errno.EAFNOSUPPORT}, "AF_PACKET takes CAP_NET_RAW"
    assert found["socket_audit"] != 0 and found["socket_icmp"] == errno.EPERM
    assert found["sockets"][1][0] == found["sockets"][2][0] == found["sockets"][16][2] == 0, "what every program uses"


def test_ct_38_the_second_ways_in(probe):
    """32-bit calls, whose socketcall hides its arguments from a filter, and x32 numbers."""
    found = probe(sections=("calls",))
    if platform.machine() != "x86_64":
        assert "calls_32" not in found
        return
    assert {answer for answer in found["calls_x32"] if answer != "-"} <= {errno.ENOSYS, errno.EPERM}
    reachable = {
        number for number, answer in enumerate(found["calls_32"]) if answer not in ("-", "signal 31", errno.ENOSYS, errno.EPERM)
    }
    assert reachable == set()


def test_ct_39_numbers_that_nobody_knows(probe):
    """A libc tries what is new and falls back where the kernel does not know it: EPERM would end it."""
    found = probe(sections=("calls",))
    assert {found["calls"][number] for number in range(480, 601)} == {errno.ENOSYS}


@pytest.mark.parametrize("options", [(), ("--user", "1000")], ids=str)
def test_ct_40_what_is_dangerous_is_refused(acts, options):
    found = acts(*options)
    names = ("add_key", "keyctl", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "open_by_handle_at", "kexec_load",
             "delete_module", "swapoff", "syslog", "personality read_implies_exec")  # fmt: skip
    assert {name: found[name] for name in names if found[name] not in DENIED} == {}


def test_ct_40_no_process_of_the_host_can_be_named(busybox):
    me = os.getpid()
    script = f"kill -0 {me} 2>/dev/null && echo alive; ls -d /proc/{me} 2>/dev/null; ls /proc | grep -c '^[0-9]'"
    lines = busybox(script).stdout.decode().split()
    assert lines in (["3"], ["2"], ["4"]), lines


def test_ct_56_mounting_in_all_its_forms(acts):
    found = acts()
    names = ("mount tmpfs", "mount proc", "mount bind", "remount writable", "umount mask", "pivot_root", "fsopen", "open_tree",
             "move_mount", "mount_setattr")  # fmt: skip
    assert {name: found[name] for name in names if found[name] not in DENIED} == {}
    assert acts("--cap-add", "SYS_ADMIN")["mount tmpfs"] == 0, "who may mount can"


def test_ct_57_masks_are_not_shed_in_a_user_namespace(busybox):
    """Without a filter a container's root makes a user namespace and is somebody there; what covers /proc and /sys stays."""
    script = """
        unshare -Urmpf sh -c '
            mount -t proc proc /proc 2>/dev/null && echo new-proc
            mkdir -p /tmp/p /tmp/s
            mount -t proc proc /tmp/p 2>/dev/null && echo new-proc; mount -t sysfs s /tmp/s 2>/dev/null && echo new-sys
            umount /proc/keys 2>/dev/null && echo unmasked; umount -l /proc/sys 2>/dev/null && echo unmasked
            mount -o remount,rw,bind /proc/sys 2>/dev/null && echo writable
            mount -o remount,rw /sys 2>/dev/null && echo writable
            (echo x > /proc/sys/kernel/core_pattern) 2>/dev/null && echo wrote
            mount --bind /proc/sys /tmp/p 2>/dev/null; (echo x > /tmp/p/kernel/core_pattern) 2>/dev/null && echo wrote
            cat /proc/keys | wc -c; id -u'"""
    image_has = busybox("busybox unshare --help 2>&1 | grep -c Usage; true", seccomp="unconfined").stdout.strip()
    assert image_has == b"1", "the static busybox has unshare"
    result = busybox(script.replace("unshare", "busybox unshare"), seccomp="unconfined")
    assert result.stdout.split() == [b"0", b"0"], result


def test_ct_59_the_clock_is_the_hosts(acts):
    found = acts()
    assert all(found[name] in DENIED for name in ("clock_settime", "settimeofday", "adjtimex write"))
    assert found["adjtimex read"] == 0


def test_ct_36_the_matrix_is_no_stronger_than_root_outside():
    """A check of the measure: bare, nearly everything reaches the kernel."""
    groups = prober.ranges(prober.bare()["calls"], prober.bare()["calls"])
    assert {*groups} == {"ENOSYS", "kernel"}
