"""From a policy to the program that the kernel runs before every system call.

The architecture first, because a number means nothing without it; then a binary search over the ranges of numbers that are
treated alike; then, for the few calls with conditions, their arguments. The kernel runs the program once for every number when
it is loaded (to remember which are always allowed), so a list that is searched from its beginning takes ten times as long to
load, not only to run.

Where a profile has several rules for one call, the first without conditions decides alone, as in libseccomp; else the first
whose conditions hold. (Where rules with different actions overlap, libseccomp's order is that of its tree and means nothing;
here it is the profile's.)
"""

from __future__ import annotations

import errno

from pyrt.errors import UsageError
from pyrt.runtime import bpf, syscall_numbers
from pyrt.runtime.seccomp_policy import Policy
from pyrt.runtime.seccomp_profile import ALLOW, DATA, ERRNO, KILL_PROCESS, LOG, TRACE, Condition, Rule

MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS

# struct seccomp_data: int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003, "arm": 0x40000028}  # linux/audit.h
_X32 = 0x40000000  # __X32_SYSCALL_BIT
_ARM_OWN = 0x000F0000  # __ARM_NR_BASE: calls outside of the common numbering
_NO_SUCH_CALL = ERRNO | errno.ENOSYS
_WORD = 0xFFFFFFFF

# The rules of one call: (conditions that all hold, what to return), the first that fits. () is the default.
Chain = tuple[tuple[tuple[Condition, ...], int], ...]


def compile_policy(policy: Policy) -> bytes:
    """The filter as an array of struct sock_filter. Raises UsageError where the kernel would not take it for its length."""
    program = bpf.Program()
    wrong = program.returns(KILL_PROCESS)
    entries = [(_AUDIT[abi], _search(program, policy, abi)) for abi in policy.abis]
    start = wrong
    for architecture, entry in reversed(entries):
        start = program.branch(bpf.JUMP_EQUAL, architecture, entry, start)
    program.load(_ARCHITECTURE, start)
    if len(program) > MAX_INSTRUCTIONS:
        raise UsageError(f"its filter has {len(program)} instructions, the kernel takes {MAX_INSTRUCTIONS}")
    return program.encoded()


def _search(program: bpf.Program, policy: Policy, abi: str) -> int:
    """The part for one architecture."""
    ranges = _ranges(policy, abi)
    leaves: dict[Chain, int] = {}
    for _, chain in ranges:
        if chain and chain[0][0] and chain not in leaves:
            leaves[chain] = _rules(program, chain, policy.default)

    def leaf(chain: Chain) -> int:
        if chain in leaves:
            return leaves[chain]
        return program.returns(chain[0][1] if chain else policy.default)

    def tree(first: int, last: int) -> int:
        if first == last:
            return leaf(ranges[first][1])
        middle = (first + last + 1) // 2
        right = tree(middle, last)
        left = tree(first, middle - 1)
        return program.branch(bpf.JUMP_AT_LEAST, ranges[middle][0], right, left)

    return program.load(_NUMBER, tree(0, len(ranges) - 1))


def _ranges(policy: Policy, abi: str) -> list[tuple[int, Chain]]:
    """(first number, how it and those up to the next range are treated), from 0 on."""
    unknown: Chain = () if policy.default == _NO_SUCH_CALL else (((), _NO_SUCH_CALL),)
    chains = _chains(policy, abi)
    named = _named(policy, abi)
    steps: dict[int, Chain] = {0: ()}
    if policy.default & ~DATA not in (ALLOW, LOG, TRACE) and named:
        # A profile cannot have meant to refuse what was not there when it was written, and C libraries go on only after
        # ENOSYS (runc does the same).
        steps[max(named) + 1] = unknown
    for number in sorted(chains):
        steps[number] = chains[number]
        steps.setdefault(number + 1, ())
    if abi == "x86_64":
        steps[_X32] = unknown
    ranges: list[tuple[int, Chain]] = []
    for number in sorted(steps):
        if not ranges or ranges[-1][1] != steps[number]:
            ranges.append((number, steps[number]))
    return ranges


def _chains(policy: Policy, abi: str) -> dict[int, Chain]:
    """The rules of each number that has any. One that only says what the default is says nothing (runc, crun)."""
    numbers = syscall_numbers.numbers(abi)
    chains: dict[int, Chain] = {}
    for rule in policy.rules:
        if rule.action == policy.default:
            continue
        alternatives = _alternatives(rule)
        for name in rule.names:
            if name not in numbers:
                continue
            chain = chains.get(numbers[name], ())
            if chain and not chain[0][0]:
                continue
            chains[numbers[name]] = chain + alternatives if rule.conditions else alternatives
    for rule in policy.first:
        for number in (numbers[name] for name in rule.names if name in numbers):
            chains[number] = _alternatives(rule) + (chains.get(number, ()) if rule.conditions else ())
    return chains


def _alternatives(rule: Rule) -> Chain:
    """Conditions on different arguments hold together. Two on the same one are alternatives: so runc and crun read such a
    rule, because libseccomp takes no more than one for each."""
    if len({condition.index for condition in rule.conditions}) == len(rule.conditions):
        return ((rule.conditions, rule.action),)
    return tuple(((condition,), rule.action) for condition in rule.conditions)


def _named(policy: Policy, abi: str) -> set[int]:
    """The numbers that the profile says anything about."""
    numbers = syscall_numbers.numbers(abi)
    found = {numbers[name] for rule in policy.rules for name in rule.names if name in numbers}
    return {number for number in found if number < _ARM_OWN}


def _rules(program: bpf.Program, chain: Chain, default: int) -> int:
    """Tests the conditions of one call's rules in turn."""
    start = program.returns(default)
    for conditions, action in reversed(chain):
        holds = program.returns(action)
        for condition in reversed(conditions):
            holds = _test(program, condition, holds, start)
        start = holds
    return start


def _test(program: bpf.Program, condition: Condition, yes: int, no: int) -> int:
    """Goes to ``yes`` where the condition holds, else to ``no``. The machine has 32 bits, the argument 64."""
    low = _ARGUMENTS + 8 * condition.index
    high = low + 4
    value = condition.value
    if condition.operator in ("NE", "LT", "LE"):
        yes, no = no, yes  # not EQ, not GE, not GT
    if condition.operator in ("EQ", "NE"):
        return _half(program, high, _WORD, value >> 32, _half(program, low, _WORD, value & _WORD, yes, no), no)
    if condition.operator == "MASKED_EQ":
        wanted = condition.value_two & value
        lower = _half(program, low, value & _WORD, wanted & _WORD, yes, no)
        return _half(program, high, value >> 32, wanted >> 32, lower, no)
    kind = bpf.JUMP_AT_LEAST if condition.operator in ("GE", "LT") else bpf.JUMP_GREATER
    equal = program.load(low, program.branch(kind, value & _WORD, yes, no))
    if value >> 32:
        equal = program.branch(bpf.JUMP_EQUAL, value >> 32, equal, no)
    return program.load(high, program.branch(bpf.JUMP_GREATER, value >> 32, yes, equal))


def _half(program: bpf.Program, offset: int, mask: int, wanted: int, yes: int, no: int) -> int:
    """Whether the masked word at ``offset`` is ``wanted``."""
    if mask == 0:
        return yes
    if mask == _WORD:
        return program.load(offset, program.branch(bpf.JUMP_EQUAL, wanted, yes, no))
    if wanted == 0:
        return program.load(offset, program.branch(bpf.JUMP_ANY_BIT, mask, no, yes))
    if wanted == mask and mask & (mask - 1) == 0:
        return program.load(offset, program.branch(bpf.JUMP_ANY_BIT, mask, yes, no))
    return program.load(offset, program.mask(mask, program.branch(bpf.JUMP_EQUAL, wanted, yes, no)))
