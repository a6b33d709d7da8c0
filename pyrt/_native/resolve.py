"""Paths of an image, resolved inside its root."""

from __future__ import annotations

import os

from pyrt._native._core import ffi, lib


def resolve(root_fd: int, path: str | bytes, flags: int, *, by_walk: bool = False) -> int:
    """Opens ``path`` as if ``root_fd`` were the root of the machine; gives a new fd that the caller closes.

    ``flags`` are those of ``os.open`` without O_CREAT, O_CLOEXEC is added. No symbolic link and no ``..`` leads out;
    magic links of /proc do not work. ``by_walk`` takes the way that is otherwise for kernels without openat2. Raises
    OSError. Source: openat2(2), RESOLVE_IN_ROOT.
    """
    name = os.fsencode(path)
    if b"\0" in name:
        raise ValueError("embedded null byte")
    fd: int = (lib.pyrt_resolve_by_walk if by_walk else lib.pyrt_resolve)(root_fd, name, flags)
    if fd < 0:
        raise OSError(ffi.errno, os.strerror(ffi.errno), os.fsdecode(name))
    return fd
