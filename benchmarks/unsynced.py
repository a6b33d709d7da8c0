"""Commands for which some system calls succeed and do nothing: what is left out is then what they cost.

A seccomp filter answers 0 (seccomp(2), SECCOMP_RET_ERRNO without an error). It costs every call a few nanoseconds, so the
other side of a comparison gets one as well, for a call that nobody makes.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from collections.abc import Mapping, Sequence

from tests.support.listener import numbers

SYNCS = ("sync", "syncfs", "fsync", "fdatasync", "sync_file_range", "msync")
NOTHING = ("acct",)  # a call for both sides to have a filter
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_SET_MODE_FILTER = 1


def run(argv: Sequence[str], environ: Mapping[str, str], without: Sequence[str]) -> None:
    """Runs a command without these system calls; its output is dropped, and it must succeed."""
    wanted = [numbers()[name] for name in without]
    code = [struct.pack("HBBI", _LOAD, 0, 0, 0)]
    for number in wanted:
        code += [struct.pack("HBBI", _JUMP_IF_EQUAL, 0, 1, number), struct.pack("HBBI", _RETURN, 0, 0, _ERRNO)]
    code.append(struct.pack("HBBI", _RETURN, 0, 0, _ALLOW))
    body = ctypes.create_string_buffer(b"".join(code))
    program = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(body))
    libc = ctypes.CDLL(None, use_errno=True)

    def install() -> None:
        if libc.syscall(numbers()["seccomp"], _SET_MODE_FILTER, 0, program):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    subprocess.run(argv, env=environ, check=True, stdout=subprocess.DEVNULL, preexec_fn=install)  # noqa: PLW1509
