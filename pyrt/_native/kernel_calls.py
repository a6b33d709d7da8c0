"""Whether the kernel has a system call, and lets this process make it."""

from __future__ import annotations

import ctypes
import errno

# They ask for CAP_SYS_ADMIN before they look at anything else: EPERM says nothing of a filter.
_PRIVILEGED = (429, 430)  # move_mount, fsopen


def is_there(number: int) -> bool:
    """Made with arguments that none of those that pyrt asks for (pyrt.kernel_features) can do anything with: fds, pointers and
    flags that there are none of. An answer that is about them says that it is there."""
    libc = ctypes.CDLL(None, use_errno=True)
    nothing = ctypes.c_long(-1)
    ctypes.set_errno(0)
    libc.syscall(ctypes.c_long(number), nothing, ctypes.c_long(0), nothing, ctypes.c_long(0), ctypes.c_long(0))
    code = ctypes.get_errno()
    return code != errno.ENOSYS and (code != errno.EPERM or number in _PRIVILEGED)
