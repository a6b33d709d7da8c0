"""Reading profiles: docker's form, the OCI's, podman's own file, and everything that is none of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrt.errors import Unsupported, UsageError
from pyrt.runtime import seccomp, seccomp_policy, seccomp_profile
from pyrt.runtime.seccomp_profile import ALLOW, ERRNO, KILL_PROCESS, KILL_THREAD, LOG, TRACE, TRAP, Condition

RULE = {"names": ["read"], "action": "SCMP_ACT_ALLOW"}


def read(document: object) -> seccomp_profile.Profile:
    return seccomp_profile.read(json.dumps(document).encode(), "seccomp profile x")


def profile(**fields: object) -> dict[str, object]:
    return {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [], **fields}


def rule(**fields: object) -> dict[str, object]:
    return profile(syscalls=[RULE, {**RULE, **fields}])


def argument(**fields: object) -> dict[str, object]:
    return rule(args=[{"index": 0, "value": 1, "op": "SCMP_CMP_EQ", **fields}])


@pytest.mark.parametrize(("word", "action"), [
    ("ALLOW", ALLOW), ("KILL", KILL_THREAD), ("KILL_THREAD", KILL_THREAD), ("KILL_PROCESS", KILL_PROCESS), ("TRAP", TRAP),
    ("LOG", LOG), ("ERRNO", ERRNO | 1), ("TRACE", TRACE | 1),
])  # fmt: skip
def test_actions(word, action):
    assert read(profile(defaultAction=f"SCMP_ACT_{word}")).default == action
    assert read(rule(action=f"SCMP_ACT_{word}")).rules[1].action == action


def test_numbers_of_errors():
    assert read(profile(defaultErrnoRet=38)).default == ERRNO | 38
    assert read(profile(defaultErrno="ENOSYS")).default == ERRNO | 38
    assert read(profile(defaultErrno="ENOSYS", defaultErrnoRet=38)).default == ERRNO | 38
    assert read(rule(action="SCMP_ACT_ERRNO", errnoRet=0)).rules[1].action == ERRNO
    assert read(rule(action="SCMP_ACT_TRACE", errnoRet=65535)).rules[1].action == TRACE | 65535


def test_the_older_names():
    read_rule = read(profile(syscalls=[{"name": "read", "action": "SCMP_ACT_ALLOW", "args": None}])).rules[0]
    assert read_rule.names == ("read",) and read_rule.conditions == ()
    assert read(profile(architectures=["SCMP_ARCH_X86"])).architectures == ("SCMP_ARCH_X86",)


def test_conditions():
    found = read(argument(index=5, value=(1 << 64) - 1, valueTwo=2, op="SCMP_CMP_MASKED_EQ")).rules[1].conditions
    assert found == (Condition(index=5, operator="MASKED_EQ", value=(1 << 64) - 1, value_two=2),)


def test_the_oci_form_is_read_and_written():
    document = {
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [
            {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [
                {"index": 0, "value": 3, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"},
                {"index": 1, "value": 9, "op": "SCMP_CMP_LT"},
            ]},
        ],
    }  # fmt: skip
    policy = seccomp_policy.resolve(read({**document, "flags": ["SECCOMP_FILTER_FLAG_TSYNC"]}), capabilities=0,
                                    machine="x86_64", kernel=(6, 1))  # fmt: skip
    assert policy.to_json() == document


@pytest.mark.parametrize("path", ["/usr/share/containers/seccomp.json", seccomp.DEFAULT_PROFILE])
def test_profiles_that_are_in_use(path):
    """podman's file where it is installed: with names of errors, empty selections, and architectures that are not ours."""
    if not Path(path).exists():
        pytest.skip("no profile of podman's here")
    found = seccomp_profile.read(Path(path).read_bytes(), path)
    assert found.default == ERRNO | 38 and len(found.rules) > 20 and len(found.rules[0].names) + len(found.rules[1].names) > 300


def test_our_own_profile_is_in_dockers_words_only():
    document = json.loads(Path(seccomp.DEFAULT_PROFILE).read_text())
    assert set(document) == {"defaultAction", "defaultErrnoRet", "archMap", "syscalls"}
    assert {key for entry in document["syscalls"] for key in entry} == {
        "comment", "names", "action", "errnoRet", "args", "includes", "excludes",
    }  # fmt: skip
    assert [entry["subArchitectures"] for entry in document["archMap"]] == [[], []]


WRONG = [
    ([], "profile is a list, it has to be an object"),
    ({"syscalls": []}, "profile.defaultAction is missing"),
    (profile(defaultAction="ALLOW"), "profile.defaultAction: 'ALLOW' is no action"),
    (profile(defaultAction="SCMP_ACT_ALOW"), "profile.defaultAction: 'SCMP_ACT_ALOW' is no action"),
    (profile(defaultErrnoRet=4096), "profile.defaultErrnoRet: 4096 is not between 0 and 4095"),
    (profile(defaultErrnoRet=-1), "profile.defaultErrnoRet: -1 is not between 0 and 4095"),
    (profile(defaultErrnoRet="1"), "profile.defaultErrnoRet is a string, it has to be an integer"),
    (profile(defaultErrno="EVERYTHING"), "profile.defaultErrno: 'EVERYTHING' is no error's name"),
    (profile(defaultErrno="errorcode"), "profile.defaultErrno: 'errorcode' is no error's name"),
    (profile(defaultErrno="EPERM", defaultErrnoRet=38), "profile.defaultErrno: EPERM is 1, and defaultErrnoRet says 38"),
    (profile(defaultAction="SCMP_ACT_KILL", defaultErrnoRet=1), "profile.defaultErrnoRet: SCMP_ACT_KILL returns no error"),
    (profile(architecures=[]), "profile.architecures: no such field"),
    (profile(architectures=["x86_64"]), "profile: 'x86_64' is no architecture"),
    (profile(architectures=["SCMP_ARCH_X86"], archMap=[{"architecture": "SCMP_ARCH_ARM"}]), "both archMap and architectures"),
    (profile(archMap=[{"architecture": "SCMP_ARCH_X86_65"}]), "profile.archMap[0]: 'SCMP_ARCH_X86_65' is no architecture"),
    (profile(archMap=[{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["X32"]}]), "profile.archMap[0]: 'X32'"),
    (profile(archMap=[{"architecture": "SCMP_ARCH_X86_64", "sub": []}]), "profile.archMap[0].sub: no such field"),
    (profile(syscalls={}), "profile.syscalls is an object, it has to be a list"),
    (rule(name="write"), "profile.syscalls[1] has both name and names"),
    (rule(names=[]), "profile.syscalls[1].names: a rule names at least one system call"),
    (rule(names=["read", ""]), "profile.syscalls[1].names: a rule names at least one system call"),
    (rule(names=["read", 3]), "profile.syscalls[1].names[1] is a number"),
    (rule(action=None), "profile.syscalls[1].action is missing"),
    (rule(errnoRet=1), "profile.syscalls[1].errnoRet: SCMP_ACT_ALLOW returns no error number"),
    (rule(errno="EPERM"), "profile.syscalls[1].errno: SCMP_ACT_ALLOW returns no error number"),
    (rule(exclude={}), "profile.syscalls[1].exclude: no such field"),
    (rule(excludes={"cap": ["CAP_CHOWN"]}), "profile.syscalls[1].excludes.cap: no such field"),
    (rule(excludes={"caps": ["CAP_SYS_ADMN"]}), "profile.syscalls[1].excludes.caps: capability 'CAP_SYS_ADMN'"),
    (rule(includes={"minKernel": "4"}), "profile.syscalls[1].includes.minKernel: '4' is not a version"),
    (rule(includes={"minKernel": "4.8.1"}), "profile.syscalls[1].includes.minKernel: '4.8.1' is not a version"),
    (rule(includes={"minKernel": "\u0664.8"}), "is not a version"),
    (rule(includes={"minKernel": 4.8}), "profile.syscalls[1].includes.minKernel is a number"),
    (argument(index=6), "profile.syscalls[1].args[0].index: 6 is not between 0 and 5"),
    (argument(index=-1), "profile.syscalls[1].args[0].index: -1 is not between 0 and 5"),
    (argument(index=None), "profile.syscalls[1].args[0].index is missing"),
    (argument(value=-1), "profile.syscalls[1].args[0].value: -1 does not fit"),
    (argument(value=1 << 64), "profile.syscalls[1].args[0].value: 18446744073709551616 does not fit"),
    (argument(value=1.0), "profile.syscalls[1].args[0].value is a number"),
    (argument(valueTwo=True), "profile.syscalls[1].args[0].valueTwo is a boolean"),
    (argument(op="SCMP_CMP_EQUAL"), "profile.syscalls[1].args[0].op: 'SCMP_CMP_EQUAL' is no comparison"),
    (argument(op="EQ"), "profile.syscalls[1].args[0].op: 'EQ' is no comparison"),
    (argument(mask=1), "profile.syscalls[1].args[0].mask: no such field"),
]


@pytest.mark.parametrize(("document", "message"), WRONG)
def test_what_is_wrong_is_named_with_its_place(document, message):
    with pytest.raises(UsageError) as caught:
        read(document)
    assert str(caught.value).startswith("seccomp profile x: ") and message in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("document", [
    profile(defaultAction="SCMP_ACT_NOTIFY"), rule(action="SCMP_ACT_NOTIFY"), profile(listenerPath="/x"),
    profile(listenerMetadata="x"), profile(flags=["SECCOMP_FILTER_FLAG_LOG"]),
])  # fmt: skip
def test_what_needs_more_than_a_filter_is_refused_by_name(document):
    with pytest.raises(Unsupported, match="seccomp profile x: profile"):
        read(document)


@pytest.mark.parametrize("content", [
    b"", b"{", b"\xff\xfe{}", b"[" * 100_000, b'{"defaultAction":"SCMP_ACT_ALLOW","defaultAction":"SCMP_ACT_KILL"}',
    b'{"defaultAction":"SCMP_ACT_ALLOW"}x', b'{"defaultAction":"\xff"}', b" " * ((4 << 20) + 1),
    b'{"syscalls":[' + b"{}," * 100_001 + b"{}]}",
])  # fmt: skip
def test_what_is_no_strict_json_is_refused(content):
    with pytest.raises(UsageError, match="^seccomp profile x: "):
        seccomp_profile.read(content, "seccomp profile x")


def test_a_machine_without_tables_is_refused():
    with pytest.raises(Unsupported, match="riscv64"):
        seccomp_policy.resolve(read(profile()), capabilities=0, machine="riscv64", kernel=(6, 1))


LEAVES = st.none() | st.booleans() | st.integers(-2, 70000) | st.floats() | st.text(max_size=5) | st.sampled_from([
    "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_CMP_EQ", "SCMP_ARCH_X86", "read", "CAP_CHOWN", "4.8", "EPERM",
])  # fmt: skip
FIELDS = st.sampled_from(sorted(
    {"defaultAction", "defaultErrnoRet", "archMap", "architectures", "syscalls", "names", "name", "action", "errnoRet", "errno",
     "args", "index", "value", "valueTwo", "op", "includes", "excludes", "caps", "arches", "minKernel", "comment", "flags", "x"}
))  # fmt: skip
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=6))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(FIELDS, ANYTHING, max_size=6), st.booleans())
def test_fz_04_any_document_is_read_or_refused_in_one_line(document, valid_head):
    if valid_head:
        document["defaultAction"] = "SCMP_ACT_ALLOW"
    try:
        found = read(document)
    except UsageError as error:
        assert str(error).startswith("seccomp profile x: ") and "\n" not in str(error)
    else:
        assert isinstance(found, seccomp_profile.Profile)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.binary(max_size=4), st.booleans())
def test_fz_04_damaged_text_of_a_real_profile(place, bytes_, cut):
    content = Path(seccomp.DEFAULT_PROFILE).read_bytes()
    content = content[:place] + bytes_ + (b"" if cut else content[place + len(bytes_) :])
    try:
        seccomp_profile.read(content, "seccomp profile x")
    except UsageError as error:
        assert str(error).startswith("seccomp profile x: ") and "\n" not in str(error)
