"""pyrt commands without the start of an interpreter: forked from a process that has all modules loaded, listened to.

What a command does from its first step on is what a fresh process does; only the imports are gone. Use it in a process
without threads (``python -m tests.faults...``), never in pytest's own.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.support.listener import Call, Condition, Listener, program, stop_until_taken, submit, take

_SET_CHILD_SUBREAPER = 36  # prctl(2)
spare: set[int] = set()  # children that are no command's
_UNDER_A_FILTER = ("pyrt._native.userns", "pyrt.subordinate")  # what pyrt asks the kernel where somebody listens, as we do
PATIENCE = 10.0  # seconds that a command may take, whatever is done to it


@dataclass(kw_only=True)
class Outcome:
    """How a command ended: ``code`` as subprocess has it, None where it hung and was killed; the calls that were seen."""

    code: int | None
    out: str
    err: str
    calls: list[str] = field(default_factory=list)
    struck: str = ""  # the call at which something was done
    survivors: int = 0  # processes that were still there a second after the command had gone

    @property
    def hung(self) -> bool:
        return self.code is None


PRETEND = -1
# Called with a call, its number, and the command's pid; what it returns is an errno for it, 0 to carry it out, or PRETEND.
Decide = Callable[[Call, int, int], int]


@contextmanager
def spared(pid: int) -> Iterator[None]:
    """A child that is no command's, for the length of the block."""
    spare.add(pid)
    try:
        yield
    finally:
        spare.discard(pid)


def adopt_orphans() -> None:
    """From now on what a killed command leaves behind is our child, so that none can hide."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def load_modules(*commands: Sequence[str]) -> None:
    """Imports what these commands import."""
    for words in commands:
        with tempfile.TemporaryFile() as file:
            pid = os.fork()
            if pid == 0:
                _report_modules(words, file.fileno())
            os.waitpid(pid, 0)
            file.seek(0)
            for name in (*file.read().decode().split(), *_UNDER_A_FILTER):
                with suppress(ImportError, AttributeError):
                    importlib.import_module(name)


def _report_modules(words: Sequence[str], fd: int) -> None:
    def leave(code: int) -> None:
        os.write(fd, " ".join(sys.modules).encode())
        os.kill(os.getpid(), signal.SIGKILL)

    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1), os.dup2(null, 2)
    os._exit = leave  # type: ignore[assignment]
    _command(words)


def _command(words: Sequence[str]) -> None:
    from pyrt.__main__ import entry

    sys.argv = ["pyrt", *words]
    try:
        entry()
    finally:
        os._exit(99)


def run(
    words: Sequence[str],
    calls: Mapping[str, Condition | None] | None = None,
    decide: Decide | None = None,
    *,
    patience: float = PATIENCE,
    quiet: float | None = None,
    environ: Mapping[str, str] | None = None,
) -> Outcome:
    """One command. ``decide`` is asked about each of ``calls`` that pyrt's own code makes. With ``quiet`` the command is
    killed when it has made no such call for so many seconds (a container that would go on for ever)."""
    filter = program(calls) if calls else b""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        expected = os.dup(0)
        os.close(expected)
        pid = os.fork()
        if pid == 0:
            try:
                os.environ.update(environ or {})
                null = os.open(os.devnull, os.O_RDONLY)
                os.dup2(null, 0), os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
                os.close(null)
                os.closerange(3, 256)
                if filter:
                    stop_until_taken(submit(filter))
                _command(words)
            finally:
                os._exit(98)
        outcome = Outcome(code=None, out="", err="")
        try:
            if filter:
                os.waitpid(pid, os.WUNTRACED)
                listener = Listener(take(pid, 3))
                os.kill(pid, signal.SIGCONT)
                try:
                    outcome.code = _attend(pid, listener, decide, outcome, patience, quiet)
                finally:
                    listener.close()
            else:
                outcome.code = _wait(pid, patience)
        finally:
            outcome.survivors = _bury(pid if outcome.code is None else 0)
        out.seek(0), err.seek(0)
        outcome.out, outcome.err = out.read().decode("utf-8", "replace"), err.read().decode("utf-8", "replace")
    return outcome


def _attend(
    pid: int, listener: Listener, decide: Decide | None, outcome: Outcome, patience: float, quiet: float | None
) -> int | None:
    """Answers until nobody is left who could ask."""
    ours = os.readlink("/proc/self/exe")
    deadline = time.monotonic() + patience
    last = time.monotonic()
    status: int | None = None
    poller = select.poll()
    poller.register(listener.fd, select.POLLIN)
    while True:
        if status is None:
            done, raw = os.waitpid(pid, os.WNOHANG)
            if done:
                status = os.waitstatus_to_exitcode(raw)
                deadline = min(deadline, time.monotonic() + 1)
        now = time.monotonic()
        if now > deadline or (quiet is not None and status is None and now - last > quiet):
            return status
        events = poller.poll(20)
        if events and not events[0][1] & select.POLLIN:  # POLLHUP: everybody has gone
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if status is None else status
        if not events or (call := listener.next()) is None:
            continue
        if not _is_ours(call.thread, ours):
            listener.carry_out(call)
            continue
        last = time.monotonic()
        outcome.calls.append(call.kind)
        answer = decide(call, len(outcome.calls), pid) if decide is not None else 0
        if answer > 0:
            listener.fail(call, answer)
        elif answer == PRETEND:
            listener.pretend(call)
        else:
            listener.carry_out(call)


def _is_ours(thread: int, ours: str) -> bool:
    """Whether this is pyrt's code: the interpreter, the child before its exec, or the last step; not the image's program."""
    try:
        exe = os.readlink(f"/proc/{thread}/exe")
    except OSError:
        return False
    return exe == ours or exe.startswith("/memfd:")


def _wait(pid: int, patience: float) -> int | None:
    pidfd = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        if not poller.poll(patience * 1000):
            return None
    finally:
        os.close(pidfd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _bury(pid: int) -> int:
    """Ends what is left of a command (``pid``, 0 where it has ended) and its children; how many outlived it by a second."""
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 1
    while (left := _children()) and time.monotonic() < deadline:
        if not _reap():
            time.sleep(0.002)
    for child in left:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    while _children():
        if not _reap():
            time.sleep(0.002)
    return len(left)


def _reap() -> bool:
    ended = False
    for child in _children():
        with suppress(ChildProcessError):
            ended |= os.waitpid(child, os.WNOHANG | 0x40000000)[0] > 0  # __WALL
    return ended


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [pid for word in file.read().split() if (pid := int(word)) not in spare]
