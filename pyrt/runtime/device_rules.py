"""Which device nodes a container may open and make: rules as values, and as the kernel takes them.

A cgroup v1 has the files devices.deny and devices.allow (devices.rst), a cgroup v2 an eBPF program of the type
BPF_PROG_TYPE_CGROUP_DEVICE. Both ask the same: everything is denied but what one rule allows as a whole. Pure.
"""

from __future__ import annotations

import struct

from pyrt.oci.spec import SpecDeviceRule

MKNOD, READ, WRITE = 1, 2, 4  # BPF_DEVCG_ACC_*, linux/bpf.h
_BITS = {"m": MKNOD, "r": READ, "w": WRITE}
_TYPES = {"b": 1, "c": 2}  # BPF_DEVCG_DEV_*

# null, zero, full, random, urandom, tty, ptmx, and the terminals of the container's own devpts.
DEFAULT = tuple(
    SpecDeviceRule(type="c", major=major, minor=minor, access="rwm")
    for major, minor in ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2), (136, None))
)
# overlayfs removes a file of a layer by such a node (whiteout), which no driver opens; from Linux 5.8 on it needs no rule.
_WHITEOUT = SpecDeviceRule(type="c", major=0, minor=0, access="m")
# For CAP_MKNOD: to make a node is harmless where it does not open, and debootstrap and tar make many.
_ANY_NODE = tuple(SpecDeviceRule(type=kind, major=None, minor=None, access="m") for kind in "cb")

OWN = frozenset((*DEFAULT, _WHITEOUT, *_ANY_NODE))  # those that nobody has to ask for


def allowed(
    devices: tuple[SpecDeviceRule, ...], asked: tuple[SpecDeviceRule, ...], *, mknod: bool
) -> tuple[SpecDeviceRule, ...]:
    """All rules of a container: the default ones, those of its own ``devices``, which say less or more of a default node
    too, and what was ``asked`` for beside them."""
    named = {_place(rule) for rule in devices}
    defaults = tuple(rule for rule in DEFAULT if _place(rule) not in named)
    return merged((*defaults, _WHITEOUT, *(_ANY_NODE if mknod else ()), *devices, *asked))


def merged(rules: tuple[SpecDeviceRule, ...]) -> tuple[SpecDeviceRule, ...]:
    """One rule for each device, with all that is allowed on it: as cgroup v1 keeps them."""
    access: dict[tuple[str, int | None, int | None], set[str]] = {}
    for rule in rules:
        access.setdefault(_place(rule), set()).update(rule.access)
    return tuple(
        SpecDeviceRule(type=kind, major=major, minor=minor, access="".join(c for c in "rwm" if c in letters))
        for (kind, major, minor), letters in access.items()
    )


def _place(rule: SpecDeviceRule) -> tuple[str, int | None, int | None]:
    return rule.type, rule.major, rule.minor


def line(rule: SpecDeviceRule) -> str:
    """The rule as devices.allow takes it: ``c 1:3 rwm``, ``c 136:* rwm``."""
    major, minor = ("*" if number is None else number for number in (rule.major, rule.minor))
    return f"{rule.type} {major}:{minor} {rule.access}"


# eBPF, Documentation/bpf/standardization/instruction-set.rst: opcode, registers, offset, immediate.
_LOAD, _COPY, _AND, _SHIFT_RIGHT, _SET, _JUMP_UNLESS_EQUAL, _EXIT = 0x61, 0xBF, 0x57, 0x77, 0xB7, 0x55, 0x95
_ANSWER, _CONTEXT, _TYPE, _ACCESS, _MAJOR, _MINOR, _REST = 0, 1, 2, 3, 4, 5, 6  # registers


def program(rules: tuple[SpecDeviceRule, ...]) -> bytes:
    """The instructions (struct bpf_insn, 8 bytes each) that answer 1 for what a rule allows, else 0.

    Its context is struct bpf_cgroup_dev_ctx: the access in the upper and the type in the lower half of the first word, then
    major and minor.
    """
    code = [
        _instruction(_LOAD, _TYPE, _CONTEXT, offset=0),
        _instruction(_COPY, _ACCESS, _TYPE),
        _instruction(_AND, _TYPE, value=0xFFFF),
        _instruction(_SHIFT_RIGHT, _ACCESS, value=16),
        _instruction(_LOAD, _MAJOR, _CONTEXT, offset=4),
        _instruction(_LOAD, _MINOR, _CONTEXT, offset=8),
    ]
    for rule in rules:
        code += _rule(rule)
    return b"".join([*code, _instruction(_SET, _ANSWER, value=0), _instruction(_EXIT)])


def _rule(rule: SpecDeviceRule) -> list[bytes]:
    """Answers 1, or jumps behind itself."""
    denied = (MKNOD | READ | WRITE) & ~sum(_BITS[letter] for letter in rule.access)
    tests = [(_TYPE, _TYPES[rule.type])]
    tests += [(_MAJOR, rule.major)] if rule.major is not None else []
    tests += [(_MINOR, rule.minor)] if rule.minor is not None else []
    masked = [_instruction(_COPY, _REST, _ACCESS), _instruction(_AND, _REST, value=denied)] if denied else []
    tests += [(_REST, 0)] if denied else []
    after = len(tests) + len(masked) + 2
    code = []
    for register, value in tests:
        if register == _REST:
            code += masked
        code.append(_instruction(_JUMP_UNLESS_EQUAL, register, offset=after - len(code) - 1, value=value))
    return [*code, _instruction(_SET, _ANSWER, value=1), _instruction(_EXIT)]


def _instruction(opcode: int, target: int = 0, source: int = 0, *, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("@BBhi", opcode, source << 4 | target, offset, value)
