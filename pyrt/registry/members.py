"""Named files of a directory or an archive, read without ever leaving it.

Names are relative, of plain components, and come from constants and validated digests, or are looked up in the table of
an archive: no name from a document is ever a path of the host.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import Protocol

from pyrt.errors import ImageError, ImageNotFound, InvalidManifest

CHUNK = 256 << 10


class Members(Protocol):
    """``where`` is what errors call the whole: the path that the user gave."""

    where: str

    def size(self, name: str) -> int:
        """The size of a file in bytes; ImageNotFound where there is none."""

    def stream(self, name: str, offset: int = 0) -> Iterator[bytes]:
        """The bytes of a file from ``offset`` on, in chunks. A missing file is an error at once."""

    def close(self) -> None: ...


def read(members: Members, name: str, limit: int) -> bytes:
    """A whole file; InvalidManifest where it is larger than ``limit`` bytes."""
    if members.size(name) > limit:
        raise InvalidManifest(f"{members.where}: {name} is larger than {limit} bytes")
    return b"".join(members.stream(name))


class DirectoryMembers:
    """The files below a directory of the host. The last component of a name is never a symbolic link."""

    def __init__(self, path: str) -> None:
        self.where = path
        try:
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise unreadable(path, error) from error

    def open(self, name: str) -> tuple[int, int]:
        """A new file descriptor of a regular file, and its size."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            file = os.open(name, flags, dir_fd=self._folder)
        except OSError as error:
            raise unreadable(f"{self.where}: {name}", error) from error
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            os.close(file)
            raise ImageError(f"{self.where}: {name} is not a regular file")
        return file, status.st_size

    def size(self, name: str) -> int:
        file, size = self.open(name)
        os.close(file)
        return size

    def stream(self, name: str, offset: int = 0) -> Iterator[bytes]:
        file, size = self.open(name)
        return _closing(file, offset, size - offset)

    def close(self) -> None:
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1


def chunks(file: int, start: int, length: int, where: str = "") -> Iterator[bytes]:
    """``length`` bytes of ``file`` from ``start`` on; the file's position is neither used nor moved."""
    while length > 0:
        try:
            chunk = os.pread(file, min(CHUNK, length), start)
        except OSError as error:
            raise unreadable(where, error) from error
        if not chunk:
            return
        start += len(chunk)
        length -= len(chunk)
        yield chunk


def unreadable(what: str, error: OSError) -> ImageError:
    """The error for a file of an image that cannot be opened or read."""
    kind = ImageNotFound if error.errno in (errno.ENOENT, errno.ENOTDIR) else ImageError
    return kind(f"{what}: {os.strerror(error.errno or 0)}")


def _closing(file: int, start: int, length: int) -> Iterator[bytes]:
    try:
        yield from chunks(file, start, length)
    finally:
        os.close(file)
