"""Bounded queues between threads that fail together.

*Should*: a stage that is ahead waits; the first error anywhere ends every stage at its next step; nobody polls.
*Mustn't*: hold more bytes than the limits say; hide the first error behind those that it causes.
"""

from __future__ import annotations

import threading
from collections import deque

from pyrt.errors import PyrtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Cancelled(Exception):
    """Another stage has failed, or the user gave up; the reason is in ``Scope.error``."""


class Scope:
    """Threads that end together. ``error`` is the first thing that went wrong, None as long as nothing has.

    A scope with a ``parent`` ends with that one too, but not the other way round: a layer may be tried again.
    """

    def __init__(self, parent: Scope | None = None) -> None:
        self.error: BaseException | None = None
        self._parent = parent
        self._channels: list[Channel] = []

    def cancel(self, error: BaseException) -> None:
        """End everything; only the first error counts."""
        if self.error is None and not isinstance(error, Cancelled):
            self.error = error
        for channel in tuple(self._channels):
            channel.wake()

    def check(self) -> None:
        """Raise Cancelled when the scope has ended."""
        if self.error is not None or (self._parent is not None and self._parent.error is not None):
            raise Cancelled

    def spawn(self, work: Callable[[], None], name: str) -> Stage:
        """A running thread whose error cancels the scope. Raises PyrtError where none can be started."""
        return Stage(self, work, name)

    def channel(self, limit: int) -> Channel:
        """A queue for at most ``limit`` bytes (one buffer always fits)."""
        made = Channel(self, limit)
        self.watch(made)
        return made

    def watch(self, channel: Channel) -> None:
        """Wake those who wait at ``channel`` when this scope ends, or the one above."""
        self._channels.append(channel)
        if self._parent is not None:
            self._parent.watch(channel)


class Stage:
    """One thread of a scope. A daemon: a read from the network may outlast Ctrl-C."""

    def __init__(self, scope: Scope, work: Callable[[], None], name: str) -> None:
        self._scope = scope
        self._work = work
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # clone(2) has failed, and CPython does not say how
            raise PyrtError(
                "cannot start another thread",
                hint="a limit is reached: of processes (ulimit -u, pids.max of the cgroup) or of memory",
            ) from error

    def wait(self, timeout: float | None = None) -> None:
        """Until the thread has ended, at most ``timeout`` seconds.

        Not by Thread.join alone: up to Python 3.12 one that Ctrl-C interrupts takes the thread for ended.
        """
        if self._ended.wait(timeout):
            self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._scope.cancel(error)
        finally:
            self._ended.set()


class Channel:
    """A queue of buffers from one thread to another. Never do both wait: one waits when it is full, one when empty."""

    def __init__(self, scope: Scope, limit: int) -> None:
        self._scope = scope
        self._condition = threading.Condition(threading.Lock())
        self._limit = limit
        self._buffers: deque[bytes] = deque()
        self._size = 0
        self._closed = False

    def put(self, buffer: bytes) -> None:
        """Hand on a buffer; waits where too much is queued. Raises Cancelled."""
        with self._condition:
            while self._size and self._size + len(buffer) > self._limit:
                self._scope.check()
                self._condition.wait()
            self._scope.check()
            self._buffers.append(buffer)
            self._size += len(buffer)
            self._condition.notify()

    def close(self) -> None:
        """Nothing more will come."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def wake(self) -> None:
        """Let whoever waits look whether the scope has ended."""
        with self._condition:
            self._condition.notify_all()

    def __iter__(self) -> Iterator[bytes]:
        """The buffers in order, until the channel is closed. Raises Cancelled."""
        while (buffer := self._get()) is not None:
            yield buffer

    def _get(self) -> bytes | None:
        with self._condition:
            while not self._buffers:
                self._scope.check()
                if self._closed:
                    return None
                self._condition.wait()
            self._scope.check()
            buffer = self._buffers.popleft()
            self._size -= len(buffer)
            self._condition.notify()
            return buffer
