"""The containers of a store: a record each, of what it is and how it stands.

    containers/<id>.json   the record
    containers/<id>/       what it wrote, where that is on disk: root/ upper/ work/ etc/
    scratch/               an empty directory: in the mount namespace of a container that keeps all this in memory, its
                           tmpfs is mounted here
    names/<name>           a link to the id; whoever makes it has the name

A record is two parts: a block of 512 bytes with the state, which is overwritten in place (one sector, so that it is never
torn), and after it what never changes; each with a checksum, so that a damaged record is seen as one. The process that
runs a container holds a flock(2) on the record. One that says "running" without a holder tells of an owner that died: the
container is over, and one that was to go with its owner is removed by the next command. Where its PID 1 has outlived him,
it is ended then (orphans.py).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from binascii import crc32
from contextlib import contextmanager, suppress

from pyrt import cgroupfs
from pyrt.errors import ContainerNotFound, NameInUse, StoreError, UsageError
from pyrt.store import orphans
from pyrt.store.layout import StoreLayout, is_there, refused
from pyrt.store.removal import remove_tree
from pyrt.store.staging import write_all
from pyrt.values import dataclass, field, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

VERSION = 1
STATE_SIZE = 512  # bytes
SUM_SIZE = 10  # of them, at the end: "#", the CRC-32 of those before as eight hex digits, and a line break
ID = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_AUTOMATIC_NAME = re.compile(r"pyrt-([0-9a-f]{12})")

CREATED, RUNNING, EXITED = "created", "running", "exited"
SWEEP_AT_START = 16  # containers that a start looks at
HIDDEN = "container-"  # in tmp/: what a container wrote, on its way out
HALF_MADE = 60.0  # seconds after which a record that nobody holds and nobody can read is nobody's
OWNER_DIED = 137  # the exit code of a container whose owner was killed


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a container stands: created, running or exited. Times are RFC 3339 texts in UTC, "" for not yet; ``pid`` is
    PID 1's in the owner's namespace, 0 when there is none, and ``birth`` its start (pyrt.host.start_time)."""

    state: str = CREATED
    pid: int = 0
    birth: int = 0
    started: str = ""
    finished: str = ""
    exit_code: int = 0
    error: str = ""

    def encode(self) -> bytes:
        """The block of STATE_SIZE bytes."""
        fields = {name: getattr(self, name) for name in State.__slots__}
        block = json.dumps(fields)
        if len(block) > STATE_SIZE - SUM_SIZE:
            block = json.dumps({**fields, "error": "the reason is too long for the record"})
        return summed(block.encode().ljust(STATE_SIZE - SUM_SIZE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One container. ``layers`` (hex of the diff ids) and ``image_digest`` keep what it needs from garbage collection.
    ``in_memory``: what it writes is on a tmpfs that ends with it. ``cgroups`` are the directories of its own cgroups."""

    id: str
    name: str
    image: str
    image_digest: str
    layers: tuple[str, ...]
    command: tuple[str, ...]
    created: str  # RFC 3339
    remove: bool = False
    in_memory: bool = False
    cgroups: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    stop_signal: str = ""  # as the caller or the image has it, "" for SIGTERM
    stop_timeout: int | None = None  # seconds, None for the default
    confinement: dict[str, Any] = field(default_factory=dict)  # what was asked of it, docker's HostConfig
    spec: dict[str, Any] = field(default_factory=dict)  # OCI runtime-spec, config.json
    now: State = State()

    @classmethod
    def parse(cls, raw: bytes) -> Record:
        """A record of this version. Raises ValueError for anything else."""
        try:
            now = State(**json.loads(verified(raw[:STATE_SIZE])))
            data = json.loads(verified(raw[STATE_SIZE:]))
            if data.pop("version") != VERSION or not ID.fullmatch(data["id"]):
                raise ValueError("not a record of this version")
            data["layers"] = tuple(data["layers"])
            data["command"] = tuple(data["command"])
            data["cgroups"] = tuple(data.get("cgroups", ()))
            data["labels"] = tuple((str(name), str(value)) for name, value in data["labels"])
            return cls(**data, now=now)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(str(error)) from error

    def encode(self) -> bytes:
        """The bytes that ``parse`` reads."""
        fields = {name: getattr(self, name) for name in Record.__slots__ if name != "now"}
        return self.now.encode() + summed(json.dumps({"version": VERSION, **fields}).encode())


def summed(part: bytes) -> bytes:
    """One part of a record with its checksum."""
    return part + b"#%08x\n" % crc32(part)


def verified(part: bytes) -> bytes:
    """One part of a record without its checksum (pyrt 0.1 wrote none). Raises ValueError where it does not fit."""
    body, mark = part[:-SUM_SIZE], part[-SUM_SIZE:]
    if not mark.startswith(b"#"):
        return part
    if mark != b"#%08x\n" % crc32(body):
        raise ValueError("its checksum does not fit")
    return body


class Held:
    """A container that this process runs: its record, locked."""

    def __init__(self, fd: int, record: Record, containers: Containers) -> None:
        self.record = record
        self.fd, self._containers = fd, containers

    def write(self, **changes: Any) -> None:
        """Changes of the state, in the record by the time this returns. Raises StoreError."""
        self.record = replace(self.record, now=replace(self.record.now, **changes))
        try:
            os.pwrite(self.fd, self.record.now.encode(), 0)
        except OSError as error:
            raise refused(self._containers.file(self.record.id), error) from error

    def remove_cgroups(self) -> None:
        """Removes the container's cgroups, and kills what is still in them. Raises StoreError where something stays."""
        remove_cgroups(self.record)

    def release(self) -> None:
        """Gives the lock up; the container is nobody's now."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def remove(self) -> None:
        """Removes the container and everything of it."""
        try:
            self._containers.discard(self.record)
        finally:
            self.release()


class Containers:
    """All containers of one store."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout

    def create(self, record: Record) -> Held:
        """Makes the record, held. Raises NameInUse, NoSpace, StoreError. Call it while the store is in use (Store.using), so
        that nothing of the image goes away before it is written down."""
        path = self.file(record.id)
        held = Held(_made(path), record, self)
        try:
            write_all(held.fd, record.encode())
            if record.name != automatic_name(record.id):
                self.register(record)
            if not record.in_memory:
                os.mkdir(self.path(record.id), 0o700)
        except BaseException as error:
            held.remove()
            if isinstance(error, OSError):
                raise refused(path, error) from error
            raise
        return held

    def file(self, container_id: str) -> str:
        """The record of a container."""
        return f"{self._layout.containers}/{container_id}.json"

    def path(self, container_id: str) -> str:
        """The directory of a container that keeps what it writes on disk."""
        return f"{self._layout.containers}/{container_id}"

    def list(self) -> tuple[Record, ...]:
        """Every readable record as it stands now, the newest first."""
        records = [record for container_id in self.ids() if (record := self._load(container_id))]
        return tuple(sorted(records, key=lambda record: record.created, reverse=True))

    def find(self, text: str) -> Record:
        """A container by name, id or the unambiguous beginning of an id. Raises ContainerNotFound, UsageError."""
        if _NAME.fullmatch(text):
            with suppress(OSError):
                record = self._load(os.readlink(f"{self._layout.names}/{text}"))
                if record is not None and record.name == text:
                    return record
        automatic = _AUTOMATIC_NAME.fullmatch(text)
        prefix = automatic[1] if automatic else text
        if prefix and all(c in "0123456789abcdef" for c in prefix):
            record = self._load_prefix(prefix, text)
            if record is not None:
                return record
        raise ContainerNotFound(f"container {text}: no such container", hint="pyrt ps -a lists them")

    def reload(self, record: Record) -> Record | None:
        """The record as it stands now, None when the container is gone."""
        return self._load(record.id)

    def remove(self, record: Record) -> None:
        """Removes a container that nobody runs. Raises ContainerNotFound where somebody was faster."""
        self._end_orphan(record.id)
        if not self.discard(record):
            raise ContainerNotFound(f"container {record.id[:12]}: no such container")

    def discard(self, record: Record) -> bool:
        """Takes a container out of sight, then deletes what it wrote. The record goes first of that: without one, what a kill
        leaves of the rest is nobody's, and swept. False where somebody else has just done it. Raises StoreError for a cgroup
        that stays: then its record stays too, for the next to try."""
        remove_cgroups(record)
        try:
            os.unlink(self.file(record.id))
            removed = True
        except FileNotFoundError:
            removed = False
        if record.name and record.name != automatic_name(record.id):
            with suppress(OSError), self._naming():
                if os.readlink(f"{self._layout.names}/{record.name}") == record.id:
                    os.unlink(f"{self._layout.names}/{record.name}")
        if not record.in_memory:
            hidden = f"{self._layout.tmp}/{HIDDEN}{record.id}"
            with suppress(FileNotFoundError):
                os.rename(self.path(record.id), hidden)
                remove_tree(hidden)
        return removed

    def sweep(self) -> None:
        """Removes what dead owners have left: containers that were to go with them, half-made records, names and
        directories of containers that are gone. Call it with the store lock held exclusively: nobody is making one."""
        for container_id in self.ids():
            self._sweep_one(container_id, half_made=float("-inf"))
        for name in os.listdir(self._layout.names):
            with suppress(OSError, StoreError), self._naming():
                if not is_there(self.file(os.readlink(f"{self._layout.names}/{name}"))):
                    os.unlink(f"{self._layout.names}/{name}")
        for name in os.listdir(self._layout.containers):
            if not name.endswith(".json") and not is_there(self.file(name)):
                self.discard(_unknown(name))

    def sweep_some(self) -> None:
        """As ``sweep``, for a start: it looks at a few only, so that a thousand containers do not slow down the next."""
        with os.scandir(self._layout.containers) as entries:
            for entry, _ in zip(entries, range(SWEEP_AT_START), strict=False):
                if entry.name.endswith(".json"):
                    self._sweep_one(entry.name.removesuffix(".json"))
                elif not is_there(self.file(entry.name)):
                    self.discard(_unknown(entry.name))
        for name in os.listdir(self._layout.tmp):
            if name.startswith(HIDDEN):  # one a start, so that starts that are killed leave no more than one
                remove_tree(f"{self._layout.tmp}/{name}")
                return

    def is_held(self, container_id: str) -> bool:
        """Whether a process runs this container right now."""
        fd = self._locked(container_id)
        if fd is not None and fd >= 0:
            os.close(fd)
        return fd is None

    def ids(self) -> tuple[str, ...]:
        """Whatever has a record, be it readable or not."""
        names = os.listdir(self._layout.containers)
        return tuple(name.removesuffix(".json") for name in names if name.endswith(".json"))

    def _locked(self, container_id: str) -> int | None:
        """An fd of the record that keeps owners away, -1 where there is no record, None where an owner has it. Shared, so
        that two who look at the same time do not take each other for the owner."""
        try:
            fd = os.open(self.file(container_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return -1
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd

    def _sweep_one(self, container_id: str, half_made: float = HALF_MADE) -> None:
        """Removes one container if its owner is dead and it was to go with him, or if it was never whole: a record that nobody
        holds or can read, of a start that was killed ``half_made`` seconds ago or longer. One with a directory was whole
        once: it stays, and ``pyrt check`` tells of it."""
        fd = self._locked(container_id)
        if fd is None or fd < 0:
            return
        try:
            record = self._end_orphan(container_id)
            if record is None:
                status = os.fstat(fd)
                # An empty one was never written: its maker is dead, or will find it gone.
                junk = not status.st_size or time.time() - status.st_mtime >= half_made
                if junk and not is_there(self.path(container_id)):
                    self.discard(_unknown(container_id))
            elif record.remove or self._is_half_made(record):
                with suppress(StoreError):  # a cgroup that stays: the next tries again
                    self.discard(record)
        finally:
            os.close(fd)

    def _is_half_made(self, record: Record) -> bool:
        """Whether its maker was killed before it had its directory, which comes last."""
        return record.now.state == CREATED and not record.in_memory and not is_there(self.path(record.id))

    def _end_orphan(self, container_id: str) -> Record | None:
        """The record, after what still runs of a container whose owner is dead has been ended."""
        record = self._read(container_id)
        if record is not None and record.now.state == RUNNING:
            orphans.end(record.now.pid, record.now.birth)
            if not record.in_memory:
                orphans.end_in_root(f"{self.path(container_id)}/root")
        if record is not None and record.now.state != EXITED:
            with suppress(StoreError):
                remove_cgroups(record)
        return record

    def _load_prefix(self, prefix: str, text: str) -> Record | None:
        found = [container_id for container_id in self.ids() if container_id.startswith(prefix)]
        if len(found) > 1:
            raise UsageError(f"container {text}: {len(found)} ids begin with that", hint="give more of it")
        return self._load(found[0]) if found else None

    def register(self, record: Record) -> None:
        """Gives the container its name. Raises NameInUse."""
        link = f"{self._layout.names}/{record.name}"
        with self._naming():
            try:
                os.symlink(record.id, link)
                return
            except FileExistsError:
                pass
            try:
                other = os.readlink(link)
            except OSError:
                raise NameInUse(
                    f"container name {record.name!r}: something else stands there", hint="pyrt check --repair sets it aside"
                ) from None
            if is_there(self.file(other)):
                raise NameInUse(
                    f"container name {record.name!r}: taken by {other[:12]}",
                    hint=f"pyrt rm {record.name}, or another --name",
                )
            os.unlink(link)  # its container is gone: a kill came between the two
            os.symlink(record.id, link)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Whoever looks at a name to change it does so alone: between the two it could become somebody else's."""
        fd = os.open(self._layout.names, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _read(self, container_id: str) -> Record | None:
        return read_record(self.file(container_id))

    def _load(self, container_id: str) -> Record | None:
        """The record, corrected where its owner has died."""
        record = self._read(container_id) if ID.fullmatch(container_id) else None
        if record is None or record.now.state != RUNNING or self.is_held(container_id):
            return record
        record = self._read(container_id)  # it may have ended between the two looks
        if record is None or record.now.state != RUNNING:
            return record
        died = State(state=EXITED, exit_code=OWNER_DIED, started=record.now.started, error="its owner was killed")
        return replace(record, now=died)


def _made(path: str) -> int:
    """A new and empty record, locked. A sweep that came before the lock has taken it away: then again. Raises StoreError."""
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                if os.fstat(fd).st_nlink:
                    return fd
            except BaseException:
                os.unlink(path)
                os.close(fd)
                raise
            os.close(fd)
        except OSError as error:
            raise refused(path, error) from error


def read_record(path: str) -> Record | None:
    """The record in a file, None where there is none that can be read: it concerns that container only."""
    try:
        return load_record(path)
    except OSError:
        return None


def load_record(path: str) -> Record | None:
    """The record in a file, None for a damaged one. Raises OSError."""
    for _ in range(2):  # a read beside a change of the state may see half of it
        try:
            with open(path, "rb") as file:
                return Record.parse(file.read())
        except ValueError:
            continue
    return None


def remove_cgroups(record: Record) -> None:
    """Removes the cgroups of a container, with what still runs in them. Raises StoreError for one that stays."""
    for path in record.cgroups:
        if not cgroupfs.remove(path):
            raise StoreError(f"cgroup {path}: something in it does not end")


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
