"""A host tree outside of every container, and whether a container has touched it."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path


def make_canary(directory: Path) -> Path:
    """Files of several kinds, some with names that a runtime makes in a container."""
    directory.mkdir()
    modes = {"secret": 0o400, "setuid": 0o4755}
    for name in ("plain", "secret", "setuid", "null", "ptmx", "passwd", "hosts", "resolv.conf", "hostname", "core"):
        mode = modes.get(name, 0o644)
        (directory / name).write_text(f"content of {name}\n")
        (directory / name).chmod(mode)
    (directory / "folder").mkdir()
    (directory / "link").symlink_to("plain")
    os.link(directory / "plain", directory / "hard")
    os.mkfifo(directory / "fifo")
    os.setxattr(directory / "plain", "user.canary", b"1")
    return directory


def manifest(directory: Path) -> dict[str, object]:
    """Everything about it but access times; the change time tells of what was changed and changed back."""
    found: dict[str, object] = {}
    for path in [directory, *sorted(directory.rglob("*"))]:
        status = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(status.st_mode) else ""
        target = os.readlink(path) if path.is_symlink() else ""
        ids = (
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_size,
            status.st_nlink,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )
        found[str(path)] = (*ids, digest, target)
    return found
