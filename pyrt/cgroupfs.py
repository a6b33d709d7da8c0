"""A cgroup that exists, by the files of its directory (cgroups(7)): what runs in it, its end. Any version, any hierarchy."""

from __future__ import annotations

import os
import time
from contextlib import suppress

PATIENCE = 5.0  # seconds that the kernel gets to take down what has been killed
_PAUSE = 0.001


def members(path: str) -> set[int]:
    """The pids of all processes in the cgroup and below, as our pid namespace has them; those of another's are missing."""
    found: set[int] = set()
    for directory, _, _ in os.walk(path):
        with suppress(OSError), open(f"{directory}/cgroup.procs") as file:
            found.update(int(line) for line in file)
    return found - {0}


def kill(path: str) -> bool:
    """SIGKILL for everything in the cgroup and below. Whether nothing is left of it within PATIENCE; none is there either
    where there is no cgroup."""
    deadline = time.monotonic() + PATIENCE
    if not _write(f"{path}/cgroup.kill", "1"):
        # Before Linux 5.14, and in every v1. Nobody may fork meanwhile faster than we look.
        _write(f"{path}/pids.max", "0")
        _write(f"{path}/cgroup.freeze", "1")
    while found := members(path):
        for pid in found:
            _kill_member(path, pid)
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def remove(path: str) -> bool:
    """Removes the cgroup, whatever runs in it and whatever cgroups are below; its parent too, where it was the last there.
    Whether it is gone."""
    deadline = time.monotonic() + PATIENCE
    while not _removed(path):
        if not kill(path) or time.monotonic() > deadline:
            return False
        for directory, _, _ in os.walk(path, topdown=False):
            _removed(directory)
        time.sleep(_PAUSE)  # a process is a member for a moment longer than its parent has to wait for it
    _removed(os.path.dirname(path))
    return True


def _removed(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _kill_member(path: str, pid: int) -> None:
    """By pidfd, and looked up once more: the number may have become somebody else's."""
    import signal

    try:
        process = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if pid in members(path):
            signal.pidfd_send_signal(process, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(process)


def _write(path: str, text: str) -> bool:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.write(fd, text.encode()) == len(text)
    except OSError:
        return False
    finally:
        os.close(fd)
