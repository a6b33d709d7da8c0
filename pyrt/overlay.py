"""How a layer says, in overlayfs's words, that something of a lower layer is gone (overlayfs.rst, "whiteouts and opaque
directories"). The extractor writes these marks (csrc/whiteout.c)."""

from __future__ import annotations

import os
import stat

_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


def is_whiteout(status: os.stat_result) -> bool:
    """Whether this entry hides one of a lower layer: the character device 0:0."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: str, *, follow_symlinks: bool = False) -> bool:
    """Whether the directory at ``path`` hides what lower layers have there. Links are followed only for /proc/self/fd/N, the
    name of an O_PATH fd."""
    for name in _OPAQUE:
        try:
            if os.getxattr(path, name, follow_symlinks=follow_symlinks) == b"y":
                return True
        except OSError:
            continue
    return False
