"""The plan of the rung "chroot", without a kernel: what is asked of the keeper, what is refused, what is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pyrt._native import landlock
from pyrt._native.launch import keeper_table
from pyrt.errors import PrivilegeError
from pyrt.host import CHROOT, Host
from pyrt.oci.spec import Spec
from pyrt.plan import Keeper, Plan, Served
from pyrt.request import Device, DeviceRule, Mount, RunRequest
from pyrt.runtime import barriers, bundle, compile, compile_chroot, notify_filter, syscall_numbers
from pyrt.runtime.users import Account
from pyrt.values import replace
from tests.support import bpf

CSRC = Path(__file__).parents[2] / "csrc"
ALLOW, ASK = 0x7FFF0000, 0x7FC00000
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def spec_of(request: RunRequest) -> Spec:
    etc = tuple((f"/etc/{name}", f"/c/etc/{name}") for name in ("hostname", "hosts", "resolv.conf"))
    place = bundle.Surroundings(hostname="h", root_path="/c/root", etc_files=etc, volumes=(), held=(1 << 41) - 1)
    account = Account(uid=0, gid=0, groups=(0,), home="/root")
    spec = bundle.make(compile_chroot.fitted(request), None, account, place)
    return compile_chroot.without_namespaces(spec)


def plan_of(request: RunRequest, *, copied: bool = True, nodes: bool = True) -> Plan:
    files = tuple((f"etc/{name}", f"{name} text") for name in ("hostname", "hosts", "resolv.conf"))
    placement = compile.Placement(directory="/c", memory=0, files=files, last_capability=40)
    place = compile_chroot.Place(root="/c/root", copied=copied, nodes=nodes, landlock=True, machine="x86_64")
    return compile_chroot.plan(spec_of(request), placement, place)


def served(plan: Plan) -> dict[str, Served]:
    assert plan.keeper is not None
    return {one.target: one for one in plan.keeper.places}


def test_the_table_of_calls_is_the_filters():
    text = (CSRC / "keeper_calls.c").read_text()
    assert set(re.findall(r"\{__NR_(\w+),", text)) == set(notify_filter.ASKED)


@pytest.mark.parametrize("machine", AUDIT)
def test_the_filter_asks_about_paths_and_nothing_else(machine: str):
    filter = bpf.Filter(notify_filter.compiled(machine))
    for name, number in syscall_numbers.numbers(machine).items():
        wanted = ASK if name in notify_filter.ASKED else ALLOW
        assert filter.answer(number, (3,), AUDIT[machine]) == wanted, name


def test_a_call_about_an_fd_is_not_asked_about():
    filter, number = bpf.Filter(notify_filter.compiled("x86_64")), syscall_numbers.numbers("x86_64")
    for name, index in (("newfstatat", 3), ("statx", 2), ("faccessat2", 3), ("execveat", 4)):
        flags = [0] * 6
        flags[index] = 0x1000
        assert filter.answer(number[name], (5, *flags[1:])) == ALLOW
        assert filter.answer(number[name], (0xFFFFFF9C, *flags[1:])) == ASK


def test_programs_of_another_abi_are_not_asked_about():
    assert bpf.Filter(notify_filter.compiled("x86_64")).answer(5, (), bpf.I386) == ALLOW


@pytest.mark.parametrize(
    ("request_", "option"),
    [
        (RunRequest(network="none"), "--network none"),
        (RunRequest(read_only=True), "--read-only"),
        (RunRequest(pid="private"), "--pid private"),
        (RunRequest(ipc="private"), "--ipc private"),
        (RunRequest(uts="private"), "--uts private"),
        (RunRequest(cgroupns="private"), "--cgroupns private"),
        (RunRequest(hostname="x"), "--hostname"),
        (RunRequest(domainname="x"), "--domainname"),
        (RunRequest(sysctls=(("net.x", "1"),)), "--sysctl"),
        (RunRequest(mounts=(Mount(kind="tmpfs", source="", target="/t"),)), "--tmpfs"),
        (RunRequest(device_rules=(DeviceRule(kind="c", major=1, minor=3, permissions="r"),)), "--device-cgroup-rule"),
        (RunRequest(devices=(Device(source="/dev/null", target="/dev/null", permissions="r"),)), "--device with less than rw"),
        (RunRequest(cap_add=("mknod",)), "--cap-add MKNOD"),
        (RunRequest(mask=("/etc",)), "--security-opt mask"),
        (RunRequest(label=("type:x_t",)), "--security-opt label"),
        (RunRequest(apparmor="mine"), "--security-opt apparmor=mine"),
        (RunRequest(scratch="memory"), "--scratch memory"),
        (RunRequest(shm_size=1 << 20), "--shm-size"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_takes_namespaces_or_mounts_is_refused_by_name(request_: RunRequest, option: str):
    with pytest.raises(PrivilegeError, match=f"^{re.escape(option)}: not to be had in a chroot"):
        compile_chroot.refuse(request_)


def test_what_a_chroot_can_give_is_not_refused():
    device = Device(source="/dev/null", target="/dev/other", permissions="rwm")
    compile_chroot.refuse(RunRequest(cap_drop=("ALL",), privileged=True, pid="host", init=True, tty=True, devices=(device,)))


def test_what_is_said_is_what_is_there():
    host = replace(Host.probe(), rung=CHROOT)
    isolation = barriers.of(spec_of(RunRequest(argv=("true",))), host)
    assert isolation.rung == CHROOT and isolation["no_new_privs"].on and isolation["seccomp"].on and isolation["devices"].on
    for name in ("pid namespace", "mount namespace", "network namespace", "user namespace", "own /proc", "masked paths"):
        assert not isolation[name].on and isolation[name].why
    assert "a convenience of paths, not a boundary" in isolation["own /proc"].why
    assert isolation["Landlock"].on == (landlock.version() >= 2)


def test_what_is_made_and_what_is_served():
    mounts = (Mount(kind="bind", source="/srv", target="/data", read_only=True), Mount(kind="volume", source="", target="/own"))
    plan = plan_of(RunRequest(argv=("true",), mounts=mounts))
    places = served(plan)
    assert places["/data"].flags == ("read_only", "ours") and places["/proc"].flags == ("proc", "read_only", "ours")
    assert not {"/dev/null", "/etc/hosts", "/own", "/dev/shm"} & set(places)
    made = {op.target: op.kind for op in plan.ops}
    assert made["/dev/null"] == "node" and made["/etc/hosts"] == "file" and made["/own"] == "mkdir" and made["/data"] == "place"
    assert plan.namespaces == () and plan.program.no_new_privileges and plan.program.notify


def test_where_no_node_can_be_made_it_is_served():
    assert served(plan_of(RunRequest(argv=("true",)), nodes=False))["/dev/null"].source == "/dev/null"


def test_a_root_of_the_callers_own_gets_nothing_written():
    plan = plan_of(RunRequest(argv=("true",)), copied=False)
    places = served(plan)
    assert places["/etc/hosts"].source == "/c/etc/hosts" and places["/dev"].source == "/c/dev"
    assert not any("ours" in one.flags for one in places.values())
    assert not any(op.kind in ("file", "node") or op.data and op.kind == "place" for op in plan.ops)


def test_an_etc_of_the_callers_has_our_files_over_it():
    plan = plan_of(RunRequest(argv=("true",), mounts=(Mount(kind="bind", source="/srv", target="/etc"),)))
    assert served(plan)["/etc/hosts"].source == "/c/etc/hosts"


def test_the_working_directory_in_a_volume_is_made_there():
    mount = Mount(kind="bind", source="/srv", target="/data")
    plan = plan_of(RunRequest(argv=("true",), mounts=(mount,), workdir="/data/a/b"))
    assert [(op.target, op.source) for op in plan.ops if op.kind == "mkdir" and op.source] == [("/a/b", "/srv")]
    read_only = replace(mount, read_only=True)
    plan = plan_of(RunRequest(argv=("true",), mounts=(read_only,), workdir="/data/a/b"))
    assert not [op for op in plan.ops if op.kind == "mkdir" and op.source]


def test_the_table_as_bytes():
    table = keeper_table(Keeper(places=(Served(target="/p", source="/s", flags=("read_only", "proc")),), landlock=True))
    assert table[:4] == b"pytk" and int.from_bytes(table[8:16], "little") == len(table)
    flags, target, source, empty = (int.from_bytes(table[32 + 4 * i : 36 + 4 * i], "little") for i in range(4))
    assert flags == 5 and empty == 0
    assert table[target:].split(b"\0")[0] == b"/p" and table[source:].split(b"\0")[0] == b"/s"
