"""Docker's default sandbox, made here: ``python -m tests.chroot.sandbox CMD...`` runs CMD as root with docker's fourteen
capabilities and nothing else, under a filter like docker's, which forbids mounts and namespaces.

What docker does is done in docker's order: the filter without no_new_privs, while there still is CAP_SYS_ADMIN, then the
bounding set, then an exec, by which root gets what that has.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

from pyrt.runtime import capabilities, seccomp

DOCKER = (
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE", "NET_RAW",
    "SYS_CHROOT", "MKNOD", "AUDIT_WRITE", "SETFCAP",
)  # fmt: skip
_PR_SET_SECCOMP, _PR_CAPBSET_DROP, _MODE_FILTER = 22, 24, 2


def confine() -> None:
    """This process and all that it executes are in the sandbox from now on."""
    held = capabilities.bits(DOCKER)
    code = seccomp.compiled(seccomp.DEFAULT, capabilities=held, cache="")
    body = ctypes.create_string_buffer(code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(body)), 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")
    for number in range(64):
        if not held >> number & 1:
            libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)


def main() -> None:
    confine()
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
