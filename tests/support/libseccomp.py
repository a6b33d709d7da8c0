"""Filters that libseccomp makes of the same rules: an answer that nobody here has written."""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import os
from collections.abc import Mapping
from typing import Any

from tests.support.bpf import Filter
from tests.support.parts import missing
from tests.support.seccomp_profile import returned

_OPERATORS = {"NE": 1, "LT": 2, "LE": 3, "EQ": 4, "GE": 5, "GT": 6, "MASKED_EQ": 7}  # enum scmp_compare


class _Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def library() -> ctypes.CDLL:
    """libseccomp; skips or fails the test where it is missing."""
    name = ctypes.util.find_library("seccomp") or "libseccomp.so.2"
    try:
        loaded = ctypes.CDLL(name)
    except OSError:
        missing("libseccomp is not installed")
    loaded.seccomp_init.restype = ctypes.c_void_p
    loaded.seccomp_init.argtypes = [ctypes.c_uint32]
    loaded.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Comparison),
    ]  # fmt: skip
    loaded.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    loaded.seccomp_release.argtypes = [ctypes.c_void_p]
    return loaded


def filter_of(seccomp: Mapping[str, Any], numbers: Mapping[str, int]) -> Filter:
    """The filter for resolved rules (the OCI's ``linux.seccomp``) on this machine's own ABI, built as runc builds it."""
    scmp = library()
    default = returned(seccomp["defaultAction"], seccomp.get("defaultErrnoRet"))
    context = scmp.seccomp_init(default)
    assert context
    try:
        for rule in seccomp["syscalls"]:
            action = returned(rule["action"], rule.get("errnoRet"))
            conditions = [
                _Comparison(c["index"], _OPERATORS[c["op"].removeprefix("SCMP_CMP_")], c["value"], c.get("valueTwo", 0))
                for c in rule.get("args", [])
            ]
            together = len({c.arg for c in conditions}) == len(conditions)
            for name in rule["names"]:
                if action == default or name not in numbers:
                    continue
                for group in [conditions] if together else [[c] for c in conditions]:
                    array = (_Comparison * len(group))(*group)
                    result = scmp.seccomp_rule_add_array(context, action, numbers[name], len(group), array)
                    assert result in (0, -errno.EEXIST), (rule, os.strerror(-result))
        return Filter(_exported(scmp, context))
    finally:
        scmp.seccomp_release(context)


def _exported(scmp: ctypes.CDLL, context: int) -> bytes:
    fd = os.memfd_create("bpf")
    with open(fd, "rb") as file:
        assert scmp.seccomp_export_bpf(context, fd) == 0
        file.seek(0)
        return file.read()
