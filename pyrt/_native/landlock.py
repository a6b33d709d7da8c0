"""What this process may use of Landlock (landlock(7))."""

from __future__ import annotations

from pyrt._native._core import lib


def version() -> int:
    """The version of its interface, 0 where there is none."""
    return int(lib.pyrt_landlock_version())
