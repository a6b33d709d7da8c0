"""The isolation ladder: the best rung that this place has, found by trying, and remembered until the next boot.

    full      root with CAP_SYS_ADMIN in the first user namespace
    userns    a user namespace of our own
    chroot    uid 0 that may chroot, and nothing else
    none      with the exact cause

What is remembered is an answer to a question: who asks, from which namespaces, under which filter. Another one asks anew.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from functools import lru_cache

from pyrt.errors import PrivilegeError
from pyrt.host import CHROOT, DOCTOR, FULL, NONE, SETGID, SETUID, SYS_ADMIN, USERNS, Host, boot_id
from pyrt.ids import DIRECT, ENOUGH, SUBORDINATE, Ids, Range
from pyrt.values import dataclass, replace

_REMEMBERED = ("full.probe", "userns.probe")  # in the run directory
_FILES = (
    *("/etc/subuid", "/etc/subgid", "/usr/bin/newuidmap", "/usr/bin/newgidmap", "/proc/self/uid_map"),
    "/proc/sys/user/max_user_namespaces",
    "/proc/sys/kernel/unprivileged_userns_clone",  # Debian's
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",  # Ubuntu's
)
_NEEDED = ("unshare", "map", "namespaces", "private", "directory", "tmpfs")  # without these there is no rung "userns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What csrc/userns.c found, and the ids that a container's user namespace can have."""

    steps: tuple[tuple[str, int], ...]
    ids: Ids


def here(run: str, isolation: str = "", *, root: str = "") -> Host:
    """The place of this process. ``run`` is the run directory of the store, where the answer is kept, and ``root`` the one that
    holds its layers, mostly on another file system. ``isolation`` asks for one rung by its name.

    Raises PrivilegeError where the rung that is asked for is not to be had.
    """
    facts, where = Host.probe(), (run, root or run)
    host = _found(facts, where)
    if not isolation or host.rung == isolation:
        return host
    lower = _lower(facts, host, where, isolation)
    if lower is None:
        why = dict(host.refused).get(isolation, f"this place has {host.rung}")
        raise PrivilegeError(f"isolation {isolation}: {why}", hint=DOCTOR)
    return lower


def forget(run: str) -> None:
    """What was remembered is asked anew: somebody may have done what ``pyrt doctor`` said."""
    _found.cache_clear()
    for name in _REMEMBERED:
        with suppress(OSError):
            os.unlink(f"{run}/{name}")


def namespace_ids(host: Host) -> Ids | None:
    """The ids of the user namespace in which files with foreign owners can be had, None where that is this one: root has it,
    and the worker is in it."""
    return None if host.uid == 0 and (host.initial or host.entered) and host.holds(SYS_ADMIN) else _ids(host)


def store_ids(run: str, root: str) -> Ids | None:
    """As ``namespace_ids``, for a store; None also where no namespace can be made: root gives files to whom it wants without
    one, and anybody else's are all his own."""
    ids = namespace_ids(Host.probe())
    return None if ids is None or here(run, root=root).rung in (CHROOT, NONE) else ids


@lru_cache(maxsize=16)
def _found(host: Host, where: tuple[str, str]) -> Host:
    if host.uid == 0 and host.initial and host.holds(SYS_ADMIN):
        if not host.sandboxed:
            return host
        answer = _answer(host, where, inside=True)
        if _works(answer.steps):
            return replace(host, steps=answer.steps)
    return _unprivileged(host, _answer(host, where))


def _unprivileged(host: Host, answer: Answer) -> Host:
    steps, not_full = answer.steps, (FULL, _not_full(host))
    if _works(steps):
        return replace(host, rung=USERNS, ids=answer.ids, steps=steps, refused=(not_full,))
    step, number = next(((name, number) for name, number in steps if name in _NEEDED and number), ("start", 0))
    no_userns = (USERNS, f"user namespace: {step}: {os.strerror(number) if number else 'no answer'}")
    refused = (not_full, no_userns)
    if host.uid == 0 and dict(steps).get("chroot") == 0:
        return replace(host, rung=CHROOT, steps=steps, refused=refused)
    no_chroot = (CHROOT, f"uid {host.uid} is not root" if host.uid else "chroot: no CAP_SYS_CHROOT")
    return replace(host, rung=NONE, steps=steps, refused=(*refused, no_chroot))


def _lower(facts: Host, host: Host, where: tuple[str, str], isolation: str) -> Host | None:
    """The place of ``host`` on a rung below its best one."""
    if host.rung == FULL and isolation == USERNS:
        lower = _unprivileged(facts, _answer(facts, where))
        return lower if lower.rung == USERNS else None
    if host.rung in (FULL, USERNS) and isolation == CHROOT and host.uid == 0:
        return replace(facts, rung=CHROOT, refused=host.refused)
    return None


def _not_full(host: Host) -> str:
    if host.uid:
        return f"uid {host.uid} is not root"
    if not host.holds(SYS_ADMIN):
        return "root without CAP_SYS_ADMIN"
    return "root of a user namespace only" if not host.initial else "a filter or profile forbids mounts"


def _works(steps: tuple[tuple[str, int], ...]) -> bool:
    return bool(steps) and steps[-1][0] == "proc" and not any(number for name, number in steps if name in _NEEDED)


def _ids(host: Host) -> Ids:
    """The most that a container's user namespace can map here."""
    users, groups = _own("uid_map"), _own("gid_map")
    if host.uid == 0 and host.holds(SETUID) and host.holds(SETGID) and min(map(_count, (users, groups))) >= ENOUGH:
        return Ids(how=DIRECT, users=users, groups=groups)
    from pyrt.subordinate import ranges

    found = ranges(host.uid)
    if found is not None:
        own_user, own_group = Range(0, host.uid, 1), Range(0, host.gid, 1)
        return Ids(how=SUBORDINATE, users=(own_user, *found[0]), groups=(own_group, *found[1]))
    return Ids.single(host.uid, host.gid)


def _own(name: str) -> tuple[Range, ...]:
    """The ids of the namespace where we are, each as itself."""
    with open(f"/proc/self/{name}", encoding="utf-8") as file:
        rows = [[int(word) for word in line.split()] for line in file]
    return tuple(Range(inside, inside, count) for inside, _, count in rows)


def _count(ranges: tuple[Range, ...]) -> int:
    return sum(one.count for one in ranges)


def _answer(host: Host, where: tuple[str, str], *, inside: bool = False) -> Answer:
    """What the kernel and the administrator say, remembered in the store's run directory; but for a user who gets nothing: what
    he is waiting for, as an AppArmor profile, cannot be seen."""
    run, root = where
    path = f"{run}/{_REMEMBERED[not inside]}"
    key = f"{_key(host)} {root!r}"
    with suppress(OSError, ValueError):
        with open(path, encoding="utf-8") as file:
            first, users, groups, *rest = file.read().splitlines()
        if first == key:
            return Answer(steps=tuple(map(_step, rest)), ids=_parsed(users, groups))
    ids = _ids(host)
    answer = Answer(steps=_probed(run, root, inside), ids=ids)
    if host.uid and not _works(answer.steps):
        return answer
    with suppress(OSError):
        temporary = f"{path}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as file:
            maps = (f"{ids.how} {_shown(ids.users)}", _shown(ids.groups))
            file.write("\n".join([key, *maps, *(f"{name} {number}" for name, number in answer.steps)]))
        os.rename(temporary, path)
    return answer


def _step(line: str) -> tuple[str, int]:
    name, number = line.split(" ")
    return name, int(number)


def _shown(ranges: tuple[Range, ...]) -> str:
    return ",".join(map(str, ranges))


def _parsed(users: str, groups: str) -> Ids:
    """Raises ValueError for what is no map."""
    how, _, users = users.partition(" ")
    found = [tuple(Range(*map(int, one.split(" "))) for one in text.split(",")) for text in (users, groups)]
    return Ids(how=how, users=found[0], groups=found[1])


def _probed(run: str, root: str, inside: bool) -> tuple[tuple[str, int], ...]:
    """Asks the kernel, in a directory beside the layers that one process uses at a time; what a killed one has left there goes
    first. The lock is in the run directory: not every file system has locks."""
    from pyrt._native.userns import probe

    directory, locked = f"{root}/probe", f"{run}/probe"
    for name in {directory, locked}:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700)
    lock = os.open(locked, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.listdir(directory):
            _clear(directory)
        found = tuple(probe(directory, inside=inside).items())
        _clear(directory)
    finally:
        os.close(lock)
    return found


def _clear(directory: str) -> None:
    """Removes what csrc/userns.c makes, and what overlayfs leaves in its work directory, which nobody may read."""
    with suppress(OSError):
        os.chmod(f"{directory}/work/work", 0o700)
    for place, directories, files in os.walk(directory, topdown=False):
        for name in files:
            os.unlink(f"{place}/{name}")
        for name in directories:
            os.rmdir(f"{place}/{name}")


def _key(host: Host) -> str:
    """Everything that the answer depends on and that can differ within one boot."""
    places = [os.readlink(f"/proc/self/ns/{name}") for name in ("user", "mnt", "pid")]
    facts = (boot_id(), host.uid, host.gid, f"{host.capabilities:x}", host.sandboxed, host.no_new_privileges)
    return repr((*facts, os.environ.get("PATH", ""), *places, *map(_state, _FILES)))


def _state(path: str) -> str:
    """Whether a file is still the one that was read: of a small one of procfs its content."""
    try:
        if path.startswith("/proc/"):
            with open(path, encoding="utf-8") as file:
                return file.read().strip()
        status = os.stat(path)
        return f"{status.st_ino} {status.st_ctime_ns} {status.st_size}"  # a change of mode too
    except OSError:
        return ""
