"""What a profile in docker's format says about one call, read straight off the JSON.

Nothing of pyrt's is used, and the way is another: no resolved rules and no tables, for each call the whole document is gone
through. Semantics: moby's profiles/seccomp/seccomp_linux.go (which rules hold), runc's libcontainer/seccomp (which rule
decides, what is not known to the profile).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

KILL_PROCESS, KILL_THREAD, TRAP, ERRNO = 0x80000000, 0, 0x30000, 0x50000
TRACE, LOG, ALLOW = 0x7FF00000, 0x7FFC0000, 0x7FFF0000
ENOSYS = ERRNO | errno.ENOSYS
EPERM = ERRNO | errno.EPERM

_COMPARE: dict[str, Callable[[int, int, int], bool]] = {
    "SCMP_CMP_NE": lambda argument, value, two: argument != value,
    "SCMP_CMP_LT": lambda argument, value, two: argument < value,
    "SCMP_CMP_LE": lambda argument, value, two: argument <= value,
    "SCMP_CMP_EQ": lambda argument, value, two: argument == value,
    "SCMP_CMP_GE": lambda argument, value, two: argument >= value,
    "SCMP_CMP_GT": lambda argument, value, two: argument > value,
    "SCMP_CMP_MASKED_EQ": lambda argument, value, two: argument & value == two & value,
}


def returned(action: str, number: int | None) -> int:
    """The filter's answer for a word of the document."""
    match action:
        case "SCMP_ACT_ERRNO":
            return ERRNO | (errno.EPERM if number is None else number)
        case "SCMP_ACT_TRACE":
            return TRACE | (errno.EPERM if number is None else number)
        case "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD":
            return KILL_THREAD
    return {"PROCESS": KILL_PROCESS, "TRAP": TRAP, "LOG": LOG, "ALLOW": ALLOW}[action.rpartition("_")[2]]


def answer(
    document: Mapping[str, Any],
    numbers: Mapping[str, int],
    number: int,
    arguments: Sequence[int],
    *,
    capabilities: Set[str],
    architecture: str,
    kernel: tuple[int, int],
) -> int:
    """The answer for a call by the machine's own ABI. ``numbers`` is its table, ``architecture`` Go's name."""
    default = returned(document["defaultAction"], document.get("defaultErrnoRet"))
    if architecture == "amd64" and number >= 0x40000000:
        return ENOSYS  # pyrt's own rule: no x32
    holding = [rule for rule in document["syscalls"] if _holds(rule, capabilities, architecture, kernel)]
    known = [numbers[name] for rule in holding for name in _names(rule) if name in numbers]
    if default & 0xFFFF0000 not in (ALLOW, LOG, TRACE) and known and number > max(known):
        return ENOSYS
    mine = [rule for rule in holding if any(numbers.get(name) == number for name in _names(rule))]
    answers = [(rule.get("args") or [], returned(rule["action"], rule.get("errnoRet"))) for rule in mine]
    answers = [(conditions, action) for conditions, action in answers if action != default]
    for conditions, action in answers:
        if not conditions:
            return action
    for conditions, action in answers:
        met = [_COMPARE[c["op"]](arguments[c["index"]], c.get("value", 0), c.get("valueTwo", 0)) for c in conditions]
        indices = [condition["index"] for condition in conditions]
        if any(met) if len(set(indices)) < len(indices) else all(met):
            return action
    return default


def _names(rule: Mapping[str, Any]) -> list[str]:
    return [*(rule.get("names") or []), *([rule["name"]] if rule.get("name") else [])]


def _holds(rule: Mapping[str, Any], capabilities: Set[str], architecture: str, kernel: tuple[int, int]) -> bool:
    excludes, includes = rule.get("excludes") or {}, rule.get("includes") or {}
    if architecture in (excludes.get("arches") or []) or capabilities & set(excludes.get("caps") or []):
        return False
    if excludes.get("minKernel") and kernel >= _version(excludes["minKernel"]):
        return False
    if includes.get("arches") and architecture not in includes["arches"]:
        return False
    if includes.get("minKernel") and kernel < _version(includes["minKernel"]):
        return False
    return set(includes.get("caps") or []) <= capabilities


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)
