"""System calls about file systems and their disks that ``os`` lacks."""

from __future__ import annotations

import ctypes
import os

_SYNC_FILE_RANGE_WRITE = 2  # <linux/fs.h>


def sync_file_system(fd: int) -> None:
    """Writes everything of the file system that holds ``fd`` to its disk (syncfs(2)). Raises OSError.

    By ctypes: libc has it, and nothing of ours would be added by a C function around it.
    """
    libc = _libc()
    if libc.syncfs(fd):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def start_write_out(fd: int) -> None:
    """Lets the kernel begin to write what is in the file ``fd`` to its disk, and waits for nothing (sync_file_range(2)).

    A hint, without errors: it promises nothing, but leaves less for ``sync_file_system`` to wait for.
    """
    nothing = ctypes.c_int64(0)  # offset 0, and as many bytes as there are
    _libc().sync_file_range(fd, nothing, nothing, _SYNC_FILE_RANGE_WRITE)


def file_system_magic(path: str) -> int:
    """Which kind of file system holds ``path``: ``f_type`` of statfs(2), which ``os.statvfs`` leaves out. Raises OSError."""
    answer = (ctypes.c_long * 32)()  # struct statfs has 120 bytes and begins with it
    libc = _libc()
    if libc.statfs(os.fsencode(path), answer):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return answer[0] & 0xFFFFFFFF


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
