"""Defaults and options of a container, as data: from a request to a spec and a plan, without a kernel."""

from __future__ import annotations

import json

import pytest

from pyrt.errors import PrivilegeError, Unsupported, UsageError
from pyrt.oci.image import ImageConfig
from pyrt.request import Device, DeviceRule, Mount, RunRequest, Ulimit
from pyrt.runtime import bundle, capabilities, compile, etcfiles, rlimits, signals
from pyrt.runtime.users import Account

ROOT = Account(uid=0, gid=0, groups=(0,), home="/root")
EVERYTHING = (1 << 41) - 1
PLACE = bundle.Surroundings(
    hostname="host", root_path="/r", etc_files=(("/etc/hosts", "/c/etc/hosts"),), volumes=(), held=EVERYTHING
)
PLACEMENT = compile.Placement(directory="/c", memory=0, files=(("etc/hosts", "x"),), last_capability=40)


def image(**config: object) -> ImageConfig:
    document = {"architecture": "amd64", "os": "linux", "config": config, "rootfs": {"type": "layers", "diff_ids": []}}
    return ImageConfig.parse(json.dumps(document).encode())


def spec(config: ImageConfig | None = None, account: Account = ROOT, place: bundle.Surroundings = PLACE, **request: object):  # type: ignore[no-untyped-def]
    return bundle.make(RunRequest(**{"argv": ("true",), **request}), config, account, place)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "asked_entrypoint", "argv", "expected"),
    [
        (None, ["c"], None, (), ("c",)),
        (["e"], ["c"], None, (), ("e", "c")),
        (["e"], ["c"], None, ("a", "b"), ("e", "a", "b")),
        (["e"], ["c"], ("x",), (), ("x",)),
        (["e"], ["c"], ("x",), ("a",), ("x", "a")),
        (["e"], ["c"], (), ("a",), ("a",)),
        (None, None, None, ("a",), ("a",)),
    ],
)
def test_entrypoint_and_command_as_docker_has_them(entrypoint, cmd, asked_entrypoint, argv, expected):
    request = RunRequest(argv=argv, entrypoint=asked_entrypoint)
    assert bundle.arguments(request, image(Entrypoint=entrypoint, Cmd=cmd)) == expected


@pytest.mark.parametrize("argv", [(), ("",), ("a\0b",)])
def test_commands_that_cannot_be(argv):
    with pytest.raises(UsageError):
        bundle.arguments(RunRequest(argv=argv), image())


def test_id_13_environment_in_dockers_order():
    request = RunRequest(env=(("B", "mine"), ("C", "")), tty=True)
    env = bundle.environment(request, image(Env=["A=1", "B=2", "PATH=/x", "NOVALUE"]), ROOT, "h")
    assert env == ("PATH=/x", "HOSTNAME=h", "TERM=xterm", "A=1", "B=mine", "NOVALUE=", "C=", "HOME=/root")


def test_mounts_in_their_order_and_the_callers_win():
    mounts = (
        Mount(kind="bind", source="/s", target="/a/b/c"),
        Mount(kind="tmpfs", target="/dev/shm", size=5),
        Mount(kind="bind", source="/h", target="/etc/hosts"),
        Mount(kind="bind", source="/s", target="/a"),
    )
    made = [(m.destination, m.type) for m in spec(mounts=mounts).mounts]
    assert made == [
        ("/proc", "proc"), ("/dev", "tmpfs"), ("/dev/pts", "devpts"), ("/dev/mqueue", "mqueue"), ("/sys", "sysfs"),
        ("/sys/fs/cgroup", "cgroup2"), ("/a", "bind"), ("/dev/shm", "tmpfs"), ("/etc/hosts", "bind"), ("/a/b/c", "bind"),
    ]  # fmt: skip


def made_on_dev() -> tuple[Mount, ...]:
    return (Mount(kind="bind", source="/dev", target="/dev"),)


def test_a_dev_of_the_callers_own_gets_no_nodes():
    made = spec(mounts=made_on_dev())
    plan = compile.plan(made, compile.PlainRoot(path="/r"), PLACEMENT)
    assert [op.kind for op in plan.ops if op.kind in ("node", "symlink")] == []
    with pytest.raises(Unsupported, match="-t"):
        compile.plan(spec(mounts=made_on_dev(), tty=True), compile.PlainRoot(path="/r"), PLACEMENT)


@pytest.mark.parametrize("target", ["/", "/proc", "/proc/1", "/x/../proc", "//proc//sys", "/proc/cpuinfo/../sys"])
def test_forbidden_targets(target):
    with pytest.raises(UsageError):
        spec(mounts=(Mount(kind="bind", source="/s", target=target),))


def test_lxcfs_files_are_allowed_on_proc():
    made = spec(mounts=(Mount(kind="bind", source="/s", target="/proc/cpuinfo"),))
    plan = compile.plan(made, compile.PlainRoot(path="/r"), PLACEMENT)
    assert any(op.target == "/proc/cpuinfo" and "on_proc" in op.flags for op in plan.ops)


def test_volumes_of_the_image():
    config = image(Volumes={"/data": {}, "/other/": {}})
    mounts = (Mount(kind="bind", source="/s", target="/other"),)
    made = [(m.destination, m.type) for m in spec(config, mounts=mounts).mounts]
    assert [mount for mount in made if mount[0] in ("/other", "/data")] == [("/other", "bind"), ("/data", "volume")]
    writable = compile.plan(spec(config, mounts=mounts), compile.PlainRoot(path="/r"), PLACEMENT)
    assert [op.kind for op in writable.ops if op.target == "/data"] == ["mkdir"]
    closed = compile.plan(spec(config, mounts=mounts, read_only=True), compile.PlainRoot(path="/r"), PLACEMENT)
    assert [op.kind for op in closed.ops if op.target == "/data"] == ["volume"]


def test_order_of_operations():
    made = spec(sysctls=(("kernel.msgmax", "1"),), read_only=True, network="none", workdir="/w", tty=True)
    plan = compile.plan(made, compile.OverlayRoot(layers=("/l1", "/l0"), volatile=True), PLACEMENT)
    kinds = [op.kind for op in plan.ops]
    assert kinds[0] == "private" and kinds[-2:] == ["remount_root", "pivot"]
    order = ["scratch_file", "overlay", "mount", "node", "bind", "sysctl", "mask", "readonly", "console", "mkdir"]
    order.append("remount_root")
    positions = [kinds.index(kind) for kind in order]
    assert positions == sorted(positions)
    assert kinds.index("sysctl") < kinds.index("readonly"), "/proc/sys is closed after it has been written"
    assert plan.ops[kinds.index("overlay")].source == "/l1\0/l0\0"


@pytest.mark.parametrize(
    ("where", "beginning"),
    [
        ({"joins": ("/c1/tasks",)}, ["join", "cgroup_namespace", "private"]),
        ({"cgroup": "/c2"}, ["cgroup_namespace", "private"]),
        ({}, ["private"]),
    ],
)
def test_ct_53_a_cgroup_is_joined_before_its_namespace_is_made(where, beginning):
    placement = compile.Placement(directory="/c", memory=0, files=(), last_capability=40, **where)
    plan = compile.plan(spec(cap_add=("MKNOD",)), compile.OverlayRoot(layers=("/l",)), placement)
    assert [op.kind for op in plan.ops][: len(beginning)] == beginning
    assert ("cgroup" in plan.namespaces) == (not where) and plan.cgroup == where.get("cgroup", "")
    shared = compile.plan(spec(cgroupns="host"), compile.OverlayRoot(layers=("/l",)), placement)
    assert "cgroup_namespace" not in [op.kind for op in shared.ops] and "cgroup" not in shared.namespaces


def test_ct_31_mount_flags_or_rules_stand_before_a_node():
    def closed(**request: object) -> set[bool]:
        made = spec(mounts=(Mount(kind="bind", source="/s", target="/d"),), **request)
        plan = compile.plan(made, compile.OverlayRoot(layers=("/l",)), PLACEMENT)
        root = next(op for op in plan.ops if op.kind == "overlay")
        bind = next(op for op in plan.ops if op.target == "/d")
        return {bool(root.mount_flags & compile.MS_NODEV), "nodev" in bind.flags, not made.device_rules}

    assert closed() == {True}
    assert closed(cap_add=("MKNOD",)) == {False}
    assert closed(device_rules=(DeviceRule(kind="c", major=1, minor=1),)) == {False}
    assert closed(cap_add=("ALL",), cap_drop=("MKNOD",)) == {True}
    assert closed(privileged=True) == {False, True}, "with neither"


def test_memory_scratch_is_the_first_mount():
    placement = compile.Placement(directory="/c", memory=123, files=(), last_capability=40)
    plan = compile.plan(spec(), compile.OverlayRoot(layers=("/l",)), placement)
    assert [op.kind for op in plan.ops[:2]] == ["private", "scratch"]
    assert plan.ops[1].data == "mode=700,size=123"


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        ((), (), capabilities.bits(capabilities.DEFAULT)),
        ((), ("ALL",), 0),
        (("NET_RAW",), ("all",), 1 << 13),
        (("ALL",), (), EVERYTHING),
        (("ALL",), ("SYS_ADMIN",), EVERYTHING & ~(1 << 21)),
        ((), ("cap_chown",), capabilities.bits(capabilities.DEFAULT) & ~1),
        (("CHOWN",), ("CHOWN",), capabilities.bits(capabilities.DEFAULT)),
    ],
)
def test_ct_34_capability_flags(add, drop, expected):
    assert capabilities.effective(add, drop, held=EVERYTHING) == expected


def test_ct_34_what_we_do_not_hold():
    held = EVERYTHING & ~(1 << 24) & ~1
    assert capabilities.effective((), (), held=held) & 1 == 0  # a default one: dropped without a word
    with pytest.raises(PrivilegeError, match="SYS_RESOURCE"):
        capabilities.effective(("SYS_RESOURCE",), (), held=held)
    with pytest.raises(UsageError, match="NOPE"):
        capabilities.effective((), ("NOPE",), held=held)


def test_capability_names_are_the_kernels():
    from pathlib import Path

    header = Path("/usr/include/linux/capability.h")
    if not header.exists():
        from tests.support.parts import missing

        missing("the kernel's headers are not installed")
    import re

    known = dict(re.findall(r"^#define CAP_([A-Z_]+)\s+(\d+)$", header.read_text(), re.M))
    assert {name: str(number) for number, name in enumerate(capabilities.NAMES)} == {
        name: number for name, number in known.items() if name != "LAST_CAP"
    }


@pytest.mark.parametrize(
    ("text", "number"),
    [("TERM", 15), ("SIGKILL", 9), ("2", 2), ("sigint", 2), ("RTMIN+3", 37), ("SIGRTMAX-1", 63), ("64", 64)],
)
def test_signals(text, number):
    assert signals.parse(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "TERMX", "SIG", "RTMIN+99", "-1", "_BLOCK", "RTMIN+", "15 x"])
def test_signals_that_are_none(text):
    with pytest.raises(UsageError):
        signals.parse(text)


def test_rlimits():
    import resource

    for name, number in rlimits.NUMBERS.items():
        assert getattr(resource, f"RLIMIT_{name.upper()}", number) == number
    assert rlimits.value(-1) == 2**64 - 1
    with pytest.raises(UsageError):
        rlimits.number("nonsense")


def test_resolv_conf():
    host = "# made by x\nnameserver 10.0.0.1\nsearch a b\noptions ndots:2\n"
    assert etcfiles.resolv_conf(host) == host
    assert etcfiles.resolv_conf(host, ("192.0.2.1",)) == "# made by x\nsearch a b\noptions ndots:2\nnameserver 192.0.2.1\n"
    assert "search" not in etcfiles.resolv_conf(host, (), (".",))
    assert etcfiles.resolv_conf(host, (), ("c",), ("rotate",)).splitlines()[-2:] == ["search c", "options rotate"]


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a\nb", "x" * 65, "ä", "a/b"])
def test_hostnames_that_are_none(name):
    with pytest.raises(UsageError):
        etcfiles.check_hostname(name)


def test_devices_below_dev_only():
    with pytest.raises(UsageError, match="/elsewhere"):
        spec(devices=(Device(source="/dev/null", target="/elsewhere"),))
    made = spec(devices=(Device(source="/dev/null", target="/dev/nothing"),)).devices
    assert made[-1].path == "/dev/nothing" and (made[-1].major, made[-1].minor) == (1, 3)


def test_candidates_are_execvps():
    assert compile.candidates("a", ("PATH=/x:/y",)) == ("/x/a", "/y/a")
    assert compile.candidates("./a", ("PATH=/x",)) == ("./a",)
    assert compile.candidates("a", ("PATH=:/y",)) == ("./a", "/y/a")
    assert compile.candidates("a", ()) == ("a",)


def test_our_files_lie_on_an_etc_of_the_callers():
    made = [m.destination for m in spec(mounts=(Mount(kind="bind", source="/s", target="/etc"),)).mounts]
    assert made.index("/etc") < made.index("/etc/hosts")


@pytest.mark.parametrize(
    "request_",
    [
        RunRequest(network="bridge"),
        RunRequest(pull="sometimes"),
        RunRequest(argv=("a\udc00\ud800",)),
        RunRequest(env=(("A", "\ud800"),)),
        RunRequest(workdir="/a\0b"),
        RunRequest(mounts=(Mount(kind="frob", source="/s", target="/t"),)),
        RunRequest(mounts=(Mount(kind="bind", source="s", target="/t"),)),
        RunRequest(mounts=(Mount(kind="bind", source="/s", target="t"),)),
        RunRequest(mounts=(Mount(kind="bind", source="/s", target="/t\0/proc"),)),
        RunRequest(mounts=(Mount(kind="bind", source="/s", target="/t", propagation="rshared"),)),
        RunRequest(mounts=(Mount(kind="bind", source="/s", target="/t", propagation="nonsense"),)),
        RunRequest(devices=(Device(source="/dev/null", target="/dev/x", permissions="x"),)),
        RunRequest(devices=(Device(source="/dev/null", target="/dev/x", permissions=""),)),
        RunRequest(device_rules=(DeviceRule(kind="d", major=1, minor=1),)),
        RunRequest(device_rules=(DeviceRule(kind="c", major=4096, minor=1),)),
        RunRequest(device_rules=(DeviceRule(kind="c", major=-1, minor=1),)),
        RunRequest(device_rules=(DeviceRule(kind="c", major=1, minor=1 << 20),)),
        RunRequest(device_rules=(DeviceRule(kind="c", major=1, minor=1, permissions=""),)),
    ],
)
def test_requests_that_cannot_be(request_):
    with pytest.raises(UsageError):
        bundle.check(request_)


def test_a_request_with_bytes_that_are_no_utf_8_can_be():
    bundle.check(RunRequest(argv=("\udcff",), env=(("A", "\udc80"),), workdir="/\udcfe"))


def test_the_hosts_namespaces_are_the_ones_that_were_asked_for():
    assert spec().namespaces == ("pid", "mount", "uts", "ipc", "cgroup")
    assert spec(network="none", pid="host", uts="host", ipc="host", cgroupns="host").namespaces == ("mount", "network")
    hosts = compile.plan(spec(uts="host"), compile.PlainRoot(path="/r"), PLACEMENT)
    assert not any(op.kind == "hostname" for op in hosts.ops), "the host's name is not the container's to set"
    shm = next(mount for mount in spec(ipc="host").mounts if mount.destination == "/dev/shm")
    assert (shm.type, shm.source, "nodev" in shm.options) == ("bind", "/dev/shm", True)


@pytest.mark.parametrize(
    "wrong",
    [{"pid": "container:x"}, {"uts": "other"}, {"uts": "host", "hostname": "h"}, {"uts": "host", "domainname": "d"},
     {"userns": "auto"}],
    ids=str,
)  # fmt: skip
def test_namespaces_that_cannot_be(wrong):
    with pytest.raises((UsageError, Unsupported)):
        bundle.check(RunRequest(argv=("true",), **wrong))


def test_ct_55_a_sysctl_of_the_hosts_ipc_namespace_is_the_hosts():
    assert spec(sysctls=(("kernel.msgmax", "1"),)).sysctl
    with pytest.raises(UsageError, match="not one of the container's own"):
        spec(sysctls=(("kernel.msgmax", "1"),), ipc="host")


def test_paths_are_opened_and_hidden_by_name_and_pattern():
    plain = spec()
    opened = spec(unmask=("/proc/*", "/sys/firmware/"))
    now_open = {*plain.masked_paths} - {*opened.masked_paths}
    assert now_open == {path for path in bundle.MASKED if path.startswith("/proc/") or path == "/sys/firmware"}
    assert opened.readonly_paths == ()
    assert spec(unmask=("ALL",)).masked_paths == ()
    assert spec(mask=("/etc/secret", "/proc/kcore")).masked_paths == (*plain.masked_paths, "/etc/secret")
    assert spec(privileged=True, mask=("/etc/secret",)).masked_paths == ("/etc/secret",)


def test_nodes_open_only_where_the_container_may_make_some():
    def root(**request: object) -> tuple[object, ...]:
        made = compile.plan(spec(**request), compile.PlainRoot(path="/r"), PLACEMENT)
        return next(op.flags for op in made.ops if op.kind == "root")

    bind = Mount(kind="bind", source="/s", target="/t")
    assert "nodev" in root() and "nodev" in spec(mounts=(bind,)).mounts[-2].options
    assert "nodev" not in root(privileged=True)
    assert "nodev" not in root(cap_add=("MKNOD",))


def test_the_callers_limits_have_a_ceiling_unless_one_is_asked_for():
    made = compile.plan(spec(ulimits=(Ulimit(name="nofile", soft=5, hard=6),)), compile.PlainRoot(path="/r"), PLACEMENT)
    limits = {limit.resource: limit for limit in made.program.limits}
    assert (limits[7].soft, limits[7].hard, limits[7].at_most) == (5, 6, False)
    assert (limits[6].soft, limits[6].hard, limits[6].at_most) == (1 << 20, 1 << 20, True)
