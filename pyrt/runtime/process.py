"""A started container as a process: waiting, signals, and its three streams (pidfd_open(2), waitid(2))."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress

from pyrt.errors import ContainerError
from pyrt.values import dataclass

_CHUNK = 1 << 16
_WALL = 0x40000000  # __WALL of waitid(2)
LOST = 255  # instead of an exit code that nobody knows


@dataclass(slots=True, kw_only=True)
class Process:
    """PID 1 of a container. The pidfd names it for as long as this object holds it, whatever happens to the number."""

    pidfd: int = -1
    control: int = -1  # of a keeper (csrc/keeper.c): a byte ends everything that it keeps
    returncode: int | None = None
    killed: bool = False  # ended by a signal

    def send_signal(self, number: int) -> None:
        """Sends a signal to PID 1; nothing where it has ended. The kernel drops what PID 1 has no handler for, but for
        SIGKILL and SIGSTOP (pid_namespaces(7))."""
        if self.returncode is None:
            if number == signal.SIGKILL and self.control >= 0:
                with suppress(OSError):  # it has ended by itself
                    os.write(self.control, b"\0")
                return
            try:
                signal.pidfd_send_signal(self.pidfd, number)
            except ProcessLookupError:
                return

    def kill(self) -> None:
        """SIGKILL for PID 1, and with it for everything in its pid namespace."""
        self.send_signal(signal.SIGKILL)

    def wait(self) -> int:
        """Waits for the end and returns the exit code, 128 + n where signal n ended it. Raises ContainerError where somebody
        else has collected it."""
        if self.returncode is None:
            try:
                result = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | _WALL)
            except ChildProcessError as error:
                self.returncode = LOST
                raise ContainerError(
                    "the container has ended, and its exit code is lost",
                    hint="this process ignores SIGCHLD, or another part of it waits for all children",
                ) from error
            assert result is not None
            self.killed = result.si_code in (os.CLD_KILLED, os.CLD_DUMPED)
            self.returncode = result.si_status + 128 if self.killed else result.si_status
        return self.returncode

    def close(self) -> None:
        """Closes the fds."""
        if self.control >= 0:
            os.close(self.control)
            self.control = -1
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What a container printed. ``timed_out``: the deadline came first, and everything in it was killed."""

    stdout: bytes
    stderr: bytes
    timed_out: bool


class Streams:
    """The parent's ends of a container's pipes, -1 where there is none."""

    def __init__(self, stdin: int = -1, stdout: int = -1, stderr: int = -1) -> None:
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr

    def close(self) -> None:
        """Closes what is still open."""
        self.close_stdin()
        for fd in (self.stdout, self.stderr):
            if fd >= 0:
                os.close(fd)
        self.stdout = self.stderr = -1

    def close_stdin(self) -> None:
        """The end of file for the container."""
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1


def communicate(process: Process, streams: Streams, content: bytes, deadline: float | None) -> Captured:
    """Feeds stdin, collects stdout and stderr, until PID 1 has ended and the pipes are empty; at ``deadline`` (of
    time.monotonic) kills the container and takes what is there. Like subprocess.Popen.communicate."""
    poller = select.poll()
    poller.register(process.pidfd, select.POLLIN)
    collected: dict[int, list[bytes]] = {fd: [] for fd in (streams.stdout, streams.stderr) if fd >= 0}
    opened = set(collected)
    for fd in collected:
        poller.register(fd, select.POLLIN)
    view = memoryview(content)
    if streams.stdin >= 0:
        os.set_blocking(streams.stdin, False)
        poller.register(streams.stdin, select.POLLOUT)
    ended = timed_out = False
    while not ended or opened:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        events = poller.poll(0 if ended else timeout)
        if not events:
            if ended:  # its pipes are held by somebody outside of the container: do not wait for him
                break
            timed_out = True
            deadline = None
            process.kill()
            continue
        for fd, event in events:
            if fd == process.pidfd:
                process.wait()
                poller.unregister(fd)
                ended = True
            elif fd == streams.stdin:
                view = _feed(streams, view, poller, bool(event & select.POLLERR))
            else:
                chunk = os.read(fd, _CHUNK)
                if chunk:
                    collected[fd].append(chunk)
                else:
                    poller.unregister(fd)
                    opened.discard(fd)
    out = b"".join(collected.get(streams.stdout, []))
    err = b"".join(collected.get(streams.stderr, []))
    return Captured(stdout=out, stderr=err, timed_out=timed_out)


def _feed(streams: Streams, rest: memoryview, poller: select.poll, broken: bool) -> memoryview:
    if not broken and rest:
        try:
            rest = rest[os.write(streams.stdin, rest[:_CHUNK]) :]
        except BlockingIOError:
            return rest
        except BrokenPipeError:
            broken = True
    if broken or not rest:
        poller.unregister(streams.stdin)
        streams.close_stdin()
    return rest
