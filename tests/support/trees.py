"""A file tree as a value, to be compared: everything that a layer can say about a file."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFSOCK: "socket",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """One file. ``links`` are all paths of the tree that are the same inode, sorted; ``content`` is the sha256 of a
    regular file or the target of a symbolic link; ``mtime`` and ``ctime`` are in nanoseconds, ``ctime`` 0 unless it was
    asked for."""

    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    ctime: int
    device: int
    content: bytes
    xattrs: tuple[tuple[str, bytes], ...]
    links: tuple[bytes, ...]


def manifest(root: str | os.PathLike[str], *, ctime: bool = False) -> dict[bytes, Attributes]:
    """Every path below ``root`` (relative; b"" is the root itself) with its attributes. ``ctime`` makes even a change
    and its undoing visible."""
    paths = _walk(os.fsencode(root))
    inodes: dict[tuple[int, int], list[bytes]] = {}
    for path, status in paths.items():
        inodes.setdefault((status.st_dev, status.st_ino), []).append(path)
    return {
        path: _attributes(os.path.join(os.fsencode(root), path), status, ctime, inodes[status.st_dev, status.st_ino])
        for path, status in paths.items()
    }


def _walk(root: bytes) -> dict[bytes, os.stat_result]:
    found = {b"": os.lstat(root)}
    pending = [b""]
    while pending:
        directory = pending.pop()
        for item in os.scandir(os.path.join(root, directory)):
            path = os.path.join(directory, item.name)
            found[path] = item.stat(follow_symlinks=False)
            if stat.S_ISDIR(found[path].st_mode):
                pending.append(path)
    return found


def _attributes(path: bytes, status: os.stat_result, ctime: bool, links: list[bytes]) -> Attributes:
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    return Attributes(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size if kind == "file" else 0,
        mtime=status.st_mtime_ns,
        ctime=status.st_ctime_ns if ctime else 0,
        device=status.st_rdev,
        content=_content(path, kind),
        xattrs=tuple(
            (name, os.getxattr(path, name, follow_symlinks=False)) for name in sorted(os.listxattr(path, follow_symlinks=False))
        ),
        links=tuple(sorted(links)),
    )


def _content(path: bytes, kind: str) -> bytes:
    if kind == "symlink":
        return os.readlink(path)
    if kind != "file":
        return b""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).digest()
