"""Device rules of a cgroup v2: an eBPF program is loaded and put on the cgroup (bpf(2))."""

from __future__ import annotations

import os

from pyrt._native._core import ffi, lib

INSTRUCTION = 8  # bytes, struct bpf_insn


def load(program: bytes) -> int:
    """An fd of the program, verified by the kernel; the caller closes it. Raises OSError: ENOSYS or EINVAL where the kernel
    is built without, EPERM without CAP_BPF or CAP_SYS_ADMIN, EACCES and E2BIG for a program that it does not take."""
    fd = int(lib.pyrt_device_filter_load(ffi.from_buffer(program), len(program) // INSTRUCTION))
    if fd < 0:
        raise OSError(ffi.errno, os.strerror(ffi.errno))
    return fd


def attach(cgroup: int, program: int) -> None:
    """Puts the program on a cgroup (an fd of its directory), for as long as the cgroup exists. Raises OSError."""
    if lib.pyrt_device_filter_attach(cgroup, program) < 0:
        raise OSError(ffi.errno, os.strerror(ffi.errno))
