"""Runs a command on a kernel that lacks some system calls: ``python -m tests.support.enosys openat2,clone3 -- CMD``.

A seccomp filter answers ENOSYS to them, in the command and all that it starts, as an older kernel would (seccomp(2)).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

# The numbers since Linux 5.2 are the same on every architecture.
NUMBERS = {
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_open": 434,
    "clone3": 435, "close_range": 436, "openat2": 437, "pidfd_getfd": 438, "faccessat2": 439, "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "sethostname": 170 if os.uname().machine == "x86_64" else 161,
    "unshare": 272 if os.uname().machine == "x86_64" else 97,
    "process_vm_readv": 310 if os.uname().machine == "x86_64" else 270,
    "pivot_root": 155 if os.uname().machine == "x86_64" else 41,
}  # fmt: skip

NEWER = ("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "clone3", "close_range", "openat2", "mount_setattr")

_LOAD_NUMBER, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2


def forbid(names: tuple[str, ...], answer: int = errno.ENOSYS) -> None:
    """From now on these calls answer that error in this process and its children."""
    numbers = [NUMBERS[name] for name in names]
    code = [struct.pack("HBBI", _LOAD_NUMBER, 0, 0, 0)]
    code += [struct.pack("HBBI", _JUMP_IF_EQUAL, len(numbers) - i, 0, n) for i, n in enumerate(numbers)]
    code += [struct.pack("HBBI", _RETURN, 0, 0, _ALLOW), struct.pack("HBBI", _RETURN, 0, 0, _ERRNO | answer)]
    body = ctypes.create_string_buffer(b"".join(code))
    program = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(body))
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0:
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")


def main() -> None:
    names, separator, *command = sys.argv[1:]
    assert separator == "--" and command, __doc__
    forbid(NEWER if names == "newer" else tuple(names.split(",")))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
