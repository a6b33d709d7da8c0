"""The containers of a store: a directory each, with a record of what it is and how it stands.

    containers/<id>/record.json   replaced by rename, never changed; the OCI spec is in it
                    root/         an empty directory, where the root is put together in the container's own mount namespace
                    upper/ work/  what it wrote (overlayfs)
                    etc/          hosts, hostname, resolv.conf
                    volume<n>/    an anonymous volume of a read-only root
    names/<name>                  a link to the id; whoever makes it has the name

All but the record is made by the child between clone and exec; for a container that goes away with its process it usually
lies on a tmpfs of the container's own mount namespace, and there is nothing to clean up.

The process that runs a container holds a flock(2) on its directory. A record that says "running" without a holder tells
of an owner that died: the container is over, and one that was to be removed is removed by the next command.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace

from pyrt.errors import ContainerNotFound, NameInUse, UsageError
from pyrt.store.layout import StoreLayout, refused
from pyrt.store.removal import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1
_ID = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")

CREATED, RUNNING, EXITED = "created", "running", "exited"
SWEEP_AT_START = 16
HALF_MADE = 60.0  # seconds after which a directory that nobody holds, without a record, is nobody's
OWNER_DIED = 137  # the exit code that a container gets when the process that ran it was killed


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One container. Times are RFC 3339 texts in UTC, "" for not yet. ``layers`` and ``image_digest`` keep what it needs
    from garbage collection. ``state`` is created, running or exited."""

    version: int = VERSION
    id: str
    name: str
    image: str
    image_digest: str
    layers: tuple[str, ...]
    command: tuple[str, ...]
    created: str
    state: str = CREATED
    pid: int = 0
    started: str = ""
    finished: str = ""
    exit_code: int = 0
    error: str = ""
    remove: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    stop_signal: str = ""  # as the caller or the image has it, "" for SIGTERM
    stop_timeout: int | None = None  # seconds, None for the default
    spec: dict[str, Any] = field(default_factory=dict)  # OCI runtime-spec, config.json

    @classmethod
    def parse(cls, raw: bytes) -> Record:
        """A record of this version. Raises ValueError for anything else."""
        data = json.loads(raw)
        if not isinstance(data, dict) or data.get("version") != VERSION or not _ID.fullmatch(str(data.get("id"))):
            raise ValueError("not a record of this version")
        data["layers"] = tuple(data["layers"])
        data["command"] = tuple(data["command"])
        data["labels"] = tuple((str(name), str(value)) for name, value in data["labels"])
        try:
            return cls(**data)
        except TypeError as error:
            raise ValueError(str(error)) from error

    def to_json(self) -> dict[str, Any]:
        """The document that ``parse`` reads."""
        return {name: getattr(self, name) for name in self.__slots__}


class Held:
    """A container that this process runs: its directory, locked."""

    def __init__(self, path: str, fd: int, record: Record, containers: Containers) -> None:
        self.path, self.record = path, record
        self._fd, self._containers = fd, containers

    def write(self, **changes: Any) -> None:
        """The record with these changes, on disk by the time this returns."""
        self.record = replace(self.record, **changes)
        _replace(f"{self.path}/record.json", _encode(self.record))

    def release(self) -> None:
        """Gives the lock up; the container is nobody's now."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def remove(self) -> None:
        """Removes the container and everything of it."""
        self._containers.discard(self.record)
        self.release()


class Containers:
    """All containers of one store."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout

    def create(self, record: Record) -> Held:
        """Makes the directory and the record. Raises NameInUse, NoSpace, StoreError. Call it while the store is in use
        (Store.using), so that nothing of the image goes away in between, and no sweep takes the half-made directory."""
        path = self.path(record.id)
        try:
            os.mkdir(path, 0o700)
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(fd, fcntl.LOCK_EX)
            held = Held(path, fd, record, self)
            try:
                if record.name != automatic_name(record.id):
                    self._take_name(record)
                _write_new(f"{path}/record.json", _encode(record))
            except BaseException:
                held.remove()
                raise
            return held
        except OSError as error:
            raise refused(path, error) from error

    def path(self, container_id: str) -> str:
        """The directory of a container."""
        return f"{self._layout.containers}/{container_id}"

    def list(self) -> tuple[Record, ...]:
        """Every readable record as it stands now, the newest first."""
        records = [record for name in os.listdir(self._layout.containers) if (record := self._load(name))]
        return tuple(sorted(records, key=lambda record: record.created, reverse=True))

    def find(self, text: str) -> Record:
        """A container by name, id or the unambiguous beginning of an id. Raises ContainerNotFound, UsageError."""
        if text.startswith("pyrt-") and (record := self._load_prefix(text.removeprefix("pyrt-"), text)):
            return record
        if _NAME.fullmatch(text):
            with suppress(OSError):
                record = self._load(os.readlink(f"{self._layout.names}/{text}"))
                if record is not None and record.name == text:
                    return record
        if text and all(c in "0123456789abcdef" for c in text):
            record = self._load_prefix(text, text)
            if record is not None:
                return record
        raise ContainerNotFound(f"container {text}: no such container", hint="pyrt ps -a lists them")

    def reload(self, record: Record) -> Record | None:
        """The record as it stands now, None when the container is gone."""
        return self._load(record.id)

    def remove(self, record: Record) -> None:
        """Removes a container that nobody runs. Raises ContainerNotFound where somebody was faster."""
        if not os.path.isdir(self.path(record.id)):
            raise ContainerNotFound(f"container {record.id[:12]}: no such container")
        self.discard(record)

    def discard(self, record: Record) -> None:
        """Takes a container out of sight by one rename, then deletes it; what a kill leaves of it is swept."""
        name = f"container-{record.id}"
        with suppress(OSError):
            if record.name and os.readlink(f"{self._layout.names}/{record.name}") == record.id:
                os.unlink(f"{self._layout.names}/{record.name}")
        path = self.path(record.id)
        with suppress(OSError):
            if record.remove:  # the rest was in memory, more often than not
                os.unlink(f"{path}/record.json")
                os.rmdir(path)
                return
        with suppress(FileNotFoundError):
            os.rename(path, f"{self._layout.tmp}/{name}")
            remove_tree(f"{self._layout.tmp}/{name}")

    def sweep(self) -> None:
        """Removes what dead owners have left: containers that were to go with their process, and half-made ones."""
        for name in os.listdir(self._layout.containers):
            self._sweep_one(name)
        for name in os.listdir(self._layout.names):
            with suppress(OSError):
                if not os.path.isdir(self.path(os.readlink(f"{self._layout.names}/{name}"))):
                    os.unlink(f"{self._layout.names}/{name}")

    def sweep_some(self) -> None:
        """As ``sweep``, for a start: it looks at a few only, so that a thousand containers do not slow down the next."""
        with os.scandir(self._layout.containers) as entries:
            for entry, _ in zip(entries, range(SWEEP_AT_START)):
                self._sweep_one(entry.name)

    def _sweep_one(self, name: str) -> None:
        """Removes one container if its owner is dead and it was to go with him, or if it never got a record."""
        try:
            fd = os.open(self.path(name), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            record = self._read(name)
            # A directory without a lock and without a record is being made right now, unless it is old.
            if record.remove if record is not None else time.time() - os.fstat(fd).st_mtime > HALF_MADE:
                self.discard(record or _unknown(name))
        except BlockingIOError:
            return
        finally:
            os.close(fd)

    def is_held(self, container_id: str) -> bool:
        """Whether a process runs this container right now."""
        try:
            fd = os.open(self.path(container_id), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def _load_prefix(self, prefix: str, text: str) -> Record | None:
        found = [name for name in os.listdir(self._layout.containers) if name.startswith(prefix)]
        if len(found) > 1:
            raise UsageError(f"container {text}: {len(found)} ids begin with that", hint="give more of it")
        return self._load(found[0]) if found else None

    def _take_name(self, record: Record) -> None:
        link = f"{self._layout.names}/{record.name}"
        for _ in range(2):
            try:
                os.symlink(record.id, link)
                return
            except FileExistsError:
                with suppress(FileNotFoundError):
                    other = os.readlink(link)
                    if os.path.isdir(self.path(other)):
                        raise NameInUse(
                            f"container name {record.name!r}: taken by {other[:12]}",
                            hint=f"pyrt rm {record.name}, or another --name",
                        ) from None
                    os.unlink(link)  # its container is gone: a kill came between the two
        raise NameInUse(f"container name {record.name!r}: taken")

    def _read(self, name: str) -> Record | None:
        try:
            with open(f"{self.path(name)}/record.json", "rb") as file:
                return Record.parse(file.read())
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _load(self, name: str) -> Record | None:
        """The record, corrected where its owner has died."""
        record = self._read(name) if _ID.fullmatch(name) else None
        if record is not None and record.state != EXITED and not self.is_held(name):
            record = self._read(name)  # it may have ended between the two looks
            if record is not None and record.state != EXITED:
                died = "the process that ran it was killed"
                return replace(record, state=EXITED, exit_code=OWNER_DIED, pid=0, error=died)
        return record


def _unknown(name: str) -> Record:
    """A stand-in for a container whose record cannot be read."""
    return Record(id=name, name="", image="", image_digest="", layers=(), command=(), created="")


def check_name(name: str) -> str:
    """docker's grammar for names. Raises UsageError."""
    if not _NAME.fullmatch(name) or len(name) > 200:
        raise UsageError(f"container name {name!r}: not [a-zA-Z0-9][a-zA-Z0-9_.-]*")
    return name


def automatic_name(container_id: str) -> str:
    """The name of a container that was given none: it says nothing that the id does not, so nobody has to register it."""
    return f"pyrt-{container_id[:12]}"


def _encode(record: Record) -> bytes:
    return json.dumps(record.to_json()).encode()


def _write_new(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)


def _replace(path: str, data: bytes) -> None:
    """A file that changes as a whole. No fsync: after a power cut no container runs, and a lost record is a lost one."""
    temporary = f"{path}.new"
    try:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        _write_new(temporary, data)
        os.rename(temporary, path)
    except OSError as error:
        raise refused(path, error) from error
