"""The files of a tar archive, read in place: nothing is extracted.

A compressed archive is decompressed into an unnamed temporary file first, as docker and podman load it too.
"""

from __future__ import annotations

import io
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterator

from pyrt.errors import ImageError, ImageNotFound, InvalidManifest
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
        count, last = 0, -1
        end = os.fstat(self._file.fileno()).st_size
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as archive:
                for info in archive:
                    name, count = self._name(info.name), count + 1
                    if count > limits.ARCHIVE_MEMBERS:
                        raise InvalidManifest(f"{self.where}: more than {limits.ARCHIVE_MEMBERS} files in the archive")
                    if info.size < 0 or info.offset_data <= last:  # older versions of tarfile walk back
                        raise InvalidManifest(f"{self.where}: {name!r} has a negative size")
                    last = info.offset_data
                    if info.isdir():
                        continue
                    if name in seen:
                        raise InvalidManifest(f"{self.where}: {name!r} is in the archive twice")
                    seen.add(name)
                    yield name, self._member(info, name, links, end)
        except (tarfile.TarError, EOFError, ValueError, RecursionError) as error:
            raise InvalidManifest(f"{self.where}: not a tar archive: {error}") from error

    def _member(self, info: tarfile.TarInfo, name: str, links: bool, end: int) -> _Member:
        if links and info.issym():
            target = posixpath.join(posixpath.dirname(name), info.linkname)
            return _Member(start=0, size=0, target=self._name(posixpath.normpath(target)))
        if links and info.islnk():
            return _Member(start=0, size=0, target=self._name(info.linkname))
        if not info.isreg() or info.sparse is not None:
            raise InvalidManifest(f"{self.where}: {name!r} is not a plain file")
        if info.offset_data + info.size > end:
            raise InvalidManifest(f"{self.where}: the archive ends within {name!r}")
        return _Member(start=info.offset_data, size=info.size)

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
