"""Stands between a process and the kernel: sees the system calls that it names, and decides what becomes of each.

seccomp's user notification (seccomp_unotify(2), Linux 5.5): the filter is installed in the process, the listener is held by
its parent. Unlike strace, which counts per thread, this is one count over all threads and children, in the order in which
the calls come; and only the named calls cost anything.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import struct
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_SET_MODE_FILTER, _NEW_LISTENER, _WAIT_KILLABLE = 1, 8, 32
_RECV, _SEND = 0xC0502100, 0xC0182101
_NOTIFICATION, _RESPONSE, _CONTINUE = struct.Struct("QIIiIQ6Q"), struct.Struct("QqiI"), 1
_PIDFD_GETFD = 438

Condition = tuple[int, int]  # the number of an argument, and bits of which one has to be set


@dataclass(frozen=True)
class Call:
    """A system call that waits for its answer. ``thread`` is the caller's id here."""

    id: int
    name: str
    thread: int
    arguments: tuple[int, ...]

    @property
    def kind(self) -> str:
        """The name, with a plus for an open that may make the file: such a one can fail in more ways."""
        makes = self.name == "openat" and self.arguments[2] & (os.O_CREAT | os.O_TMPFILE & ~os.O_DIRECTORY)
        return f"{self.name}+" if makes else self.name


@lru_cache(maxsize=1)
def numbers() -> Mapping[str, int]:
    """The system calls of this architecture, from the compiler's headers."""
    source = "#include <sys/syscall.h>\n"
    text = subprocess.run(
        ["gcc", "-E", "-dM", "-"], input=source, capture_output=True, text=True, check=True
    ).stdout
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[1].startswith("__NR_") and words[2].isdigit():
            found[words[1].removeprefix("__NR_")] = int(words[2])
    return found


def program(calls: Mapping[str, Condition | None]) -> bytes:
    """The filter: a call of ``calls`` is reported, one with a condition only where that holds; unknown names are for other
    architectures."""
    code = [struct.pack("HBBI", _LOAD, 0, 0, 0)]
    for name, condition in calls.items():
        number = numbers().get(name)
        if number is None:
            continue
        if condition is None:
            code.append(struct.pack("HBBI", _JUMP_IF_EQUAL, 0, 1, number))
        else:
            argument, bits = condition
            code.append(struct.pack("HBBI", _JUMP_IF_EQUAL, 0, 4, number))
            code.append(struct.pack("HBBI", _LOAD, 0, 0, 16 + 8 * argument))
            code.append(struct.pack("HBBI", _JUMP_IF_SET, 1, 0, bits))
            code.append(struct.pack("HBBI", _RETURN, 0, 0, _ALLOW))
        code.append(struct.pack("HBBI", _RETURN, 0, 0, _NOTIFY))
    code.append(struct.pack("HBBI", _RETURN, 0, 0, _ALLOW))
    return b"".join(code)


def submit(filter: bytes) -> int:
    """In the process that is to be listened to: installs the filter; an fd that the parent has to take and we to close."""
    libc = ctypes.CDLL(None, use_errno=True)
    body = ctypes.create_string_buffer(filter)
    argument = struct.pack("HxxxxxxQ", len(filter) // 8, ctypes.addressof(body))
    listener: int = libc.syscall(numbers()["seccomp"], _SET_MODE_FILTER, _NEW_LISTENER | _WAIT_KILLABLE, argument)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return listener


def take(pid: int, fd: int) -> int:
    """Another process's fd, as one of ours (pidfd_getfd(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        taken: int = libc.syscall(_PIDFD_GETFD, pidfd, fd, 0)
    finally:
        os.close(pidfd)
    if taken < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return taken


class Listener:
    """The parent's end."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._names = {number: name for name, number in numbers().items()}

    def next(self) -> Call | None:
        """The call that waits; None where its caller has been killed meanwhile. Blocks where there is none: poll first."""
        buffer = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(self.fd, _RECV, buffer, True)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        identity, thread, _, number, _, _, *arguments = _NOTIFICATION.unpack(buffer)
        return Call(id=identity, name=self._names.get(number, str(number)), thread=thread, arguments=tuple(arguments))

    def carry_out(self, call: Call) -> None:
        """The kernel does what was asked for."""
        self._answer(_RESPONSE.pack(call.id, 0, 0, _CONTINUE))

    def pretend(self, call: Call) -> None:
        """Nothing is done, and the caller is told that all went well."""
        self._answer(_RESPONSE.pack(call.id, 0, 0, 0))

    def fail(self, call: Call, number: int) -> None:
        """Nothing is done, and the caller gets this errno."""
        self._answer(_RESPONSE.pack(call.id, 0, -number, 0))

    def _answer(self, response: bytes) -> None:
        try:
            fcntl.ioctl(self.fd, _SEND, response)
        except OSError as error:
            if error.errno != errno.ENOENT:  # the caller was killed
                raise

    def close(self) -> None:
        os.close(self.fd)


def stop_until_taken(listener: int, before: Iterable[int] = ()) -> None:
    """In the process that is listened to: waits until the parent has the listener, then gives up its own end."""
    os.kill(os.getpid(), signal.SIGSTOP)
    for fd in (listener, *before):
        os.close(fd)
