"""Device rules as values, as lines of cgroup v1 and as a program of cgroup v2."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyrt.oci.spec import SpecDeviceRule
from pyrt.request import Device, DeviceRule, Mount, RunRequest
from pyrt.runtime import bundle, capabilities, device_rules
from tests.support.ebpf import device_program

TYPES = {"b": 1, "c": 2}
ACCESS = {"m": 1, "r": 2, "w": 4}
MKNOD = 1 << capabilities.number("MKNOD")

numbers = st.one_of(st.integers(0, 4), st.sampled_from([136, 4095, 0xFFFFF]))
rules = st.builds(
    SpecDeviceRule,
    type=st.sampled_from("bc"),
    major=st.none() | numbers,
    minor=st.none() | numbers,
    access=st.sets(st.sampled_from("rwm"), min_size=1).map("".join),
)
questions = st.tuples(st.sampled_from("bc"), numbers, numbers, st.sets(st.sampled_from("rwm"), min_size=1))
Question = tuple[str, int, int, set[str]]


def rule(text: str) -> SpecDeviceRule:
    kind, device, access = text.split()
    major, minor = (None if number == "*" else int(number) for number in device.split(":"))
    return SpecDeviceRule(type=kind, major=major, minor=minor, access=access)


def allows(listed: tuple[SpecDeviceRule, ...], question: Question) -> bool:
    """The rules read as they stand: one of them allows all that is asked at once."""
    kind, major, minor, access = question
    return any(
        rule.type == kind and rule.major in (None, major) and rule.minor in (None, minor) and access <= set(rule.access)
        for rule in listed
    )


def program_allows(listed: tuple[SpecDeviceRule, ...], question: Question) -> bool:
    kind, major, minor, access = question
    bits = sum(ACCESS[letter] for letter in access)
    return device_program(device_rules.program(listed), TYPES[kind], bits, major, minor) == 1


@settings(max_examples=1000)
@given(st.lists(rules, max_size=12).map(tuple), questions)
@example((), ("c", 1, 3, {"r"}))
@example((rule("c 1:3 rw"),), ("b", 1, 3, {"r"}))
@example((rule("c 1:3 rw"),), ("c", 1, 3, {"r", "m"}))
@example((rule("c 1:3 r"), rule("c 1:* w")), ("c", 1, 3, {"r", "w"}))
def test_the_program_says_what_the_rules_say(listed, question):
    assert program_allows(listed, question) == allows(listed, question)


@settings(max_examples=300)
@given(st.lists(rules, max_size=12).map(tuple), questions)
def test_merging_allows_no_less_and_only_unions_of_the_same_device(listed, question):
    merged = device_rules.merged(listed)
    places = [(rule.type, rule.major, rule.minor) for rule in merged]
    assert len(set(places)) == len(places)
    if allows(listed, question):
        assert allows(merged, question)
    kind, major, minor, access = question
    if allows(merged, question) and len(access) == 1:
        assert allows(listed, question)


@pytest.mark.parametrize("text", ["c 1:3 rwm", "c 136:* rwm", "b *:* m", "c *:5 w"])
def test_lines_of_v1(text):
    assert device_rules.line(rule(text)) == text


ASKED = RunRequest(cap_add=("MKNOD",))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("c 1:3 rwm", True), ("c 1:5 rw", True), ("c 1:7 rw", True), ("c 1:8 rw", True), ("c 1:9 rw", True),
        ("c 5:0 rw", True), ("c 5:2 rw", True), ("c 136:77 rw", True), ("c 0:0 m", True),
        ("c 1:1 r", False), ("c 1:2 r", False), ("c 1:4 r", False), ("c 5:1 w", False), ("c 10:200 rw", False),
        ("c 10:229 rw", False), ("c 4:1 r", False), ("b 8:0 r", False), ("b 1:3 r", False), ("c 0:0 r", False),
        ("c 8:0 m", True), ("b 8:0 m", True), ("b 8:0 rm", False),
    ],
)  # fmt: skip
def test_what_a_container_with_mknod_may_use(question, answer):
    listed = bundle.device_rules(ASKED, MKNOD)
    kind, device, access = question.split()
    major, minor = map(int, device.split(":"))
    asked = (kind, major, minor, set(access))
    assert allows(listed, asked) == program_allows(listed, asked) == answer


def device(permissions: str, source: str = "/dev/null") -> Device:
    return Device(source=source, target="/dev/x", permissions=permissions)


def bind(source: str) -> Mount:
    return Mount(kind="bind", source=source, target="/x")


@pytest.mark.parametrize(
    ("request_", "bounding", "purpose"),
    [
        (RunRequest(), 0, ""),
        (RunRequest(), MKNOD, "capability MKNOD"),
        (RunRequest(privileged=True), MKNOD, ""),
        (RunRequest(privileged=True, devices=(device("r"),), mounts=(bind("/dev"),)), MKNOD, ""),
        (RunRequest(cap_add=("ALL",), cap_drop=("MKNOD",)), 0, ""),
        (RunRequest(devices=(device("rwm"), device("rw"))), 0, ""),
        (RunRequest(devices=(device("rwm"), device("rm"))), 0, "--device /dev/null with rm alone"),
        (RunRequest(devices=(device("w"),)), 0, "--device /dev/null with w alone"),
        (RunRequest(device_rules=(DeviceRule(kind="c", major=42, minor=None),)), 0, "--device-cgroup-rule"),
        (RunRequest(mounts=(bind("/dev"),)), 0, "bind mount /dev"),
        (RunRequest(mounts=(bind("/dev/../dev/pts"),)), 0, "bind mount /dev/../dev/pts"),
        (RunRequest(mounts=(bind("/dev/shm"), bind("/dev/null"), bind("/tmp"), bind("/"))), 0, ""),
    ],
)
def test_rules_only_where_something_takes_them(request_, bounding, purpose):
    assert bundle.device_request(request_, bounding) == purpose
    assert bool(bundle.device_rules(request_, bounding)) == bool(purpose)


def test_a_link_to_dev_is_dev(tmp_path):
    (tmp_path / "link").symlink_to("/dev")
    assert bundle.carries_devices(str(tmp_path / "link"))
    (tmp_path / "dev").mkdir()
    assert not bundle.carries_devices(str(tmp_path / "dev"))


def test_a_device_with_fewer_permissions_replaces_the_default_rule():
    listed = bundle.device_rules(RunRequest(devices=(device("r"),)), 0)
    assert rule("c 1:3 rm") in listed and rule("c 1:3 rwm") not in listed
    assert not any(rule.major is None for rule in listed)


def test_a_rule_for_both_types():
    listed = bundle.device_rules(RunRequest(device_rules=(DeviceRule(kind="a", major=None, minor=None, permissions="r"),)), 0)
    assert rule("c *:* r") in listed and rule("b *:* r") in listed
