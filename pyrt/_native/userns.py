"""User namespaces: made by csrc/userns.c at a path of its own, kept by an fd in this process for as long as it lives.

One for each map, shared by all containers that this process starts with it (as podman's rootless containers share one), and
the last few of them. A namespace ends with its last fd and its last process: nothing has to be removed.
"""

from __future__ import annotations

import os
import threading

from pyrt.errors import PrivilegeError
from pyrt.ids import DIRECT, SUBORDINATE, Ids, Range

PROGRAM = os.path.join(os.path.dirname(__file__), "bin", "pyrt-userns")

_KEPT = 8
_kept: dict[Ids, int] = {}
_lock = threading.Lock()


def namespace(ids: Ids) -> int:
    """An fd of a user namespace with these ids, for the caller to close. Raises PrivilegeError that says which step was
    refused."""
    with _lock:
        if ids not in _kept:
            while len(_kept) >= _KEPT:
                os.close(_kept.pop(next(iter(_kept))))
            _kept[ids] = _make(ids)
        return os.dup(_kept[ids])


def probe(directory: str, *, inside: bool = False) -> dict[str, int]:
    """What works here, by the names in csrc/userns.c: errno, 0 where it does. ``directory`` is an empty one of ours, which has
    things in it afterwards. ``inside``: in the user namespace where we are."""
    argv = [PROGRAM, "probe", directory, *(["inside"] if inside else [])]
    read, write = os.pipe()
    try:
        with open(os.devnull, "rb") as nothing:
            pid = _spawn(argv, nothing.fileno(), write)
        os.close(write)
        write = -1
        with open(read, closefd=False) as lines:
            found = dict(_step(line) for line in lines)
        os.waitpid(pid, 0)
        return found
    finally:
        os.close(read)
        if write >= 0:
            os.close(write)


def enter(ids: Ids, argv: list[str]) -> tuple[list[str], int]:
    """The words of a command that runs ``argv`` (a path first) in the namespace, and the fd that it has to inherit and the
    caller to close."""
    fd = namespace(ids)
    return [PROGRAM, "enter", str(fd), *argv], fd


def _step(line: str) -> tuple[str, int]:
    name, _, number = line.rstrip("\n").partition(" ")
    return name, int(number or "0")


def _spawn(argv: list[str], stdin: int, stdout: int) -> int:
    moves = [(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, stdout, 1)]
    return os.posix_spawn(argv[0], argv, {}, file_actions=moves)


def _make(ids: Ids) -> int:
    single = []
    if ids.is_single:
        user, group = ids.users[0], ids.groups[0]
        single = [str(number) for number in (user.inside, user.outside, group.inside, group.outside)]
    holding, end = os.pipe()
    lines, write = os.pipe()
    try:
        pid = _spawn([PROGRAM, "hold", *single], holding, write)
    finally:
        os.close(holding)
        os.close(write)
    try:
        with open(lines) as said:
            step, number = _step(said.readline())
        if step != "ready":
            why = os.strerror(number) if number else "the program that makes it ended"
            raise PrivilegeError(f"user namespace: {step or 'start'}: {why}", hint="pyrt doctor says what is in the way")
        if ids.how == DIRECT:
            for name, ranges in (("uid_map", ids.users), ("gid_map", ids.groups)):
                _write_map(f"/proc/{pid}/{name}", ranges)
        elif ids.how == SUBORDINATE:
            _map_subordinate(pid, ids)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(end)
        os.waitpid(pid, 0)


def _write_map(path: str, ranges: tuple[Range, ...]) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, "".join(f"{one}\n" for one in ranges).encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise PrivilegeError(f"user namespace: {os.path.basename(path)}: {error.strerror}") from error


def _map_subordinate(pid: int, ids: Ids) -> None:
    """Both programs at once: each takes a millisecond or two, because it runs with set-user-id."""
    running = []
    for name, ranges in (("newuidmap", ids.users), ("newgidmap", ids.groups)):
        program = _found(name)
        if not program:
            raise PrivilegeError(f"user namespace: {name}: not found", hint="install the package uidmap (shadow-utils)")
        words = [str(number) for one in ranges for number in (one.inside, one.outside, one.count)]
        said = os.memfd_create(name)
        moves = [(os.POSIX_SPAWN_DUP2, said, 1), (os.POSIX_SPAWN_DUP2, said, 2)]
        running.append((name, os.posix_spawn(program, [program, str(pid), *words], os.environ, file_actions=moves), said))
    failures = [failure for name, helper, said in running if (failure := _failure(name, helper, said))]
    if failures:
        raise PrivilegeError(f"user namespace: {failures[0]}", hint="look at /etc/subuid and /etc/subgid: subuid(5)")


def _found(name: str) -> str:
    """A program on PATH, "" where it is not there. (Loading shutil takes longer than everything else of a first start.)"""
    candidates = (f"{directory}/{name}" for directory in os.get_exec_path())
    return next((path for path in candidates if os.access(path, os.X_OK)), "")


def _failure(name: str, helper: int, said: int) -> str:
    """What a helper that has ended said of its failure, "" for success."""
    code = os.waitstatus_to_exitcode(os.waitpid(helper, 0)[1])
    try:
        words = os.pread(said, 400, 0).decode(errors="replace").strip().replace("\n", "; ")
    finally:
        os.close(said)
    return f"{name}: {words or f'exit code {code}'}" if code else ""
