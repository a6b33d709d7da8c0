"""Compiled filters against two other readers of the same profile: one of the JSON (tests/support), and libseccomp."""

from __future__ import annotations

import json
import platform
import random
import re
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrt.errors import UsageError
from pyrt.runtime import capabilities, seccomp, seccomp_policy, seccomp_profile
from pyrt.runtime.seccomp_filter import MAX_INSTRUCTIONS, compile_policy
from pyrt.runtime.syscall_numbers import TABLE, numbers
from tests.support import libseccomp
from tests.support.bpf import AARCH64, ARM, I386, X32, X86_64, Filter
from tests.support.parts import missing
from tests.support.seccomp_profile import ALLOW, ENOSYS, EPERM, ERRNO, KILL_PROCESS, TRACE, answer

KERNEL = (6, 18)
MACHINES = {"x86_64": ("amd64", X86_64), "aarch64": ("arm64", AARCH64)}
DOCKERS = [*capabilities.DEFAULT, "MKNOD", "NET_RAW", "AUDIT_WRITE"]
SETS = {
    "none": [],
    "podman's": [*capabilities.DEFAULT],
    "docker's": DOCKERS,
    "SYS_ADMIN": [*DOCKERS, "SYS_ADMIN"],
    "one of each group": ["BPF", "PERFMON", "SYSLOG", "SYS_PTRACE", "SYS_TIME", "SYS_MODULE", "SYS_NICE", "DAC_READ_SEARCH"],
    "the other groups": ["SYS_BOOT", "SYS_PACCT", "SYS_RAWIO", "SYS_TTY_CONFIG"],
    "all": [*capabilities.NAMES],
}
DOCUMENT = json.loads(Path(seccomp.DEFAULT_PROFILE).read_text())
WORD = 0xFFFFFFFF


def resolved(document, machine="x86_64", names=(), kernel=KERNEL):
    profile = seccomp_profile.read(json.dumps(document).encode(), "test")
    return seccomp_policy.resolve(profile, capabilities=bits(names), machine=machine, kernel=kernel)


def compiled(document, machine="x86_64", names=(), kernel=KERNEL) -> Filter:
    return Filter(compile_policy(resolved(document, machine, names, kernel)))


def bits(names) -> int:
    return capabilities.bits(tuple(names))


@lru_cache(maxsize=32)
def default(machine: str = "x86_64", which: str = "podman's") -> Filter:
    return compiled(DOCUMENT, machine, SETS[which])


def expected(document, machine, names, number, arguments, kernel=KERNEL) -> int:
    return answer(
        document, numbers(machine), number, arguments,
        capabilities={f"CAP_{name}" for name in names}, architecture=MACHINES[machine][0], kernel=kernel,
    )  # fmt: skip


def interesting(document, random_: random.Random) -> list[int]:
    """Six arguments near what the document's conditions speak of."""
    values = {0}
    for rule in document["syscalls"]:
        for condition in rule.get("args") or []:
            values |= {condition.get("value", 0), condition.get("valueTwo", 0)}
    near = [value + step for value in values for step in (-1, 0, 1)]
    near += [value ^ 1 << random_.randrange(64) for value in values] + [random_.getrandbits(64), random_.getrandbits(32)]
    return [random_.choice(near) & (1 << 64) - 1 for _ in range(6)]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("which", SETS)
def test_ct_36_every_number_of_the_default_profile(machine, which):
    """Both readers agree on each number of both machines, with arguments near the conditions'."""
    random_ = random.Random(f"{machine} {which}")
    built = default(machine, which)
    for number in [*range(601), X32 - 1, X32, X32 + 41, X32 + 600, 0x80000000, WORD]:
        for _ in range(20 if number in (41, 56, 135, 198, 220, 92) else 3):
            arguments = interesting(DOCUMENT, random_)
            wanted = expected(DOCUMENT, machine, SETS[which], number, arguments)
            assert built.answer(number, arguments, MACHINES[machine][1]) == wanted, (number, arguments)


@pytest.mark.parametrize("which", SETS)
def test_the_default_profile_as_libseccomp_compiles_it(which):
    """Not what the profile leaves to the order of overlapping rules: a family of sockets with its upper half set, and the audit
    protocol of a family that is allowed."""
    machine = platform.machine()
    peer = libseccomp.filter_of(resolved(DOCUMENT, machine, SETS[which]).to_json(), numbers(machine))
    ours = default(machine, which)
    random_ = random.Random(which)
    architecture = MACHINES[machine][1]
    socket = numbers(machine)["socket"]
    for number in range(601):
        for _ in range(20 if number in (41, 56, 135, 198, 220, 92) else 2):
            arguments = interesting(DOCUMENT, random_)
            if number == socket and (arguments[0] > WORD or (arguments[0] == 16 and arguments[2] & WORD == 9)):
                continue
            assert ours.answer(number, arguments, architecture) == peer.answer(number, arguments, architecture), number


APPENDIX = Path(__file__).parent / "seccomp_golden"


def golden(name: str) -> set[str]:
    return set((APPENDIX / name).read_text().split())


def refused(machine: str, which: str) -> dict[str, int]:
    """Name -> answer of every call that is not always allowed. Conditional ones by what all zeros give."""
    built = default(machine, which)
    answers = {name: built.answer(number, [], MACHINES[machine][1]) for name, number in numbers(machine).items()}
    return {name: value for name, value in answers.items() if value != ALLOW}


NEWER_THAN_THE_LIST = {
    "file_getattr", "file_setattr", "fchroot", "listns", "rseq_slice_yield", "uprobe",
    "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules", "open_tree_attr",
}  # fmt: skip


def test_ct_36_what_docker_denies_is_denied():
    """moby cd3bed8 with docker's capabilities: nothing more is allowed, and nothing less but what its list is older than."""
    ours = refused("x86_64", "docker's")
    assert set(ours) - NEWER_THAN_THE_LIST == golden("moby-denied.txt")
    assert ours["clone3"] == ENOSYS


def test_ct_36_the_unconditional_list_is_mobys():
    (rule, *_) = DOCUMENT["syscalls"]
    limits = {"prlimit64", "setrlimit"}  # which have conditions, see below
    assert set(rule["names"]) == golden("moby-allowed.txt") - limits and rule["action"] == "SCMP_ACT_ALLOW"
    assert set(rule) == {"comment", "names", "action"}


@pytest.mark.parametrize("machine", MACHINES)
def test_ct_54_the_core_limit_stays_and_every_other_can_be_set(machine):
    """ERRNO with 0 does nothing and succeeds. The kernel looks at the lower half of the number."""
    built, architecture, table = default(machine), MACHINES[machine][1], numbers(machine)
    core, new = 4, 0x7FFC00001000
    for upper in (0, 1 << 32, 0xFFFFFFFF00000000):
        assert built.answer(table["prlimit64"], [0, core | upper, new, 0], architecture) == ERRNO | 0
        assert built.answer(table["prlimit64"], [0, core | upper, 0, new], architecture) == ALLOW
        assert built.answer(table["setrlimit"], [core | upper, new], architecture) == ERRNO | 0
        for other in {*range(16)} - {core}:
            assert built.answer(table["prlimit64"], [0, other | upper, new, 0], architecture) == ALLOW
            assert built.answer(table["setrlimit"], [other | upper, new], architecture) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_ct_38_the_audit_protocol_takes_audit_write(machine):
    architecture, number = MACHINES[machine][1], numbers(machine)["socket"]
    for kind in (2, 3, 0x80003):
        assert default(machine).answer(number, [16, kind, 9], architecture) == ERRNO | 22
        assert default(machine, "docker's").answer(number, [16, kind, 9], architecture) == ALLOW
        assert default(machine).answer(number, [16, kind, 0], architecture) == ALLOW


PODMANS_NESTING = {
    "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "get_mempolicy", "keyctl", "mbind", "mount",
    "mount_setattr", "move_mount", "open_tree", "pidfd_getfd", "pivot_root", "reboot", "set_mempolicy", "setns", "syslog",
    "umount2", "unshare",
}  # fmt: skip


def test_ct_36_beside_podmans_list():
    """containers-common with podman's capabilities. What it allows and we do not is for containers in containers; what we
    allow and it does not are two calls that are moby's too."""
    ours = set(refused("x86_64", "podman's")) - NEWER_THAN_THE_LIST
    podmans = golden("podman-denied.txt")
    assert ours - podmans == PODMANS_NESTING
    assert podmans - ours == {"io_pgetevents", "vmsplice"}


def test_what_is_refused_with_which_answer():
    """EPERM for what this kernel has and no container gets, ENOSYS for what is gone, not known, or has a way around."""
    answers = refused("x86_64", "podman's")
    gone = {
        "_sysctl", "afs_syscall", "create_module", "get_kernel_syms", "getpmsg", "nfsservctl", "putpmsg", "query_module",
        "security", "tuxcall", "vserver",
    }  # fmt: skip
    unknown = NEWER_THAN_THE_LIST - {"lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules", "open_tree_attr"}
    assert {name for name, value in answers.items() if value == ENOSYS} == gone | unknown | {"clone3"}
    assert set(answers.values()) == {ENOSYS, EPERM}


@pytest.mark.parametrize("machine", MACHINES)
def test_ct_37_no_new_namespaces(machine):
    built, architecture, table = default(machine), MACHINES[machine][1], numbers(machine)
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        for more in (0, 17, 0x3D0F00, 1 << 32, 0xFFFFFFFF00000000):
            assert built.answer(table["clone"], [flag | more], architecture) == EPERM
    for flags in (17, 0x3D0F00, 0x4111, 0x1200011):  # fork, a thread, vfork, glibc's fork
        assert built.answer(table["clone"], [flags], architecture) == ALLOW
    assert built.answer(table["clone3"], [0, 88], architecture) == ENOSYS
    assert built.answer(table["unshare"], [0], architecture) == EPERM
    assert built.answer(table["setns"], [0], architecture) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_ct_37_with_sys_admin_they_may_be_made(machine):
    built, architecture, table = default(machine, "SYS_ADMIN"), MACHINES[machine][1], numbers(machine)
    for name in ("clone", "clone3", "unshare", "setns", "mount", "open_tree_attr"):
        assert built.answer(table[name], [0x10000000], architecture) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("which", ["podman's", "all"])
def test_ct_38_alg_and_vsock_also_with_an_upper_half(machine, which):
    """The kernel takes an int: what stands above it is cut off there, and must not get past the filter here."""
    built, architecture, socket = default(machine, which), MACHINES[machine][1], numbers(machine)["socket"]
    for family in (38, 40):
        for above in (0, 1, 0x80000000, WORD):
            assert built.answer(socket, [above << 32 | family, 5, 0], architecture) == EPERM
    for family in (1, 2, 10, 16, 17, 37, 39, 41, 44, 45):
        assert built.answer(socket, [family, 1, 0], architecture) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_ct_38_other_ways_to_call_the_kernel(machine):
    """No x32 and no 32-bit programs: each has other numbers, and some calls that a filter cannot look into."""
    for built in (default(machine), default(machine, "all")):
        for number in (0, 41, 359, 102, 1, 5):
            for architecture in {X86_64, AARCH64, I386, ARM, 0xC0000016} - {MACHINES[machine][1]}:
                assert built.answer(number, [2], architecture) == KILL_PROCESS
            if machine == "x86_64":
                assert built.answer(X32 | number, [2], X86_64) == ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("which", SETS)
def test_ct_39_numbers_from_470_on_are_not_there(machine, which):
    built = default(machine, which)
    assert {built.answer(number, [], MACHINES[machine][1]) for number in range(470, 1000)} == {ENOSYS}


@pytest.mark.parametrize("name", [
    "io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "bpf", "perf_event_open", "keyctl", "add_key",
    "request_key", "open_by_handle_at", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module",
    "mount", "umount2", "pivot_root", "fsopen", "move_mount", "open_tree", "open_tree_attr", "mount_setattr", "settimeofday",
    "clock_settime", "swapon", "reboot", "iopl", "ioperm", "acct", "quotactl", "syslog",
])  # fmt: skip
def test_ct_40_56_59_dangerous_calls(name):
    for which in ("none", "podman's", "docker's"):
        assert default("x86_64", which).answer(numbers("x86_64")[name]) == EPERM


def test_ptrace_needs_a_kernel_whose_filter_comes_after_it():
    old, new = compiled(DOCUMENT, names=DOCKERS, kernel=(4, 7)), compiled(DOCUMENT, names=DOCKERS, kernel=(4, 8))
    for name in ("ptrace", "process_vm_readv", "process_vm_writev"):
        number = numbers("x86_64")[name]
        assert (old.answer(number), new.answer(number)) == (ENOSYS, ALLOW)
        assert compiled(DOCUMENT, names=["SYS_PTRACE"], kernel=(3, 10)).answer(number) == ALLOW


def test_the_default_filter_is_small_and_short_to_run():
    for machine, (_, architecture) in MACHINES.items():
        built = default(machine)
        assert len(built.code) < 200
        assert max(built.traced(number, [WORD << 32], architecture)[1] for number in range(480)) < 50


OPERATORS = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]
VALUES = st.one_of(
    st.integers(0, 4),
    st.sampled_from([WORD - 1, WORD, 1 << 32, (1 << 32) + 1, 1 << 63, (1 << 64) - 1]),
    st.integers(0, (1 << 64) - 1),
)
NAMES = ["read", "socket", "clone", "close_range", "futex_waitv", "cachestat", "stat", "no_such_call", "renameat", "preadv2"]
ACTIONS = ["ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "LOG", "TRACE"]


@st.composite
def selections(draw):
    return draw(st.fixed_dictionaries({}, optional={
        "caps": st.lists(st.sampled_from(["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_BPF"]), max_size=2),
        "arches": st.lists(st.sampled_from(["amd64", "arm64", "s390x"]), max_size=2),
        "minKernel": st.sampled_from(["4.8", "6.18", "6.19", "7.0"]),
    }))  # fmt: skip


@st.composite
def profiles(draw, actions=ACTIONS, selected=True):
    def action(names):
        word = draw(st.sampled_from(names))
        found = {"action": f"SCMP_ACT_{word}"}
        if word in ("ERRNO", "TRACE") and draw(st.booleans()):
            found["errnoRet"] = draw(st.sampled_from([0, 1, 38, 4095]))
        return found

    rules = []
    for _ in range(draw(st.integers(0, 8))):
        rule = {"names": draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)), **action(actions)}
        if draw(st.booleans()):
            rule["args"] = [
                {"index": draw(st.integers(0, 5)), "value": draw(VALUES), "valueTwo": draw(VALUES),
                 "op": f"SCMP_CMP_{draw(st.sampled_from(OPERATORS))}"}
                for _ in range(draw(st.integers(1, 3)))
            ]  # fmt: skip
        if selected:
            rule["includes"], rule["excludes"] = draw(selections()), draw(selections())
        rules.append(rule)
    head = action(ACTIONS)
    document = {"defaultAction": head["action"], "syscalls": rules}
    return document | ({"defaultErrnoRet": head["errnoRet"]} if "errnoRet" in head else {})


@settings(max_examples=100, deadline=None)
@given(profiles(), st.sampled_from(sorted(MACHINES)), st.lists(st.sampled_from(["CHOWN", "SYS_ADMIN", "BPF"])), st.randoms())
def test_two_readers_of_any_profile_agree(document, machine, names, random_):
    built, table = compiled(document, machine, names), numbers(machine)
    spoken_of = {table[name] for name in NAMES if name in table}
    for number in sorted(spoken_of | {n + 1 for n in spoken_of} | {600, X32, X32 | 1}):
        for _ in range(6):
            arguments = interesting(document, random_)
            wanted = expected(document, machine, names, number, arguments)
            assert built.answer(number, arguments, MACHINES[machine][1]) == wanted, (number, arguments)


@settings(max_examples=100, deadline=None)
@given(profiles(actions=["ALLOW"], selected=False), st.randoms())
def test_libseccomp_compares_arguments_alike(document, random_):
    """With one rule for each call, and each argument once in it: several on one argument come out wrong in libseccomp 2.5.4
    (of "< 3" and "< 1 << 32" it forgets the second), and which of two different actions counts is decided by its tree."""
    machine = platform.machine()
    table, architecture = numbers(machine), MACHINES[machine][1]
    document["defaultAction"], document["defaultErrnoRet"] = "SCMP_ACT_ERRNO", 38
    named: set[str] = set()
    for rule in document["syscalls"]:
        rule["args"] = list({condition["index"]: condition for condition in rule.get("args", [])}.values())
        rule["names"] = [name for name in dict.fromkeys(rule["names"]) if name not in named] or ["no_such_call"]
        named |= {*rule["names"]}
    policy = resolved(document, machine)
    ours, peer = Filter(compile_policy(policy)), libseccomp.filter_of(policy.to_json(), table)
    for number in sorted({table[name] for name in NAMES if name in table}):
        for _ in range(8):
            arguments = interesting(document, random_)
            assert ours.answer(number, arguments, architecture) == peer.answer(number, arguments, architecture), number


def test_conditions_on_one_argument_are_alternatives():
    """As runc and crun have it: two "not equal" of one rule allow everything, which is why ranges are written with < and >."""
    rule = {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [
        {"index": 0, "value": 38, "op": "SCMP_CMP_NE"}, {"index": 0, "value": 40, "op": "SCMP_CMP_NE"},
    ]}  # fmt: skip
    built = compiled({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]})
    assert built.answer(41, [38]) == ALLOW
    rule["args"][1]["index"] = 1
    assert compiled({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]}).answer(41, [38]) == EPERM


@pytest.mark.parametrize(("machine", "other", "abi", "architecture"), [
    ("x86_64", "SCMP_ARCH_X86", "i386", I386), ("aarch64", "SCMP_ARCH_ARM", "arm", ARM),
])  # fmt: skip
def test_bn_20_32_bit_programs_where_a_profile_maps_them(machine, other, abi, architecture):
    own = f"SCMP_ARCH_{machine.upper()}"
    document = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["open", "openat"], "action": "SCMP_ACT_ALLOW"}]}
    forms = (
        {"archMap": [{"architecture": own, "subArchitectures": [other, "SCMP_ARCH_X32"]}]},
        {"architectures": [own, other, "SCMP_ARCH_X32"]},
    )
    for form in forms:
        built = compiled({**document, **form}, machine)
        assert built.answer(numbers(abi)["open"], [], architecture) == ALLOW
        assert built.answer(numbers(abi)["openat"], [], architecture) == ALLOW
        assert built.answer(numbers(abi)["mmap2"], [], architecture) == EPERM
        assert built.answer(numbers(abi)["clone3"], [], architecture) == ENOSYS
        assert built.answer(numbers(machine)["openat"], [], MACHINES[machine][1]) == ALLOW
        if machine == "x86_64":
            assert built.answer(X32 | numbers(machine)["openat"]) == ENOSYS
    assert compiled(document, machine).answer(numbers(abi)["openat"], [], architecture) == KILL_PROCESS
    elsewhere = {"archMap": [{"architecture": "SCMP_ARCH_S390X", "subArchitectures": [other]}]}
    assert compiled({**document, **elsewhere}, machine).answer(1, [], architecture) == KILL_PROCESS


def test_x32_is_refused_also_where_everything_is_allowed():
    built = compiled({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"]})
    assert built.answer(X32 - 1) == ALLOW
    assert {built.answer(X32 | number) for number in (0, 1, 512, 547)} == {ENOSYS}


@pytest.mark.parametrize(("action", "beyond"), [
    ("SCMP_ACT_ERRNO", ENOSYS), ("SCMP_ACT_KILL_PROCESS", ENOSYS), ("SCMP_ACT_TRAP", ENOSYS),
    ("SCMP_ACT_ALLOW", ALLOW), ("SCMP_ACT_TRACE", TRACE | 1),
])  # fmt: skip
def test_ct_39_what_a_profile_is_too_old_to_know(action, beyond):
    """A profile that was written before clone3: a C library goes on after ENOSYS, and gives up after EPERM (runc)."""
    rules = [{"names": ["read", "statx"], "action": "SCMP_ACT_LOG"}]
    built = compiled({"defaultAction": action, "syscalls": rules})
    assert built.answer(numbers("x86_64")["statx"] + 1) == beyond
    assert built.answer(numbers("x86_64")["clone3"]) == beyond
    assert built.answer(numbers("x86_64")["mount"]) != ENOSYS


def test_long_jumps():
    """Every second number another answer: blocks that no conditional jump reaches across."""
    table = numbers("x86_64")
    rules = [
        {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": number, "args": [
            {"index": index, "value": number << 32 | index, "op": f"SCMP_CMP_{OPERATORS[number % 6]}"} for index in range(3)
        ]}
        for name, number in table.items() if number % 2
    ]  # fmt: skip
    document = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}
    built = compiled(document)
    assert len(built.code) > 1000
    random_ = random.Random(1)
    for number in range(480):
        for arguments in (interesting(document, random_), [number << 32 | index for index in range(6)]):
            assert built.answer(number, arguments) == expected(document, "x86_64", [], number, arguments)


def test_a_filter_that_is_too_long_is_refused_by_name():
    conditions = [{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [
        {"index": 0, "value": value << 20, "op": "SCMP_CMP_EQ"}]} for value in range(1, 2000)]  # fmt: skip
    with pytest.raises(UsageError, match=rf"\d+ instructions, the kernel takes {MAX_INSTRUCTIONS}"):
        compiled({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": conditions})


def test_the_table_agrees_with_the_headers_of_this_machine():
    """Two headers that were not the table's source: the distribution's, of whatever age."""
    for abi, path in (
        ("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        ("i386", "/usr/include/x86_64-linux-gnu/asm/unistd_32.h"),
    ):
        if not Path(path).exists():
            missing(f"{path} is not installed")
        found = re.findall(r"#define __NR_(\w+) (\d+)\n", Path(path).read_text())
        assert len(found) > 300
        assert {name: numbers(abi).get(name) for name, _ in found} == {name: int(number) for name, number in found}
    assert numbers("aarch64")["clone3"] == numbers("arm")["clone3"] == 435
    assert numbers("arm")["cacheflush"] == 0xF0002


def test_the_table_is_in_order():
    rows = [line.split() for line in Path(TABLE).read_text().splitlines()]
    assert [row[0] for row in rows] == sorted({row[0] for row in rows}) and {len(row) for row in rows} == {5}
    for column in range(1, 5):
        found = [row[column] for row in rows if row[column] != "-"]
        assert len(set(found)) >= len(found) - 3 and all(number.isdigit() for number in found)


def test_errno_zero_is_a_number_too():
    rule = {"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0}
    assert compiled({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}).answer(0) == ERRNO
