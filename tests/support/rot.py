"""Damage to files as a disk does it."""

from __future__ import annotations

import os
from pathlib import Path


def flip(path: Path, at: int = 0) -> None:
    """One bit of a file, with nothing else of it changed."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
