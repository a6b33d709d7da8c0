"""System calls about whole file systems that ``os`` lacks."""

from __future__ import annotations

import ctypes
import os


def sync_file_system(fd: int) -> None:
    """Writes everything of the file system that holds ``fd`` to its disk (syncfs(2)). Raises OSError.

    By ctypes: libc has it, and nothing of ours would be added by a C function around it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(fd):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
