"""A look into an image without mounting it: its layers, upper ones first, as one tree.

Every name is followed inside of the tree only: absolute links start at its root, ``..`` ends there (BN-04: NixOS keeps
/etc/passwd behind such links). Nothing but directories is opened on the way and nothing but a regular file at the end, so
that a FIFO or a device in an image cannot hold us up (CVE-2024-9676). Whiteouts and opaque directories are overlayfs's
(Documentation/filesystems/overlayfs.rst).
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack

from pyrt.errors import ImageError
from pyrt.oci import limits
from pyrt.overlay import is_opaque, is_whiteout
from pyrt.values import dataclass

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class ImageTree:
    """The union of directories, uppermost first; a plain root directory is a tree of one."""

    def __init__(self, roots: tuple[str, ...]) -> None:
        self.roots = roots

    def read(self, path: str) -> bytes | None:
        """The content of a regular file, None where there is none. Raises ImageError for anything else that stands there,
        for more than limits.TREE_FILE_BYTES bytes, and for a loop of links."""
        return self.read_all(path)[0]

    def read_all(self, *paths: str) -> list[bytes | None]:
        """As ``read``, for several files."""
        with ExitStack() as opened:
            roots = self._open_roots(opened)
            places = [(path, _walk(path, roots, opened)) for path in paths]
            return [None if place is None else _read(place, path) for path, place in places]

    def directories(self, path: str, opened: ExitStack) -> list[int]:
        """The directory at ``path`` in every layer that shows through, as O_PATH fds that ``opened`` closes; none where the
        image has no directory there. Raises ImageError for a loop of links."""
        roots = self._open_roots(opened)
        if not path.strip("/"):
            return roots
        place = _walk(path, roots, opened)
        if place is None or not stat.S_ISDIR(place.status.st_mode):
            return []
        return enter(place.directories, place.name, opened)

    def _open_roots(self, opened: ExitStack) -> list[int]:
        return [_open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, opened) for root in self.roots]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a path leads: the name in ``holder``, the uppermost of ``directories`` that has it, and what it is."""

    directories: list[int]
    holder: int
    name: str
    status: os.stat_result


def _open(name: str, flags: int, opened: ExitStack, parent: int | None = None) -> int:
    fd = os.open(name, flags, dir_fd=parent)
    opened.callback(os.close, fd)
    return fd


def _lookup(directories: list[int], name: str) -> tuple[int, os.stat_result] | None:
    """The uppermost entry of this name: the directory that holds it and its status."""
    for directory in directories:
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return None if is_whiteout(status) else (directory, status)
    return None


def enter(directories: list[int], name: str, opened: ExitStack) -> list[int]:
    """The directories of this name in every layer that shows through."""
    result = []
    for directory in directories:
        try:
            fd = _open(name, _DIRECTORY, opened, directory)
        except FileNotFoundError:
            continue
        except NotADirectoryError:  # a file or a whiteout hides what is below
            break
        result.append(fd)
        if len(directories) > 1 and is_opaque(f"/proc/self/fd/{fd}", follow_symlinks=True):
            break
    return result


def _walk(path: str, roots: list[int], opened: ExitStack) -> _Place | None:
    """The place of what the path leads to, links followed; None where there is nothing."""
    trail = [roots]
    names = _components(path)
    links = 0
    while names:
        name = names.pop(0)
        if name == "..":
            trail = trail[:-1] or [roots]
            continue
        found = _lookup(trail[-1], name)
        if found is None:
            return None
        holder, status = found
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > limits.TREE_LINKS:
                raise ImageError(f"{path}: too many symbolic links in this image")
            target = os.readlink(name, dir_fd=holder)
            if target.startswith("/"):
                trail = [roots]
            names = _components(target) + names
        elif not names:
            return _Place(trail[-1], holder, name, status)
        elif stat.S_ISDIR(status.st_mode):
            trail.append(enter(trail[-1], name, opened))
        else:
            return None
    return None


def _components(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _read(place: _Place, path: str) -> bytes:
    status = place.status
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{path}: not a regular file in this image")
    fd = os.open(place.name, _FILE, dir_fd=place.holder)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ImageError(f"{path}: not a regular file in this image")
        content = _read_up_to(fd, limits.TREE_FILE_BYTES + 1)
    finally:
        os.close(fd)
    if len(content) > limits.TREE_FILE_BYTES:
        raise ImageError(f"{path}: larger than {limits.TREE_FILE_BYTES >> 20} MiB in this image")
    return content


def _read_up_to(fd: int, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := os.read(fd, min(size, 1 << 16))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
