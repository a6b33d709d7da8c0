"""Fills a new volume with what the image has at its place: docker's copy-up.

The image is looked at as an ImageTree and never mounted; what is written goes below a directory fd of the volume, entry by
entry, with nothing followed (CVE-2022-23648: a VOLUME that led out of the image copied the host's files).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack, suppress

from pyrt.overlay import is_whiteout
from pyrt.runtime.tree import ImageTree, enter

_PIECE = 1 << 20


def copy_up(tree: ImageTree, path: str, volume: str) -> None:
    """Copies the directory at ``path`` of the image into ``volume``: types, modes, owners, times, extended attributes.
    Nothing where the image has no directory there. Raises OSError."""
    with ExitStack() as opened:
        sources = tree.directories(path, opened)
        if not sources:
            return
        target = os.open(volume, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        opened.callback(os.close, target)
        _copy_directory(sources, target)


def _copy_directory(sources: list[int], target: int) -> None:
    seen: set[str] = set()
    for layer in sources:
        for name in _names(layer):
            if name in seen:
                continue
            seen.add(name)
            status = os.stat(name, dir_fd=layer, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                _copy_below(sources[sources.index(layer) :], name, target)
            elif not is_whiteout(status):
                _copy_entry(layer, name, status, target)
    _copy_metadata(os.fstat(sources[0]), f"/proc/self/fd/{sources[0]}", f"/proc/self/fd/{target}", follow=True)


def _names(directory: int) -> list[str]:
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.listdir(fd)
    finally:
        os.close(fd)


def _copy_below(layers: list[int], name: str, target: int) -> None:
    os.mkdir(name, 0o700, dir_fd=target)
    with ExitStack() as opened:
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=target)
        opened.callback(os.close, inner)
        _copy_directory(enter(layers, name, opened), inner)


def _copy_entry(layer: int, name: str, status: os.stat_result, target: int) -> None:
    if stat.S_ISREG(status.st_mode):
        _copy_content(layer, name, target)
    elif stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=layer), name, dir_fd=target)
    elif stat.S_ISSOCK(status.st_mode):
        return
    else:
        os.mknod(name, status.st_mode, status.st_rdev, dir_fd=target)
    paths = (f"/proc/self/fd/{layer}/{name}", f"/proc/self/fd/{target}/{name}")
    _copy_metadata(status, *paths, follow=False)


def _copy_content(layer: int, name: str, target: int) -> None:
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=layer)
    try:
        made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            _copy_data(source, made, os.fstat(source).st_size)
        finally:
            os.close(made)
    finally:
        os.close(source)


def _copy_data(source: int, made: int, size: int) -> None:
    """What is a hole stays one: an image's file of a terabyte may have no data at all."""
    os.ftruncate(made, size)
    at = 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            raise
        end = os.lseek(source, at, os.SEEK_HOLE)
        os.lseek(made, at, os.SEEK_SET)
        while at < end and (sent := os.sendfile(made, source, at, min(_PIECE, end - at))):
            at += sent


def _copy_metadata(status: os.stat_result, source: str, target: str, *, follow: bool) -> None:
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=follow)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(target, stat.S_IMODE(status.st_mode))
    with suppress(OSError):  # a file system of the volume without them, as cp -a has it
        for name in os.listxattr(source, follow_symlinks=follow):
            if not name.startswith(("trusted.overlay.", "user.overlay.")):
                value = os.getxattr(source, name, follow_symlinks=follow)
                os.setxattr(target, name, value, follow_symlinks=follow)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=follow)
