"""The files of a tar archive, read in place: nothing is extracted.

A compressed archive is decompressed into an unnamed temporary file first, as docker and podman load it too.
"""

from __future__ import annotations

import io
import os
import posixpath
import stat
from collections.abc import Iterator

from pyrt._native import listing
from pyrt.errors import ImageError, ImageNotFound, InvalidManifest, LayerError
from pyrt.oci import limits
from pyrt.registry.archive_compression import spool
from pyrt.registry.members import chunks, unreadable
from pyrt.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    start: int  # of the content, in the archive
    size: int
    target: str | None = None  # the member that a link means


class TarMembers:
    """The regular files of the tar archive at ``path``.

    ``links`` allows symbolic and hard links between members (docker-archive), otherwise they are an error. Raises
    InvalidManifest for a name that is absolute, has "..", or is there twice, and for anything but files and folders.
    ``tmp_dir`` is where a compressed archive is decompressed.
    """

    def __init__(self, path: str, *, links: bool = False, tmp_dir: str | None = None) -> None:
        self.where = path
        self._file = _open(path, tmp_dir)
        try:
            self._table = dict(self._index(links))
        except BaseException:
            self.close()
            raise

    def has(self, name: str) -> bool:
        return name in self._table

    def size(self, name: str) -> int:
        return self._find(name).size

    def place(self, name: str) -> tuple[int, int]:
        """Where a member's bytes stand in the archive: start and size, the same for all names of it."""
        member = self._find(name)
        return member.start, member.size

    def stream(self, name: str, offset: int = 0) -> Iterator[bytes]:
        member = self._find(name)
        return chunks(self._file.fileno(), member.start + offset, member.size - offset, self.where)

    def head(self, name: str, length: int) -> bytes:
        """The first ``length`` bytes of a member, less where it is shorter."""
        member = self._find(name)
        return os.pread(self._file.fileno(), min(length, member.size), member.start)

    def close(self) -> None:
        self._file.close()

    def _find(self, name: str) -> _Member:
        for _ in range(limits.ARCHIVE_LINKS):
            member = self._table.get(name)
            if member is None:
                raise ImageNotFound(f"{self.where}: no {name[:200]!r} in the archive")
            if member.target is None:
                return member
            name = member.target
        raise InvalidManifest(f"{self.where}: too many links at {name[:200]!r}")

    def _index(self, links: bool) -> Iterator[tuple[str, _Member]]:
        seen: set[str] = set()
        end = os.fstat(self._file.fileno()).st_size
        try:
            for count, entry in enumerate(listing.entries(self._file.fileno()), 1):
                name = self._name(entry.name)
                if count > limits.ARCHIVE_MEMBERS:
                    raise InvalidManifest(f"{self.where}: more than {limits.ARCHIVE_MEMBERS} files in the archive")
                if entry.kind == listing.DIRECTORY:
                    continue
                if name in seen:
                    raise InvalidManifest(f"{self.where}: {name!r} is in the archive twice")
                seen.add(name)
                yield name, self._member(entry, name, links, end)
        except LayerError as error:
            raise InvalidManifest(f"{self.where}: not a tar archive: {error}") from error
        except OSError as error:
            raise unreadable(self.where, error) from error

    def _member(self, entry: listing.Listed, name: str, links: bool, end: int) -> _Member:
        if links and entry.kind == listing.SYMLINK:
            target = posixpath.join(posixpath.dirname(name), entry.link)
            return _Member(start=0, size=0, target=self._name(posixpath.normpath(target)))
        if links and entry.kind == listing.HARDLINK:
            return _Member(start=0, size=0, target=self._name(entry.link))
        if entry.kind != listing.FILE or entry.sparse:
            raise InvalidManifest(f"{self.where}: {name!r} is not a plain file")
        if entry.start + entry.size > end:
            raise InvalidManifest(f"{self.where}: the archive ends within {name!r}")
        return _Member(start=entry.start, size=entry.size)

    def _name(self, text: str) -> str:
        parts = [part for part in text.split("/") if part not in ("", ".")]
        if text.startswith("/") or ".." in parts or "\0" in text:
            raise InvalidManifest(f"{self.where}: the name {text[:200]!r} leaves the archive")
        return "/".join(parts)


def _open(path: str, tmp_dir: str | None) -> io.FileIO:
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(path, error) from error
    file = io.FileIO(number, "rb")
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise ImageError(f"{path}: not a regular file")
        unpacked = spool(file, path, tmp_dir)
    except BaseException:
        file.close()
        raise
    if unpacked is not file:
        file.close()
    return unpacked
