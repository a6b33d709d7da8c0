"""Files of the kernel in /proc and /sys, sysctls, core dumps: what is hidden is hidden, what can be read cannot be written."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrt.container_run import run
from pyrt.errors import StartError, UsageError
from pyrt.request import Ulimit
from pyrt.runtime.bundle import IPC_SYSCTLS, MASKED, READ_ONLY
from tests.support.parts import missing

CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")


@pytest.mark.parametrize("options", [(), ("--user", "1000"), ("--read-only",), ("--cap-drop", "ALL"), ("-t",)], ids=str)
def test_ct_17_ct_58_no_file_of_the_kernel_opens_for_writing(probe, options):
    """Every file below /proc/sys, irq, bus and fs and below /sys, and the known knobs one by one."""
    found = probe(*options, sections=("paths",))
    for directory, (*_names, openable, seen) in found["writable"].items():
        assert openable == 0, (directory, _names)
        assert seen > 0 or not any(Path(directory).rglob("*")) or directory == "/proc/fs", directory
    for path in (*MASKED, *READ_ONLY):
        state = found["paths"].get(path)
        assert state is not None, f"{path}: the prober does not look at it"
        if "missing" not in state:
            assert state.get("write", 30) != 0 or state.get("null"), (path, state)
            assert state.get("create", 30) in (2, 13, 30), (path, state)


def test_ct_17_unmask_opens_what_it_names_and_no_more(probe):
    """The twin: what is asked for works."""
    found = probe("--security-opt", "unmask=/proc/sys", "--security-opt", "unmask=/sys/firmware", sections=("paths",))
    assert found["paths"]["/proc/sys/vm/overcommit_memory"]["write"] == 0
    assert found["paths"]["/proc/keys"]["null"] == 1 and found["writable"]["/proc/irq"][-2] == 0


def test_ct_58_knobs_of_the_host_are_absent_or_closed(probe):
    found = probe(sections=("paths",))["paths"]
    knobs = ("/sys/kernel/uevent_helper", "/sys/power/state", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
             "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger")  # fmt: skip
    for path in knobs:
        assert "missing" in found[path] or found[path]["write"] in (1, 13, 30), (path, found[path])
    for path in ("/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security", "/sys/fs/bpf", "/proc/sys/fs/binfmt_misc"):
        assert "missing" in found[path] or (found[path]["entries"] == 0 and found[path]["create"] != 0), (path, found[path])


OF_THE_MACHINE = (
    "kernel.core_pattern", "kernel/../x", "../kernel.core_pattern", "kernel.modprobe", "vm.swappiness", "net.ipv4.ip_forward",
    "kernel.hostname", "kernel..sem", "", ".", "kernel/sem", "fs.mqueuex.y",
)  # fmt: skip


@pytest.mark.parametrize("name", OF_THE_MACHINE)
def test_ct_55_sysctls_of_the_machine_are_refused(store, name):
    with pytest.raises(UsageError, match="sysctl"):
        run("busybox", ["true"], sysctls={name: "1"}, store=store)


@pytest.mark.parametrize("value", ["1\n", "1\nkernel.core_pattern=x", "1\0", "1\t2", "\x1b[2J"])
def test_ct_55_one_value_is_one_line(store, value):
    with pytest.raises(UsageError, match="sysctl"):
        run("busybox", ["true"], sysctls={"kernel.shm_rmid_forced": value}, store=store)


def test_ct_55_a_value_with_another_setting_in_it_is_only_a_value(store):
    """CVE-2022-0811: the kernel gets it as it is, and refuses it."""
    before = CORE_PATTERN.read_text()
    with pytest.raises(StartError, match="shm_rmid_forced"):
        run("busybox", ["true"], sysctls={"kernel.shm_rmid_forced": "1+kernel.core_pattern=/x"}, store=store)
    assert CORE_PATTERN.read_text() == before


def test_bn_20_sysctls_of_its_own_namespaces(store):
    values = {"kernel.shm_rmid_forced": "1", "kernel.msgmax": "9000", "fs.mqueue.msg_max": "20", "net.ipv4.ip_forward": "1"}
    script = (
        "cat /proc/sys/kernel/shm_rmid_forced /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max /proc/sys/net/ipv4/ip_forward"
    )
    result = run("busybox", ["sh", "-c", script], sysctls=values, network="none", store=store)
    assert result.stdout.split() == [b"1", b"9000", b"20", b"1"]
    assert "kernel.sem" in IPC_SYSCTLS


def test_ct_26_sysctls_are_written_through_a_procfs_of_no_place(store, tmp_path, security_root):
    """A root of the caller's that is full of things in the place of /proc, below the procfs that is mounted there: the values
    land where they belong, and nothing is written that way before there is a root at all."""
    root = tmp_path / "root"
    for name in ("bin", "proc/sys/kernel", "dev", "sys"):
        (root / name).mkdir(parents=True)
    (root / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (root / "bin/busybox").chmod(0o755)
    decoy = tmp_path / "decoy"
    decoy.write_text("untouched")
    (root / "proc/sys/kernel/shm_rmid_forced").symlink_to(decoy)
    argv = ["/bin/busybox", "cat", "/proc/sys/kernel/shm_rmid_forced"]
    result = run("", argv, rootfs=str(root), sysctls={"kernel.shm_rmid_forced": "1"}, store=store)
    assert result.stdout == b"1\n" and decoy.read_text() == "untouched"


@pytest.fixture
def core_helper(tmp_path: Path) -> Iterator[Path]:
    """A pipe helper in kernel.core_pattern that tells whom it was started for; what was there is put back."""
    before = CORE_PATTERN.read_text()
    log = tmp_path / "dumps"
    helper = tmp_path / "helper"
    helper.write_text(f"#!/bin/sh\necho dumped $1 >> {log}\ncat >/dev/null\n")
    helper.chmod(0o755)
    try:
        CORE_PATTERN.write_text(f"|{helper} %e")
    except OSError:
        missing("kernel.core_pattern cannot be set here")
    try:
        yield log
    finally:
        CORE_PATTERN.write_text(before)


CRASH = "kill -SEGV $$"


def _dumps(log: Path, marker: str) -> list[str]:
    time.sleep(0.5)
    return [line for line in log.read_text().splitlines() if marker in line] if log.exists() else []


def test_ct_54_a_crash_does_not_start_the_hosts_helper(store, core_helper, tmp_path):
    """The helper runs as root in the host's namespaces, fed with bytes of the container's (core(5))."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    try:
        outside = subprocess.run(["sh", "-c", CRASH]).returncode
        assert outside == -11 and _dumps(core_helper, "dumped sh"), "the helper works: a crash outside starts it"
        core_helper.unlink()
        for argv in (["sh", "-c", CRASH], ["sh", "-c", "sh -c 'kill -SEGV $$'; true"]):
            run("busybox", argv, store=store)
            run("busybox", argv, init=True, user="1000", store=store)
        assert _dumps(core_helper, "dumped") == []
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@pytest.mark.parametrize(
    "script",
    ["ulimit -c 0; kill -SEGV $$", "ulimit -Sc 0; kill -ABRT $$", "(ulimit -c 0; kill -SEGV $$); sh -c 'kill -QUIT $$'"],
)
def test_ct_54_nor_does_one_that_lowers_its_limit_first(store, core_helper, script):
    """A limit of 0 means nothing to a pipe, only 1 keeps the helper away; so the limit cannot be changed in there."""
    run("busybox", ["sh", "-c", script], store=store)
    assert _dumps(core_helper, "dumped") == []


def test_ct_54_no_core_file_of_the_hosts(store, tmp_path, busybox):
    """With a plain pattern the kernel writes below the container's own root, and by default not even there."""
    before = CORE_PATTERN.read_text()
    place = tmp_path / "core-of-the-host"
    try:
        CORE_PATTERN.write_text(str(place))
        script = f"mkdir -p {tmp_path}; sh -c 'kill -SEGV $$'; ls {tmp_path}"
        assert busybox(script).stdout == b""
        assert not place.exists()
    finally:
        CORE_PATTERN.write_text(before)


def test_bn_15_a_core_limit_that_is_asked_for_is_given(store, tmp_path):
    before = CORE_PATTERN.read_text()
    try:
        CORE_PATTERN.write_text("/core")
        result = run(
            "busybox",
            ["sh", "-c", "sh -c 'kill -SEGV $$'; ls /core*"],
            ulimits=[Ulimit(name="core", soft=-1, hard=-1)],
            store=store,
        )
        assert result.stdout.startswith(b"/core")
    finally:
        CORE_PATTERN.write_text(before)


def test_bn_15_programs_that_switch_core_dumps_off_go_on(busybox):
    """gpg, ssh-agent and sudo do, and end where it fails."""
    assert busybox("ulimit -c 0 && ulimit -Hc 0 && ulimit -n 64 && ulimit -c && ulimit -n").stdout.split() == [b"0", b"64"]


def test_ct_58_the_host_is_as_it_was(busybox):
    """Every knob that a container's root finds, poked at."""
    watched = [
        CORE_PATTERN,
        Path("/proc/sys/vm/overcommit_memory"),
        Path("/proc/sys/kernel/hostname"),
        Path("/proc/sys/fs/file-max"),
    ]
    before = [path.read_text() for path in watched]
    script = """
        for f in $(find /proc/sys /sys/kernel /sys/module /sys/power /sys/class -type f 2>/dev/null | head -4000); do
            (echo 1 > $f) 2>/dev/null && echo "wrote $f"
        done; true"""
    assert busybox(script).stdout == b""
    assert [path.read_text() for path in watched] == before
