"""A root without overlayfs: what an image's layers say together, copied into one directory.

Layers are stacked as overlayfs does it (overlayfs.rst): a name of an upper layer hides the same below, a whiteout hides it
without taking its place, an opaque directory hides all that lower ones have in it. Nothing is followed: every name is looked
up in a directory that is open. Contents are reflinked where the file system can, else copied, and holes stay holes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import ExitStack, suppress

from pyrt.overlay import is_opaque, is_whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FICLONE = 0x40049409  # ioctl_ficlone(2)
_SMALL = 1 << 17  # bytes that one read takes: below, two calls are faster than any that copies in the kernel
_REACH = 3000  # bytes of a path that one open takes, well below PATH_MAX
_NO_ATTRIBUTES = (errno.ENOTSUP, errno.EPERM, errno.EACCES)
_NO_OWNERS = (errno.EPERM, errno.EINVAL)  # not root, or an id that the user namespace has no name for


def copy_layers(layers: tuple[str, ...], into: str) -> None:
    """Copies ``layers``, uppermost first, into the empty directory ``into``, which is made where it is missing: types, modes,
    times, extended attributes and hard links; owners where we may. Device nodes and sockets are left out: nobody opens those of
    an image. Raises OSError; what has been copied until then stays."""
    with suppress(FileExistsError):
        os.mkdir(into, 0o700)
    with ExitStack() as opened:
        _Copy(tuple(_opened(layer, opened) for layer in layers), _opened(into, opened)).run()


def _opened(path: str, opened: ExitStack) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    opened.callback(os.close, fd)
    return fd


class _Copy:
    """One copy under way. A directory is named by its path from the root: few fds are open, however deep the image is."""

    def __init__(self, layers: tuple[int, ...], target: int) -> None:
        self._layers, self._target = layers, target
        self._links: dict[tuple[int, int], tuple[str, str]] = {}  # (layer, inode) -> directory and name of its copy
        self._pending: list[tuple[str, list[int]]] = [("", list(range(len(layers))))]
        self._reflinks = True

    def run(self) -> None:
        """Parents first; what a directory is comes last, because every entry changes its times, and some may not be written."""
        made: list[tuple[str, int]] = []
        while self._pending:
            path, layers = self._pending.pop()
            if layers:
                self._copy_directory(path, layers)
                made.append((path, layers[0]))
        for path, layer in reversed(made):
            with ExitStack() as opened:
                source, target = _descend(self._layers[layer], path, opened), _descend(self._target, path, opened)
                _copy_metadata(os.fstat(source), source, target)

    def _copy_directory(self, path: str, layers: list[int]) -> None:
        with ExitStack() as opened:
            target = _descend(self._target, path, opened)
            sources = [(layer, _descend(self._layers[layer], path, opened)) for layer in layers]
            seen: set[str] = set()
            for number, (layer, source) in enumerate(sources):
                with os.scandir(source) as entries:
                    names = [entry.name for entry in entries]
                for name in names:
                    if name in seen:
                        continue
                    seen.add(name)
                    status = os.stat(name, dir_fd=source, follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        os.mkdir(name, 0o700, dir_fd=target)
                        self._pending.append((f"{path}/{name}" if path else name, _showing(sources[number:], name)))
                    else:
                        self._copy_entry(layer, source, path, name, status, target)

    def _copy_entry(
        self, layer: int, source: int, path: str, name: str, status: os.stat_result, target: int
    ) -> None:
        if is_whiteout(status):
            return
        if status.st_nlink > 1 and not stat.S_ISLNK(status.st_mode):
            first = self._links.setdefault((layer, status.st_ino), (path, name))
            if first != (path, name):
                with ExitStack() as opened:
                    directory = _descend(self._target, first[0], opened)
                    os.link(first[1], name, src_dir_fd=directory, dst_dir_fd=target, follow_symlinks=False)
                return
        if stat.S_ISREG(status.st_mode):
            self._copy_file(source, name, target)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            _copy_link_metadata(status, name, target)
        elif stat.S_ISFIFO(status.st_mode):
            os.mkfifo(name, 0o600, dir_fd=target)
            made = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=target)
            try:
                _copy_metadata(status, -1, made)
            finally:
                os.close(made)

    def _copy_file(self, source: int, name: str, target: int) -> None:
        read = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
        try:
            made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=target)
            try:
                status = os.fstat(read)
                self._copy_content(read, made, status.st_size)
                _copy_metadata(status, read, made)
            finally:
                os.close(made)
        finally:
            os.close(read)

    def _copy_content(self, read: int, made: int, size: int) -> None:
        if size == 0:
            return
        if self._reflinks:
            try:
                fcntl.ioctl(made, _FICLONE, read)
                return
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                    raise
                self._reflinks = False  # two file systems, or one that cannot: not for the next file either
        if size <= _SMALL:
            content = os.read(read, size)
            if len(content) == size and os.write(made, content) == size:
                return
            os.ftruncate(made, 0)
        _copy_with_holes(read, made, size)


def _descend(root: int, path: str, opened: ExitStack) -> int:
    """The directory at a path below another one, open for the length of the block. Longer than PATH_MAX it may be, too."""
    fd = root
    while path:
        if len(path) > _REACH:
            end = path.rfind("/", 0, _REACH)
            piece, path = path[:end], path[end + 1 :]
        else:
            piece, path = path, ""
        fd = os.open(piece, _DIRECTORY, dir_fd=fd)
        opened.callback(os.close, fd)
    return fd


def _showing(sources: list[tuple[int, int]], name: str) -> list[int]:
    """The layers whose directory of this name shows through."""
    found = []
    for layer, source in sources:
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=source)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):  # a file, a whiteout or a link hides what is below
                break
            raise
        try:
            found.append(layer)
            if len(sources) > 1 and is_opaque(f"/proc/self/fd/{fd}", follow_symlinks=True):
                break
        finally:
            os.close(fd)
    return found


def _copy_with_holes(read: int, made: int, size: int) -> None:
    os.ftruncate(made, size)
    at = 0
    while at < size:
        try:
            at = os.lseek(read, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            raise
        end = os.lseek(read, at, os.SEEK_HOLE)
        while at < end:
            at += _copied(read, made, at, end - at)


def _copied(read: int, made: int, at: int, size: int) -> int:
    try:
        count = os.copy_file_range(read, made, size, at, at)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM):
            raise
        os.lseek(made, at, os.SEEK_SET)
        count = os.sendfile(made, read, at, size)
    if count == 0:
        raise OSError(errno.EIO, "a file of a layer is shorter than it was")
    return count


def _copy_metadata(status: os.stat_result, source: int, target: int) -> None:
    """By fd, of anything that can be opened; -1 for a source that cannot, and has no attributes."""
    try:
        os.fchown(target, status.st_uid, status.st_gid)
    except OSError as error:
        if error.errno not in _NO_OWNERS:
            raise
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    if source >= 0:
        _copy_attributes(source, target)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_attributes(source: int, target: int) -> None:
    try:
        names = os.listxattr(source)
    except OSError:  # a file system without any
        return
    for name in names:
        if name.startswith(("trusted.overlay.", "user.overlay.")):
            continue
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:  # a kind that there is not here, or that we may not set: as cp -a has it
            if error.errno not in _NO_ATTRIBUTES:
                raise


def _copy_link_metadata(status: os.stat_result, name: str, target: int) -> None:
    try:
        os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_OWNERS:
            raise
    os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=target, follow_symlinks=False)
