"""Advisory locks (flock(2)) on files below ``locks/``: the kernel drops them when their holder dies, however it dies.

A lock file may be removed by whoever holds it exclusively; so after every flock the name is looked at again, and where
it no longer leads to the locked file, the lock is taken anew. Threads exclude one another too: each hold opens its own
file.

The kernel lets whoever wants a lock shared in as long as others hold it shared, so starts that overlap would keep an exclusive
holder waiting for ever. Hence a turnstile, an open file description lock (fcntl(2)) on the same file that everybody goes
through one by one: whoever waits in it for the lock itself is the next to get it. Nobody may take a lock shared a second
time while he holds it.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from contextlib import contextmanager, suppress

from pyrt.errors import StoreError
from pyrt.store.layout import refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# struct flock, fcntl(2), over a whole file: the type first, then zeros. OFD locks belong to the descriptor, as flock's do.
ENTER, LEAVE = (kind.to_bytes(2, sys.byteorder) + bytes(30) for kind in (fcntl.F_WRLCK, fcntl.F_UNLCK))
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.05  # seconds between two tries where somebody may cancel the wait


class LockHeld(StoreError):
    """Somebody else holds the lock, and the caller did not want to wait."""


@contextmanager
def hold(
    path: str,
    *,
    shared: bool = False,
    blocking: bool = True,
    remove: bool = False,
    check: Callable[[], None] | None = None,
) -> Iterator[int]:
    """Hold the lock file ``path`` (made where missing) and give its descriptor.

    ``blocking=False`` raises LockHeld at once where the lock is taken. ``remove`` (exclusive holds only) deletes the
    file at the end, for locks with many names. ``check`` is called again and again while waiting: what it raises ends
    the wait.
    """
    fd = acquire(path, shared=shared, blocking=blocking, check=check)
    try:
        yield fd
    finally:
        if remove:
            with suppress(OSError):
                os.unlink(path)
        os.close(fd)


def acquire(path: str, *, shared: bool, blocking: bool, check: Callable[[], None] | None) -> int:
    """A descriptor that holds the lock on the file that ``path`` names at the moment of return."""
    operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise refused(path, error) from error
        try:
            wait(fd, operation, path, blocking=blocking, check=check)
            if is_current(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def wait(fd: int, operation: int, path: str, *, blocking: bool, check: Callable[[], None] | None) -> None:
    """flock, in the kernel where nobody can cancel, else with growing pauses between tries."""
    if blocking and check is None:
        with suppress(OSError):  # a file system without it: then without the turnstile
            fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, ENTER)
        fcntl.flock(fd, operation)
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, LEAVE)
        return
    pause = FIRST_PAUSE
    while True:
        try:
            fcntl.flock(fd, operation | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not blocking:
                raise LockHeld(f"lock {path}: held by another process") from None
        if check is not None:
            check()
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def is_current(fd: int, path: str) -> bool:
    """True where ``path`` still names the file behind ``fd``."""
    try:
        named = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    held = os.fstat(fd)
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)
