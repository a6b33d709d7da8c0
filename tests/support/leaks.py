"""What a test may leave behind: nothing. A snapshot of this machine before and after, and what is new in it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class Snapshot:
    """Mounts of our mount namespace, namespaces that some process is in, containers' cgroups, our open fds, our children, and
    the files of a store."""

    mounts: frozenset[str]
    namespaces: frozenset[str]
    cgroups: frozenset[str]
    fds: frozenset[str]
    children: frozenset[str]
    files: frozenset[str]


def snapshot(store_root: str | os.PathLike[str]) -> Snapshot:
    """The state of the machine as far as a container could change it."""
    if os.getpid() == 1:
        _reap_adopted()
    with open("/proc/self/mountinfo") as file:
        lines = file.read().splitlines()
    return Snapshot(
        mounts=frozenset(line.split(" - ")[0].split(" ", 2)[2] for line in lines),
        namespaces=frozenset(_namespaces()),
        cgroups=frozenset(_cgroups(lines)),
        fds=frozenset(_fds()),
        children=frozenset(_children()),
        files=frozenset(_files(os.fspath(store_root))),
    )


def assert_nothing_new(before: Snapshot, store_root: str | os.PathLike[str]) -> None:
    """Fails with the names of what is there now and was not before. What the kernel takes down after a kill gets a moment."""
    deadline = time.monotonic() + 5
    while left := _new(before, snapshot(store_root)):
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.05)


def _new(before: Snapshot, after: Snapshot) -> list[str]:
    names = Snapshot.__dataclass_fields__
    return [f"{name}: {sorted(new)[:10]}" for name in names if (new := getattr(after, name) - getattr(before, name))]


def _reap_adopted() -> None:
    """As PID 1 of a pid namespace (a test run in a container) we inherit what killed callers leave, and have to collect it."""
    for pid in map(int, _children()):
        with suppress(OSError), open(f"/proc/{pid}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "Z":
                os.waitpid(pid, os.WNOHANG)


def _namespaces() -> list[str]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for kind in ("mnt", "pid", "uts", "ipc", "net", "cgroup"):
            with suppress(OSError):
                found.append(os.readlink(f"/proc/{pid}/ns/{kind}"))
    return found


def _cgroups(mountinfo: list[str]) -> list[str]:
    """Ours in each hierarchy, v1 and v2; what the rest of the machine makes comes and goes as it likes."""
    mounts = [line.split(" ")[4] for line in mountinfo if line.split(" - ")[1].startswith("cgroup")]
    return [directory for mount in mounts for directory, _, _ in os.walk(f"{mount}/pyrt")]


def _fds() -> list[str]:
    """All but a few user namespaces, which this process keeps for its next containers."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found.append(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
    return [entry for entry in found if "/proc/" not in entry and " user:[" not in entry]


def _children() -> list[str]:
    with suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as file:
        return file.read().split()
    return []


def _files(root: str) -> list[str]:
    """Compiled filters are kept on purpose, in a bounded number of places; an unfinished one is not."""
    found = [os.path.join(directory, name) for directory, _, files in os.walk(root) for name in files]
    return [path for path in found if not path.startswith(f"{root}/filters/") or path.endswith(".new")]
