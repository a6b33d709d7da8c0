"""A container in front of the caller: his signals, his three streams, his terminal, until PID 1 has ended."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pyrt.runtime import terminal
from pyrt.runtime.process import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

IMPATIENCE = 3.0  # seconds in which a second Ctrl-C kills

# What is about this process and not about the container, and what cannot be caught.
_OURS = {
    signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG, signal.SIGWINCH, signal.SIGKILL, signal.SIGSTOP, signal.SIGTSTP,
    signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL,
    signal.SIGTRAP, signal.SIGABRT, signal.SIGSYS,
}  # fmt: skip


_OF_A_TERMINAL = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)


class Forwarder:
    """Passes signals on to a container's PID 1. Before there is one, an interrupt or a termination ends the preparations;
    one that arrives while the container is being born is its first."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._kept: list[int] | None = None
        self._interrupted = float("-inf")

    def hold(self) -> None:
        """From now on signals are kept for the container."""
        self._kept = []

    def attach(self, process: Process) -> None:
        """From now on signals go there, those that were kept first."""
        self._process = process
        kept, self._kept = self._kept or [], None
        for number in kept:
            self._pass_on(process, number)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._kept is not None:
            self._kept.append(number)
        elif self._process is not None:
            self._pass_on(self._process, number)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        elif number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            raise SystemExit(128 + number)

    def _pass_on(self, process: Process, number: int) -> None:
        now = time.monotonic()
        if number == signal.SIGINT and now - self._interrupted < IMPATIENCE:
            process.kill()
            return
        if number == signal.SIGINT:
            self._interrupted = now
        process.send_signal(number)


@contextmanager
def forwarded_signals() -> Iterator[Forwarder]:
    """Catches every signal that can be meant for the container, for the length of the block; one of a terminal that was
    ignored stays ignored."""
    forwarder = Forwarder()
    before = {}
    # nohup, and a shell that starts a job in the background, say by this that the terminal's signals do not mean us.
    ignored = {number for number in _OF_A_TERMINAL if signal.getsignal(number) is signal.SIG_IGN}
    for number in signal.valid_signals() - _OURS - ignored:
        with suppress(OSError, ValueError):  # the two that libc keeps for itself
            before[number] = signal.signal(number, forwarder)
    # The child's status is ours to collect, whatever a caller like nohup or a shell trap made of SIGCHLD.
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield forwarder
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


@contextmanager
def stdio(with_input: bool) -> Iterator[tuple[int, int, int]]:
    """The three fds for a container in front: our own, and an empty stdin unless the caller's is to be passed on. One that
    the caller has closed becomes /dev/null, so that nothing else can take its number."""
    opened = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield (
            0 if with_input and _is_open(0) else opened,
            1 if _is_open(1) else opened,
            2 if _is_open(2) else opened,
        )
    finally:
        os.close(opened)


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def attend(process: Process, master: int, *, interactive: bool, timeout: float | None) -> tuple[int, bool]:
    """Waits for the end; with a terminal (``master`` >= 0) copies it to and from the caller's. Returns the exit code, and
    whether the time was up and everything in the container was killed."""
    alarm = _Alarm(process, timeout)
    if master < 0:
        _wait(process, alarm)
    else:
        source = 0 if interactive else -1
        with terminal.raw(source), terminal.follow_window(0 if interactive else 1, master):
            terminal.relay(process, master, source, 1, alarm.remaining)
    return process.wait(), alarm.rang


class _Alarm:
    """Kills the container once, when its time is up."""

    def __init__(self, process: Process, timeout: float | None) -> None:
        self._process = process
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self.rang = False

    def remaining(self) -> float | None:
        """Milliseconds until the time is up, None for never; kills when it is."""
        if self._deadline is None or self.rang:
            return None
        left = self._deadline - time.monotonic()
        if left > 0:
            return left * 1000
        self.rang = True
        self._process.kill()
        return None


def _wait(process: Process, alarm: _Alarm) -> None:
    poller = select.poll()
    poller.register(process.pidfd, select.POLLIN)
    while not poller.poll(alarm.remaining()):
        pass
