"""A thousand runs leave nothing: no fd, mount, process, namespace or file; and every native function of the launch."""

from __future__ import annotations

import os

import pytest

from pyrt._native import device_filter, landlock, launch, tree_digest
from pyrt.container_run import run
from pyrt.errors import PyrtError
from pyrt.plan import Op, Plan, Program
from pyrt.runtime import device_rules
from tests.support.leaks import assert_nothing_new, snapshot


def test_lc_16_lc_24_a_thousand_runs(store, store_root):
    run("busybox", ["true"], store=store)
    before = snapshot(store_root)
    memory = _resident()
    for number in range(1000):
        code = number % 256
        assert run("busybox", ["sh", "-c", f"exit {code}"], store=store).returncode == code
    assert_nothing_new(before, store_root)
    assert _resident() - memory < 8 << 20


def test_lc_19_twenty_ways_to_fail(store, store_root, tmp_path):
    """A start that fails is as if it had never been tried (runtime-spec, runtime.md, Errors)."""
    from pyrt.request import Device, DeviceRule, Mount, Ulimit

    (tmp_path / "file").write_text("")
    ways = [
        {"argv": ["nosuch"]},
        {"argv": ["/etc"]},
        {"user": "nobody-here"},
        {"user": "0:nogroup-here"},
        {"user": "4294967295"},
        {"workdir": "/etc/passwd"},
        {"workdir": "/etc/passwd/below"},
        {"workdir": "relative"},
        {"hostname": "-bad"},
        {"hostname": "x" * 65},
        {"cap_add": ["NOPE"]},
        {"group_add": ["nogroup-here"]},
        {"mounts": [Mount(kind="bind", source="/not/there", target="/x")]},
        {"mounts": [Mount(kind="bind", source=str(tmp_path), target="/etc/passwd")]},
        {"mounts": [Mount(kind="bind", source=str(tmp_path / "file"), target="/etc")]},
        {"mounts": [Mount(kind="tmpfs", target="/x", options=("nonsense=1",))]},
        {"mounts": [Mount(kind="tmpfs", target="/etc/passwd")]},
        {"mounts": [Mount(kind="tmpfs", target="/x"), Mount(kind="tmpfs", target="/x/")]},
        {"devices": [Device(source="/dev/not-there", target="/dev/x")]},
        {"devices": [Device(source="/dev/null", target="/elsewhere")]},
        {"devices": [Device(source="/dev/null", target="/dev/x", permissions="r")], "argv": ["nosuch"]},
        {"device_rules": [DeviceRule(kind="c", major=5000, minor=None)]},
        {"cap_add": ["MKNOD"], "argv": ["/etc"]},
        {"cap_add": ["MKNOD"], "mounts": [Mount(kind="bind", source="/dev", target="/etc/passwd")]},
        {"ulimits": [Ulimit(name="nofile", soft=20, hard=10)]},
        {"sysctls": {"kernel.msgmax": "not a number"}},
        {"sysctls": {"kernel.nosuchthing": "1"}},
        {"env": {"A=B": "c"}},
        {"env": {"A": "b\0c"}},
        {"argv": ["true", "x" * (3 << 20)]},
    ]
    before = snapshot(store_root)
    for way in ways:
        with pytest.raises(PyrtError) as caught:
            run("busybox", **{"argv": ["true"], "store": store, **way})  # type: ignore[arg-type]
        assert "\n" not in str(caught.value), way
        assert os.listdir(store.layout.containers) == [], way
    assert_nothing_new(before, store_root)


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _program(*argv: str) -> Program:
    return Program(
        argv=argv, env=(), candidates=(argv[0],), workdir="/", uid=0, gid=0, groups=(0,), bounding=0, permitted=0,
        last_capability=40,
    )  # fmt: skip


def test_lc_21_native_functions_leave_no_fd(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"content")
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(50):
        os.close(launch.sealed_memfd("name", b"content"))
        os.close(device_filter.load(device_rules.program(device_rules.DEFAULT)))
        with pytest.raises(OSError, match="Invalid argument|Permission denied"):
            device_filter.load(b"\0" * 8)
        with pytest.raises(OSError, match="Bad file descriptor"):
            device_filter.attach(-1, -1)
        assert tree_digest.tree_digest(root).entries == 3
        with pytest.raises(OSError, match="Bad file descriptor"):
            tree_digest.tree_digest(-1)
        assert tree_digest.xxh64(b"content")
        assert landlock.version() >= 0
        launch.payload(_program("/bin/true"))
        for ops in ([Op("private", mount_flags=0)], [Op("root", source="/not/there")], [Op("pivot")]):
            plan = Plan(ops=tuple(ops), namespaces=("mount", "pid"), newroot="/not/there", program=_program("/x"))
            with pytest.raises(PyrtError):
                launch.launch(plan, (0, 1, 2), launch.Started())
    assert sorted(os.listdir("/proc/self/fd")) == before
    os.close(root)


def test_sealed_memfd_cannot_be_changed():
    fd = launch.sealed_memfd("name", b"content")
    try:
        for change in (lambda: os.pwrite(fd, b"x", 0), lambda: os.ftruncate(fd, 1), lambda: os.ftruncate(fd, 100)):
            with pytest.raises(PermissionError):
                change()
        assert os.pread(fd, 100, 0) == b"content"
    finally:
        os.close(fd)


def test_every_native_function_is_in_a_leak_test():
    """A new function in the module fails here until a leak test calls it."""
    from pyrt._native._core import lib

    functions = {name for name in dir(lib) if name.startswith("pyrt_")}
    known = {"pyrt_launch", "pyrt_sealed_memfd", "pyrt_device_filter_load", "pyrt_device_filter_attach"}  # here
    known |= {"pyrt_tree_digest", "pyrt_xxh64"}
    known |= {"pyrt_landlock_version"}
    known |= {"pyrt_resolve", "pyrt_resolve_by_walk", "pyrt_private_umask", "pyrt_fail"}  # tests/unpack
    known |= {"pyrt_layer_new", "pyrt_layer_feed", "pyrt_layer_finish", "pyrt_layer_free"}
    known |= {f"pyrt_listing_{what}" for what in ("new", "feed", "skip", "finish", "free")}
    known |= {"pyrt_tree_digest", "pyrt_xxh64"}
    assert functions == known
