"""A disk that remembers every write and every flush in their order, so that the power can be cut at any of them afterwards.

A loop device over a file of a file system of ours (FUSE, kernel Documentation/filesystems/fuse.rst): what the kernel writes
back arrives here, and nothing else. A copy of an ordinary backing file would be taken while writes go on, and could hold a
later one without an earlier one that was flushed before it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_IN, _OUT = struct.Struct("IIQQIIIHH"), struct.Struct("IiQ")
_RECORD = struct.Struct("QQ")  # offset and length of a write; FLUSH for a flush
FLUSH = (1 << 64) - 1
MAX_WRITE = 1 << 17
GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, FORGET, FLUSHED, INIT, INTERRUPT, DESTROY = (
    3, 4, 14, 15, 16, 17, 18, 20, 2, 25, 26, 36, 38,
)  # fmt: skip
_DIRECT_IO = 1


def serve(target: str, log: str, size: int) -> None:
    """The file system: one regular file of ``size`` bytes at ``target``, for ever; every write goes to ``log`` too."""
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=100600,user_id=0,group_id=0".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"disk", os.fsencode(target), b"fuse.disk", 0, options):
        raise OSError(ctypes.get_errno(), "mount")
    content = os.open(os.path.dirname(log), os.O_TMPFILE | os.O_RDWR, 0o600)
    os.ftruncate(content, size)
    record = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    attributes = struct.pack("6Q3I7I", 1, size, size // 512, 0, 0, 0, 0, 0, 0, 0o100600, 1, 0, 0, 0, 4096, 0)
    while True:
        try:
            request = os.read(device, MAX_WRITE + 4096)
        except OSError as error:
            if error.errno == errno.ENODEV:  # unmounted
                return
            if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                continue
            raise
        _, operation, unique, *_ = _IN.unpack_from(request)
        body = memoryview(request)[_IN.size :]
        answer, failed = b"", 0
        if operation == INIT:
            answer = struct.pack("IIIIHHIIHHI7I", 7, 31, 0, 1 << 22, 16, 12, MAX_WRITE, 1, MAX_WRITE >> 12, 0, 0, *[0] * 7)
        elif operation in (GETATTR, SETATTR):
            answer = struct.pack("QII", 3600, 0, 0) + attributes
        elif operation == OPEN:
            answer = struct.pack("QII", 0, _DIRECT_IO, 0)
        elif operation == READ:
            offset, length = struct.unpack_from("QI", body, 8)
            answer = os.pread(content, length, offset)
        elif operation == WRITE:
            offset, length = struct.unpack_from("QI", body, 8)
            data = body[40 : 40 + length]
            os.pwrite(content, data, offset)
            os.write(record, _RECORD.pack(offset, length) + bytes(data))
            answer = struct.pack("II", length, 0)
        elif operation == FSYNC:
            os.write(record, _RECORD.pack(FLUSH, 0))
        elif operation == STATFS:
            answer = struct.pack("5Q4I6I", 1 << 20, 1 << 20, 1 << 20, 1, 1, 4096, 255, 4096, 0, *[0] * 6)
        elif operation in (FORGET, INTERRUPT):
            continue
        elif operation not in (RELEASE, FLUSHED, DESTROY):
            failed = -errno.ENOSYS
        os.write(device, _OUT.pack(_OUT.size + len(answer), failed, unique) + answer)


@dataclass(frozen=True)
class Step:
    """A write, or a flush where there is no data."""

    offset: int
    data: bytes

    @property
    def is_flush(self) -> bool:
        return self.offset == FLUSH


@dataclass(frozen=True, kw_only=True)
class Disk:
    """``device`` is the loop device, ``size`` in bytes, ``daemon`` the process that remembers."""

    device: str
    daemon: int
    size: int
    log: Path

    def steps(self) -> list[Step]:
        """Everything that has been written so far."""
        raw, found, position = self.log.read_bytes(), [], 0
        while position + _RECORD.size <= len(raw):
            offset, length = _RECORD.unpack_from(raw, position)
            position += _RECORD.size
            found.append(Step(offset, raw[position : position + length]))
            position += length
        return found


@contextmanager
def disk(directory: Path, size: int) -> Iterator[Disk]:
    """A disk of zeros; nothing may be mounted from it any more at the end."""
    target, log = directory / "disk", directory / "log"
    target.touch()
    log.touch()
    daemon = subprocess.Popen([sys.executable, "-m", "tests.support.disk", target, log, str(size)])
    try:
        deadline = time.monotonic() + 20
        while not os.path.ismount(target):
            assert daemon.poll() is None and time.monotonic() < deadline, "the disk's file system did not start"
            time.sleep(0.01)
        device = subprocess.run(
            ["losetup", "--show", "--find", target], check=True, capture_output=True, text=True
        ).stdout.strip()
        try:
            yield Disk(device=device, daemon=daemon.pid, size=size, log=log)
        finally:
            subprocess.run(["losetup", "-d", device], check=True)
    finally:
        subprocess.run(["umount", "-l", target], check=False)
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def cut(steps: list[Step], at: int, path: Path, size: int, chance: random.Random | None = None) -> None:
    """Makes ``path`` what is on the disk when the power fails after ``at`` steps. What was not flushed by then has arrived
    in order, or by ``chance``: a disk with a cache may write it in any order."""
    path.unlink(missing_ok=True)
    flushed = max((n + 1 for n, step in enumerate(steps[:at]) if step.is_flush), default=0)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(fd, size)
        for number, step in enumerate(steps[:at]):
            if not step.is_flush and (number < flushed or chance is None or chance.random() < 0.5):
                os.pwrite(fd, step.data, step.offset)
    finally:
        os.close(fd)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
