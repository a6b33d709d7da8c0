"""Device rules of a container's cgroup, for containers that could otherwise reach more than the nodes that pyrt makes.

Each test runs with the hierarchy that this machine gives, and once more without the v1 one where there is a cgroup2 too: by
an eBPF program then. What is denied is denied with EPERM and not by mount flags (EACCES); that it would open is shown.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from pyrt import cgroupfs
from pyrt.runtime import cgroup
from tests.support.parts import missing

REPOSITORY = Path(__file__).parents[2]
FUSE = (10, 229)  # opens for reading and for writing, whoever does it
DENIED = "Operation not permitted"

# In a mount namespace of its own: the way of a machine that has no cgroup v1 for devices.
WITHOUT_V1 = ["unshare", "-m", "sh", "-c", 'umount /sys/fs/cgroup/devices && exec "$@"', "sh"]
WITHOUT_ANY = ["unshare", "-m", "sh", "-c", 'umount -R /sys/fs/cgroup && exec "$@"', "sh"]
_EACH = "for one in $(findmnt -nro TARGET -t cgroup,cgroup2); do mount -o remount,bind,ro $one; done"
READ_ONLY = ["unshare", "-m", "sh", "-c", f'{_EACH}; exec "$@"', "sh"]

OPEN = """
try() { if (eval ": $1 $2") 2>/tmp/why; then echo "$1$2 open"; else echo "$1$2 $(sed 's/.*: //' /tmp/why)"; fi; }
"""


def ways() -> dict[str, list[str]]:
    """How a command gets at this machine's hierarchies for devices."""
    if os.geteuid() != 0:
        return {}
    mounted = cgroup.hierarchies()
    v1 = any("devices" in hierarchy.controllers for hierarchy in mounted)
    v2 = any(hierarchy.version == 2 for hierarchy in mounted)
    return {**({"v1": []} if v1 else {}), **({"v2": WITHOUT_V1 if v1 else []} if v2 else {})}


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=ways() or ["none"])
def prefix(request: pytest.FixtureRequest) -> list[str]:
    """The beginning of a command that runs with one kind of cgroup."""
    if request.param == "none":
        missing("no cgroup hierarchy that carries device rules, or not root")
    return ways()[request.param]


@pytest.fixture
def run(run_with: Run, prefix: list[str]) -> Run:
    """``pyrt run --rm OPTIONS busybox sh -c SCRIPT``."""
    return partial(run_with, prefix)


@pytest.fixture
def run_with(store, store_root: Path) -> Run:
    """The same, behind other words."""

    def command(prefix: list[str], *options: str, script: str) -> subprocess.CompletedProcess[str]:
        words = [*prefix, *pyrt(store_root), "run", "--rm", *options, "sh", "-c", OPEN + script]
        return subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)

    return command


def pyrt(store_root: Path) -> list[str]:
    return [sys.executable, "-m", "pyrt", "--root", str(store_root)]


def a_disk() -> tuple[int, int]:
    """The numbers of a block device that can be opened here; a loop device without a file will do."""
    with tempfile.TemporaryDirectory() as directory:
        for name in os.listdir("/sys/class/block"):
            major, minor = map(int, Path(f"/sys/class/block/{name}/dev").read_text().split(":"))
            os.mknod(f"{directory}/{name}", 0o060600, os.makedev(major, minor))
            with suppress(OSError):
                os.close(os.open(f"{directory}/{name}", os.O_RDONLY))
                return major, minor
    missing("no block device that can be opened")
    raise AssertionError


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    """Nodes of the host in a directory."""
    os.mknod(tmp_path / "disk", 0o060666, os.makedev(*a_disk()))
    os.mknod(tmp_path / "fuse", 0o020666, os.makedev(*FUSE))
    os.mknod(tmp_path / "null", 0o020666, os.makedev(1, 3))
    return tmp_path


MAKE = "mknod /disk b {} {} && mknod /mem c 1 1 && mknod /fuse c 10 229 && mknod /null c 1 3 && echo made\n".format


def test_ct_31_a_container_that_makes_nodes_cannot_open_them(run: Run):
    done = run(
        "--cap-add", "MKNOD", "--cap-add", "SYS_RAWIO", "busybox",
        script=MAKE(*a_disk()) + "for node in /disk /mem /fuse; do try '<' $node; try '>' $node; done; try '>' /null",
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "made", *(f"{way}{node} {DENIED}" for node in ("/disk", "/mem", "/fuse") for way in "<>"), ">/null open",
    ], done.stderr  # fmt: skip


def test_ct_31_which_open_with_privileged(run: Run):
    """/dev/mem too, as far as the kernel has it: that it lacks a driver is another answer."""
    script = MAKE(*a_disk()) + "for node in /disk /fuse /mem; do try '<' $node; done"
    done = run("--privileged", "busybox", script=script)
    assert done.stdout.splitlines()[:3] == ["made", "</disk open", "</fuse open"], done.stderr
    assert done.stdout.splitlines()[3] in ("</mem open", "</mem No such device or address")


def test_ct_31_nodes_of_a_layer_do_not_open_either(run: Run):
    script = "try '<' /disk; try '<' /memory; try '<' /nothing"
    done = run("--cap-add", "MKNOD", "--cap-add", "SYS_RAWIO", "nodes", script=script)
    assert done.stdout.splitlines() == [f"</disk {DENIED}", f"</memory {DENIED}", "</nothing open"], done.stderr


def test_bn_06_debootstrap_makes_its_nodes_and_uses_them(run: Run):
    """As setup_devices_simple of debootstrap does it: mknod and chmod for each, then a test that null can be written."""
    script = """
        mkdir -p /target/dev && cd /target/dev
        make() { mknod -m "$1" "$2" "$3" "$4" "$5" || echo "no $2"; }
        make 666 null c 1 3; make 666 zero c 1 5; make 666 full c 1 7; make 666 random c 1 8; make 666 urandom c 1 9
        make 666 tty c 5 0; make 600 console c 5 1; make 666 ptmx c 5 2; make 660 loop0 b 7 0
        for node in null zero full random urandom; do try '<' $node; done; try '>' null; try '<' console
        head -c 4 zero | od -An -tx1; rm -f *; ls
    """
    done = run("--cap-add", "MKNOD", "busybox", script=script)
    opened = [f"<{node} open" for node in ("null", "zero", "full", "random", "urandom")]
    assert done.stdout.splitlines() == [*opened, ">null open", f"<console {DENIED}", " 00 00 00 00"], done.stderr


def test_what_overlayfs_removes_is_gone(run: Run):
    """A whiteout is a character device 0:0 that the kernel makes in the name of the container."""
    done = run("--device", "/dev/null:/dev/nothing:r", "busybox", script="rm /etc/passwd && mv /home /other && ls /etc/passwd")
    assert "/etc/passwd" in done.stderr and "No such file" in done.stderr and done.stdout == ""


@pytest.mark.parametrize(
    ("permissions", "read", "write"),
    [("r", "open", DENIED), ("w", DENIED, "open"), ("rm", "open", DENIED), ("m", DENIED, DENIED), ("rw", "open", "open")],
)
def test_a_device_with_fewer_permissions(run: Run, nodes: Path, permissions, read, write):
    script = "ls -l /dev/k | cut -c1; try '<' /dev/k; try '>' /dev/k; try '>' /dev/null; mknod /x c 1 3 || echo none"
    done = run("--device", f"{nodes}/fuse:/dev/k:{permissions}", "busybox", script=script)
    assert done.stdout.splitlines() == ["c", f"</dev/k {read}", f">/dev/k {write}", ">/dev/null open", "none"], done.stderr


def test_ct_31_the_hosts_dev_shows_all_and_opens_no_more_than_our_own(run: Run):
    opening = "try '<' /dev/fuse; try '<' /dev/null; try '>' /dev/zero; try '<' /dev/urandom"
    script = f"ls /dev >/tmp/list; grep -c . /tmp/list; {opening}"
    done = run("-v", "/dev:/dev", "busybox", script=script)
    count, *opened = done.stdout.splitlines()
    assert int(count) >= len(os.listdir("/dev")) - 2
    assert opened == [f"</dev/fuse {DENIED}", "</dev/null open", ">/dev/zero open", "</dev/urandom open"], done.stderr


def test_a_rule_opens_what_it_names(run: Run, nodes: Path):
    script = "cd /there; try '<' fuse; try '>' fuse; try '<' disk; try '<' null"
    options = ("-v", f"{nodes}:/there", "--device-cgroup-rule")
    done = run(*options, "c 10:229 r", "busybox", script=script)
    assert done.stdout.splitlines() == ["<fuse open", f">fuse {DENIED}", f"<disk {DENIED}", "<null open"], done.stderr
    done = run(*options, "c 10:* rw", "busybox", script=script)
    assert done.stdout.splitlines() == ["<fuse open", ">fuse open", f"<disk {DENIED}", "<null open"], done.stderr
    done = run(*options, "a *:* r", "busybox", script=script)
    assert done.stdout.splitlines() == ["<fuse open", f">fuse {DENIED}", "<disk open", "<null open"], done.stderr


def test_bn_06_without_such_a_wish_there_is_no_cgroup(store, store_root: Path):
    command = [*pyrt(store_root), "run", "--rm", "--dry-run", "-v", "/dev/shm:/there", "busybox", "true"]
    planned = json.loads(subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout)
    assert "resources" not in planned["spec"]["linux"]
    assert "cgroup" not in planned["plan"] and "cgroup" in planned["plan"]["namespaces"]
    assert not {"join", "cgroup_namespace"} & {op["op"] for op in planned["plan"]["operations"]}


def test_ct_53_the_cgroup_is_the_root_of_what_is_seen_and_read_only(run: Run):
    """Of a cgroup v1 there is nothing at all in the container; with v2 it is the container's own, and no more."""
    script = """
        cut -d: -f2,3 /proc/self/cgroup | grep -e devices -e '^:'
        echo 0 2>/tmp/why >/sys/fs/cgroup/cgroup.procs || sed 's/.*: //' /tmp/why
        mkdir /sys/fs/cgroup/x 2>/dev/null || echo no new one
        grep -c cgroup /proc/mounts; ls -d /sys/fs/cgroup/pyrt 2>/dev/null; cat /proc/mounts | grep cgroup | cut -d' ' -f3,4
    """
    done = run("--cap-add", "MKNOD", "busybox", script=script)
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("devices")] in (["devices:/"], []), done.stdout
    assert lines[-4:-2] == ["Read-only file system", "no new one"] and lines[-2] == "1", done.stdout + done.stderr
    assert lines[-1].startswith("cgroup2 ro,nosuid,nodev,noexec"), done.stdout


def test_ct_53_a_cgroup2_of_its_own_shows_its_own_processes_only(run: Run, prefix: list[str]):
    script = "cd /sys/fs/cgroup; cat cgroup.type; cat cgroup.procs; find . -type d"
    done = run("--cap-add", "MKNOD", "busybox", script=script)
    if ways().get("v2") == prefix:
        assert done.stdout.split()[:2] == ["domain", "1"] and done.stdout.split()[-1] == ".", done.stdout + done.stderr
        assert set(done.stdout.split()[2:-1]) <= {"2", "3", "4"}
    else:  # the caller's
        assert "1" in done.stdout.split()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (("--cap-add", "MKNOD"), "capability MKNOD"),
        (("-v", "/dev:/dev"), "bind mount /dev"),
        (("--device", "/dev/null:r"), "--device /dev/null"),
        (("--device-cgroup-rule", "c 1:1 r"), "--device-cgroup-rule"),
    ],
)
@pytest.mark.parametrize("prefix", [WITHOUT_ANY, READ_ONLY], ids=["none", "read-only"])
def test_lc_25_a_machine_without_cgroups_refuses_by_name(run_with: Run, prefix, options, name):
    if os.geteuid() != 0:
        missing("not root")
    done = run_with(prefix, *options, "busybox", script="echo started")
    assert (done.returncode, done.stdout) == (125, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"pyrt: {name}") and "cgroup" in done.stderr and "--privileged" in done.stderr


@pytest.mark.parametrize("prefix", [WITHOUT_ANY, READ_ONLY], ids=["none", "read-only"])
def test_lc_25_and_starts_what_needs_none(run_with: Run, prefix):
    done = run_with(prefix, "-v", "/dev/shm:/there", "busybox", script="echo started")
    assert done.stdout == "started\n", done.stderr


# A cgroup as docker's containers have it, but for ptmx; in it a cgroup namespace, in which the hierarchy can be written.
_OUTER = """
    mkdir $0 && echo a >$0/devices.deny
    for rule in 'c *:* m' 'b *:* m' 'c 1:3 rwm' 'c 1:5 rwm' 'c 1:7 rwm' 'c 1:8 rwm' 'c 1:9 rwm' 'c 5:0 rwm' 'c 136:* rwm'; do
        echo "$rule" >$0/devices.allow
    done
    echo 0 >$0/tasks
    exec unshare -C -m sh -c '
        cd /sys/fs/cgroup; umount devices && mount -t cgroup -o devices x devices && cd "$OLDPWD" && exec "$@"
    ' sh "$@"
"""


@pytest.mark.skipif("v1" not in ways(), reason="only cgroup v1 tells what the cgroup above allows")
def test_lc_25_in_a_cgroup_that_allows_less_only_what_was_asked_for_is_missed(run_with: Run):
    outer = f"/sys/fs/cgroup/devices/outer-{os.getpid()}"
    prefix = ["sh", "-c", _OUTER, outer]
    try:
        done = run_with(prefix, "--cap-add", "MKNOD", "busybox", script="try '>' /dev/null; mknod /x c 5 2; try '<' /x")
        assert done.stdout.splitlines() == [">/dev/null open", f"</x {DENIED}"], done.stderr
    finally:
        assert cgroupfs.remove(outer)
    try:
        done = run_with(prefix, "--device-cgroup-rule", "c 10:229 rw", "busybox", script="echo started")
        assert (done.returncode, done.stdout) == (125, ""), done.stderr
        assert "--device-cgroup-rule: takes device rules" in done.stderr and done.stderr.count("\n") == 1
    finally:
        assert cgroupfs.remove(outer)


def test_lc_25_without_the_capability_for_rules_it_is_refused(run_with: Run, prefix):
    """Root may make directories of cgroups without any capability, but nothing that confines."""
    script = """if True:
        import os, pyrt.cgroupfs, pyrt.errors
        from pyrt.runtime import cgroup, device_rules
        place = cgroup.find(f"test-{os.getpid()}", "a test", devices=True)
        try:
            cgroup.make(place, device_rules.DEFAULT)
        except pyrt.errors.Unsupported as error:
            print(error)
        print(pyrt.cgroupfs.remove(place.path))
    """
    dropped = "-sys_admin,-net_admin,-bpf"
    command = [*prefix, "setpriv", "--bounding-set", dropped, "--inh-caps", dropped, sys.executable, "-c", script]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    refusal, gone = done.stdout.splitlines()
    assert refusal.startswith("a test: takes device rules") and refusal.endswith(DENIED), done.stderr
    assert gone == "True"


def test_st_32_a_killed_owner_leaves_a_cgroup_that_the_next_start_removes(run_with: Run, store, store_root: Path, prefix):
    words = ["run", "--rm", "--cap-add", "MKNOD", "busybox", "sh", "-c", "echo ready; sleep 300"]
    with subprocess.Popen([*prefix, *pyrt(store_root), *words], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == "ready\n"
        (record,) = store.containers.list()
        (path,) = record.cgroups
        assert os.path.basename(path) == record.id and os.path.isdir(path)
        os.kill(owner.pid, signal.SIGKILL)
    assert os.path.isdir(path)
    assert run_with([], "busybox", script="echo next").stdout == "next\n"
    assert not os.path.exists(path)


def test_a_container_that_stays_has_no_cgroup_when_it_has_ended(store, store_root: Path, prefix):
    words = ["--device", "/dev/null:/dev/x:r", "--device-cgroup-rule", "c 42:* rw", "busybox", "true"]
    command = [*prefix, *pyrt(store_root), "run", "--name", "stays", *words]
    subprocess.run(command, cwd=REPOSITORY, check=True, timeout=60)
    (record,) = store.containers.list()
    assert record.cgroups and not any(map(os.path.exists, record.cgroups))
    assert {"allow": True, "type": "c", "major": 42, "access": "rw"} in record.spec["linux"]["resources"]["devices"]
    assert record.confinement["Devices"] == [
        {"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}
    ]
    assert record.confinement["DeviceCgroupRules"] == ["c 42:* rw"]
    subprocess.run([*pyrt(store_root), "rm", "stays"], cwd=REPOSITORY, check=True, timeout=60)


def test_removing_a_container_ends_what_still_runs_in_its_cgroup(store, store_root: Path, prefix):
    """The pid namespace's end takes everything along, but a process that joined later from outside."""
    words = ["run", "--name", "gone", "--cap-add", "MKNOD", "busybox", "sh", "-c", "echo ready; sleep 300"]
    with subprocess.Popen([*prefix, *pyrt(store_root), *words], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == "ready\n"
        (record,) = store.containers.list()
        (path,) = record.cgroups
        join = f"echo 0 >{path}/cgroup.procs && exec sleep 300"
        with subprocess.Popen(["sh", "-c", join]) as stranger:
            while str(stranger.pid) not in Path(path, "cgroup.procs").read_text().split():
                time.sleep(0.01)
            os.kill(owner.pid, signal.SIGKILL)
            owner.wait()
            subprocess.run([*pyrt(store_root), "rm", "gone"], cwd=REPOSITORY, check=True, timeout=60)
            assert stranger.wait(10) == -signal.SIGKILL
    assert not os.path.exists(path)
