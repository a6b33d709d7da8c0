"""Containers in a user namespace of their own, by root, who can have one with every id: what is different, and what is not."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import pyrt
from pyrt import ladder
from pyrt.errors import PrivilegeError, UsageError
from pyrt.host import Host
from pyrt.ids import DIRECT, Ids

_GET_DUMPABLE = 3


@pytest.fixture
def userns(busybox):
    """A script in a container on the rung."""
    return lambda script, **options: busybox(script, isolation="userns", **options)


def test_ct_69_the_maps_are_exact(userns):
    result = userns("cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; readlink /proc/self/ns/user")
    *maps, groups, namespace = result.stdout.decode().splitlines()
    assert [line.split() for line in maps] == [["0", "0", str(2**32 - 1)]] * 2
    assert groups == "allow" and namespace != os.readlink("/proc/self/ns/user")
    assert result.isolation.rung == "userns" and result.isolation["user namespace"].on


def test_the_callers_process_stays_what_it_is(userns):
    def state() -> tuple[str, int, str]:
        with open("/proc/thread-self/status") as status:
            rest = [line for line in status if line.startswith(("Uid", "Gid", "Groups", "Cap", "NoNewPrivs"))]
        return os.readlink("/proc/self/ns/user"), ctypes.CDLL(None).prctl(_GET_DUMPABLE), "".join(rest)

    before = state()
    assert userns("id -u").stdout == b"0\n"
    assert state() == before


def test_from_many_threads_at_once(userns):
    found: list[bytes] = []

    def one(number: int) -> None:
        found.append(userns(f"echo {number}; cat /proc/1/comm; true").stdout)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [b"%d\nsh\n" % n for n in range(8)]


@pytest.mark.parametrize("user", ["0", "1000", "app", "1000:2000"])
def test_users_are_real(userns, user):
    result = userns("touch /tmp/mine; stat -c '%u %g' /tmp/mine; id -u; id -g", user=user)
    owner, uid, gid = result.stdout.decode().splitlines()
    assert owner == f"{uid} {gid}"
    assert (uid, gid) == {"0": ("0", "0"), "1000": ("1000", "1000"), "app": ("1000", "1000")}.get(user, ("1000", "2000"))


def test_bn_16_whiteouts_and_opaque_directories_hide(busybox, userns, store):
    """The layers were unpacked by root, for overlay's other form too."""
    script = "find / -xdev | sort"
    assert userns(script).stdout == busybox(script).stdout
    listed = {*pyrt.run("opaque", store=store, isolation="userns").stdout.split()}
    assert listed == {b"bin", b"dev", b"etc", b"proc", b"sys"}


def test_bn_16_a_container_makes_marks_of_its_own(userns):
    script = "rm -r /etc && mkdir /etc && ls -A /etc; rm /bin/ls; /bin/busybox ls /bin/ls 2>&1 | tail -c 26"
    out = userns(script).stdout
    assert b"No such file or directory" in out and b"passwd" not in out


def test_ct_75_a_flood_of_mounts_ends_at_the_kernels_limit(userns):
    """fs.mount-max is for each mount namespace; the container's end takes them all along."""
    with open("/proc/sys/fs/mount-max") as file:
        limit = int(file.read())
    script = (
        "mkdir /m; mount -t tmpfs m /m; i=0; while [ $i -lt 40 ]; do mkdir -p /m/$i; mount --rbind / /m/$i || break; "
        "i=$((i+1)); done; wc -l </proc/self/mountinfo"
    )
    begun = time.monotonic()
    result = userns(script, cap_add=["SYS_ADMIN"], seccomp="unconfined", timeout=120)
    assert 1000 < int(result.stdout.split()[-1]) <= limit
    assert b"No space left" in result.stderr, result.stderr
    assert time.monotonic() - begun < 100
    assert len(Path("/proc/self/mountinfo").read_text().splitlines()) < 1000


def test_capabilities_are_of_the_namespace_only(userns):
    """Root with all capabilities there changes nothing of the host's."""
    pattern = Path("/proc/sys/kernel/core_pattern")
    before = pattern.read_text()
    script = (
        "mount -t proc p /proc; echo x >/proc/sys/kernel/core_pattern; date -s 2001-01-01; mknod /n c 1 3; "
        "dmesg | head -1; true"
    )
    result = userns(script, privileged=True)
    assert result.stderr.count(b"ermitted") + result.stderr.count(b"Read-only") + result.stderr.count(b"denied") >= 3
    assert pattern.read_text() == before and time.time() > 1_700_000_000


def test_lc_07_it_ends_with_its_caller(store_root, pyrt):
    argv = [sys.executable, "-m", "pyrt", "--root", store_root, "run", "--rm", "--isolation", "userns", "busybox"]
    process = subprocess.Popen([*argv, "sh", "-c", "echo $$; sleep 4711"], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"1\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    for _ in range(100):
        if subprocess.run(["pgrep", "-f", "^sleep 4711"], stdout=subprocess.DEVNULL).returncode:
            break
        time.sleep(0.05)
    else:
        pytest.fail("it outlived its caller")
    assert pyrt("run", "--rm", "busybox", "true").returncode == 0


@pytest.mark.parametrize(
    "options",
    [{"pid": "host"}, {"devices": [pyrt.Device(source="/dev/null", target="/dev/null", permissions="r")]},
     {"device_rules": [pyrt.DeviceRule(kind="c", major=1, minor=3, permissions="r")]}],
)  # fmt: skip
def test_what_takes_root_is_refused_by_name(userns, options):
    with pytest.raises(PrivilegeError, match=r"--(pid host|device|device-cgroup-rule)"):
        userns("true", **options)


def test_a_rung_that_there_is_not(busybox):
    with pytest.raises(UsageError, match="ladder"):
        busybox("true", isolation="ladder")
    with pytest.raises(PrivilegeError, match="userns, which is less than full"):
        busybox("true", isolation="userns", min_isolation="full")
    assert busybox("echo yes", min_isolation="chroot").stdout == b"yes\n"


def test_the_probe_is_asked_once(store, monkeypatch):
    ladder._found.cache_clear()
    first = ladder.here(store.layout.run, "userns")
    assert first.rung == "userns" and first.ids is not None and first.ids.how == DIRECT
    ladder._found.cache_clear()
    monkeypatch.setattr(ladder, "_probed", lambda *arguments: pytest.fail("asked again"))
    assert ladder.here(store.layout.run, "userns") == first
    monkeypatch.setattr(ladder, "boot_id", lambda: "another")
    with pytest.raises(pytest.fail.Exception, match="asked again"):
        ladder.here(store.layout.run, "userns")


def test_few_namespaces_are_kept():
    from pyrt._native import userns

    host = Host.probe()
    before = set(os.listdir("/proc/self/fd"))
    for number in range(20):
        os.close(userns.namespace(Ids.single(host.uid, host.gid, 1000 + number, 1000)))
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 8


def test_where_overlay_takes_no_upper_directory_the_root_is_a_copy(store_root, tmp_path):
    """A store on an overlay file system, as in most containers: found by trying, not by its name."""
    script = """
        cd "$1"; mkdir low up work merged; mount -t overlay o -o lowerdir=low,upperdir=up,workdir=work merged
        store=$PWD/merged/store; cd "$REPOSITORY"
        pyrt() { "$PYTHON" -m pyrt --root "$store" "$@"; }
        pyrt pull -q "oci:$LAYOUT:docker.io/library/links:latest"
        pyrt run --rm --isolation userns --scratch disk links \\
            sh -c 'echo disk; touch /new; ls -ld /var/run; stat -c %u:%g /etc/passwd'
        pyrt run --name kept --isolation userns links sh -c 'echo kept; grep -c upperdir=up, /proc/mounts; rm -r /var'
        pyrt rm kept; find "$store/containers" "$store/tmp" -mindepth 1
    """
    indexes = store_root.parent.glob("layout*/index.json")
    layout = next(path.parent for path in indexes if "library/links:latest" in path.read_text())
    environ = {**os.environ, "PYTHON": sys.executable, "REPOSITORY": str(Path(__file__).parents[2]), "LAYOUT": str(layout)}
    argv = ["unshare", "--mount", "sh", "-ec", script, "sh", str(tmp_path)]
    result = subprocess.run(argv, env=environ, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[1:2] == ["disk"] and lines[2].endswith("/var/run -> /run") and lines[3] == "0:0"
    assert (lines[4], lines[6:]) == ("kept", ["kept"]) and int(lines[5]), "a bind of the copy, on the overlay of the store"
