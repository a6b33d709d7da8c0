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
            return [_find_and_read(path, roots) for path in paths]

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


class _Trail:
    """The directories from the root to where a walk stands. Those that it leaves are closed, so that a path which goes
    up and down for ever does not use up our descriptors."""

    def __init__(self, roots: list[int]) -> None:
        self._roots = roots
        self._levels: list[tuple[list[int], ExitStack]] = []

    @property
    def here(self) -> list[int]:
        return self._levels[-1][0] if self._levels else self._roots

    def enter(self, name: str) -> None:
        level = ExitStack()
        above = self.here
        self._levels.append(([], level))  # before anything is opened: an error closes it too
        self._levels[-1] = (enter(above, name, level), level)

    def up(self) -> None:
        if self._levels:
            self._levels.pop()[1].close()

    def close(self) -> None:
        while self._levels:
            self.up()


def _find_and_read(path: str, roots: list[int]) -> bytes | None:
    with ExitStack() as opened:
        place = _walk(path, roots, opened)
        return None if place is None else _read(place, path)


def _walk(path: str, roots: list[int], opened: ExitStack) -> _Place | None:
    """The place of what the path leads to, links followed; None where there is nothing. Its directories stay open as long
    as ``opened`` does. Raises ImageError."""
    trail = _Trail(roots)
    opened.callback(trail.close)
    try:
        return _follow(path, trail)
    except OSError as error:  # a name that is too long, more levels than we may have descriptors
        raise ImageError(f"{path}: the way to it in this image: {error.strerror}") from error


def _follow(path: str, trail: _Trail) -> _Place | None:
    names = _components(path)
    links = steps = 0
    while names:
        name = names.pop(0)
        steps += 1
        if steps > limits.TREE_STEPS:
            raise ImageError(f"{path}: the way to it is too long in this image")
        if name == "..":
            trail.up()
            continue
        found = _lookup(trail.here, name)
        if found is None:
            return None
        holder, status = found
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > limits.TREE_LINKS:
                raise ImageError(f"{path}: too many symbolic links in this image")
            target = os.readlink(name, dir_fd=holder)
            if target.startswith("/"):
                trail.close()
            names = _components(target) + names
        elif not names:
            return _Place(trail.here, holder, name, status)
        elif stat.S_ISDIR(status.st_mode):
            trail.enter(name)
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
