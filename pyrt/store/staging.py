"""What is unfinished: every entry of ``tmp/`` has an owner that holds ``locks/tmp-<name>``; without one it is junk.

The lock comes before the entry and goes after it, so whoever gets the lock of an entry knows that its owner is dead.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from pyrt.store.layout import refused
from pyrt.store.locks import hold
from pyrt.store.removal import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyrt.store.layout import StoreLayout


@contextmanager
def entry(layout: StoreLayout, kind: str) -> Iterator[str]:
    """A path below ``tmp/`` that is ours alone and does not exist yet; what is left there at the end is removed."""
    with named_entry(layout, f"{kind}-{os.urandom(8).hex()}") as path:
        try:
            yield path
        finally:
            discard(path)


@contextmanager
def named_entry(layout: StoreLayout, name: str, check: Callable[[], None] | None = None) -> Iterator[str]:
    """As ``entry``, with a name that others may want too (they wait), and nothing is removed at the end."""
    with hold(lock_of(layout, name), remove=True, check=check):
        yield f"{layout.tmp}/{name}"


def lock_of(layout: StoreLayout, name: str) -> str:
    """The lock file that the owner of the entry ``name`` holds."""
    return layout.lock(f"tmp-{name}")


def discard(path: str) -> None:
    """Remove a file or a tree, whichever is there; junk that cannot be removed stays for the sweep to report."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError:
        remove_tree(path)


def replace(layout: StoreLayout, path: str, data: bytes, *, durable: bool = True) -> None:
    """Put ``data`` at ``path`` so that readers see the old or the new content, after a power cut too if ``durable``.

    Raises NoSpace, StoreError.
    """
    with entry(layout, "record") as temporary:
        try:
            write_file(temporary, data, durable=durable)
            os.rename(temporary, path)
            if durable:
                sync_directory(os.path.dirname(path))
        except OSError as error:
            raise refused(path, error) from error


def write_file(path: str, data: bytes, *, durable: bool) -> None:
    """A new file with mode 0600."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, data)
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """write(2) until all is written."""
    written = os.write(fd, data)
    while written < len(data):
        data = memoryview(data)[written:]
        written = os.write(fd, data)


def sync_directory(path: str) -> None:
    """Make the names in a directory survive a power cut (fsync(2), NOTES)."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file_system(path: str) -> None:
    """All data of the file system that holds ``path`` to the disk. Raises StoreError."""
    from pyrt._native.file_system import sync_file_system as sync

    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(fd)
    except OSError as error:
        raise refused(path, error) from error
    finally:
        os.close(fd)


@contextmanager
def close_on_exit(fd: int) -> Iterator[int]:
    """``fd``, closed at the end."""
    try:
        yield fd
    finally:
        os.close(fd)
