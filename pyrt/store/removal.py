"""Delete a tree as deep and as oddly permitted as an image can make it.

Not shutil.rmtree: that recurses (an image may nest deeper than Python's stack) and gives up at a directory without
write permission, which an unprivileged owner meets in many images. One descriptor is open at a time; the way up is
"..", which is safe because nobody else can reach the tree (0700 above it).
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from pyrt.errors import PyrtError

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str) -> tuple[str, ...]:
    """Delete what can be deleted at ``path``; the reasons why the rest could not ("name: why"), empty when all is gone.

    Where that is because others own it, it is done again in the user namespace whose ids they are.
    """
    failures = remove_own(path)
    if not failures:
        return ()
    from pyrt.host import Host
    from pyrt.ladder import namespace_ids
    from pyrt.worker import call

    ids = namespace_ids(Host.probe())
    if ids is None:
        return failures
    try:
        again: tuple[str, ...] = call(ids, remove_own, path)
    except PyrtError:
        return failures
    return again


def remove_own(path: str) -> tuple[str, ...]:
    """``remove_tree`` with what this process may do itself."""
    failures: list[str] = []
    parent = os.open(os.path.dirname(path), DIRECTORY)
    try:
        name = os.path.basename(path)
        fd = enter(name, parent, failures)
        if fd >= 0:
            empty(fd, failures)
            forget(name, parent, failures)
    except FileNotFoundError:
        pass  # somebody else deletes the same tree, and will finish
    finally:
        os.close(parent)
    return tuple(failures)


def empty(fd: int, failures: list[str]) -> None:
    """Delete everything in the directory ``fd``, without recursion, and close ``fd``."""
    above: list[tuple[str, list[str]]] = []  # (name of the directory entered, its siblings still to be entered)
    pending = clear(fd, failures)
    while True:
        if pending:
            name = pending.pop()
            child = enter(name, fd, failures)
            if child < 0:
                continue
            os.close(fd)
            above.append((name, pending))
            fd, pending = child, clear(child, failures)
        elif above:
            name, pending = above.pop()
            fd = upwards(fd)
            forget(name, fd, failures)
        else:
            os.close(fd)
            return


def upwards(fd: int) -> int:
    """The directory above ``fd``, which is closed."""
    try:
        return os.open("..", DIRECTORY, dir_fd=fd)
    finally:
        os.close(fd)


def enter(name: str, parent: int, failures: list[str]) -> int:
    """Open a directory for emptying; -1 where nothing is left to do: it was empty, or it cannot be removed.

    rmdir comes first: it says EBUSY for a mount point (rmdir(2)), and what is mounted there is not ours to delete.
    """
    try:
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            with suppress(PermissionError):  # somebody else's: opening it says what is wrong
                os.fchmod(parent, 0o700)
        elif error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            failures.append(f"{name}: {error.strerror}")
            return -1
        return open_directory(name, parent, failures)
    return -1


def open_directory(name: str, parent: int, failures: list[str]) -> int:
    """A descriptor of a directory, with permissions added where they lack; -1 and a failure where that does not help.
    """
    try:
        return os.open(name, DIRECTORY, dir_fd=parent)
    except PermissionError:
        try:
            os.chmod(name, 0o700, dir_fd=parent)
            return os.open(name, DIRECTORY, dir_fd=parent)
        except OSError as error:
            failures.append(f"{name}: {error.strerror}")
    except OSError as error:
        failures.append(f"{name}: {error.strerror}")
    return -1


def clear(fd: int, failures: list[str]) -> list[str]:
    """Unlink everything in ``fd`` that is not a directory; the names of the directories."""
    directories = []
    with os.scandir(fd) as entries:
        names = [(item.name, item.is_dir(follow_symlinks=False)) for item in entries]
    for name, is_directory in names:
        if is_directory:
            directories.append(name)
            continue
        try:
            os.unlink(name, dir_fd=fd)
        except FileNotFoundError:
            pass
        except PermissionError:
            unlink_after_chmod(name, fd, failures)
        except OSError as error:
            failures.append(f"{name}: {error.strerror}")
    return directories


def unlink_after_chmod(name: str, fd: int, failures: list[str]) -> None:
    """The directory may lack w and x for its owner; give them and try again."""
    try:
        os.fchmod(fd, 0o700)
        os.unlink(name, dir_fd=fd)
    except OSError as error:
        failures.append(f"{name}: {error.strerror}")


def forget(name: str, parent: int, failures: list[str]) -> None:
    """Remove an emptied directory."""
    try:
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        pass
    except OSError as error:
        failures.append(f"{name}: {error.strerror}")
