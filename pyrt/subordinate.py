"""The ids that the administrator has given to a user: subuid(5) and subgid(5), and the programs that map them."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import struct
from contextlib import suppress

from pyrt.host import SETGID, SETUID
from pyrt.ids import ENOUGH, Range
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = ("newuidmap", "newgidmap")
FILES = ("/etc/subuid", "/etc/subgid")

_GIVES = {"newuidmap": SETUID, "newgidmap": SETGID}
MISSING, UNPRIVILEGED, NOSUID, NO_NEW_PRIVILEGES = "missing", "unprivileged", "nosuid", "no_new_privs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapper:
    """newuidmap(1) or newgidmap(1). ``lacks`` is what keeps it from mapping ids, "" where it can."""

    path: str
    lacks: str


def ranges(
    uid: int, files: tuple[str, str] = FILES, path: str | None = None
) -> tuple[tuple[Range, ...], tuple[Range, ...]] | None:
    """The user's and the group's ranges, the first one from 1 on inside; None where they are too few to be of use, or where
    nobody can map them."""
    if any(mapper(program, path=path).lacks for program in PROGRAMS):
        return None
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = ""
    users, groups = (_rows(file, uid, name) for file in files)
    if min(sum(one.count for one in each) for each in (users, groups)) < ENOUGH - 1:
        return None
    return users, groups


def mapper(program: str, *, path: str | None = None, proc: str = "/proc") -> Mapper:
    """One of PROGRAMS as it is on PATH: whether it has the right to map ids, and neither its mount nor we take it away."""
    found = shutil.which(program, path=path)
    if found is None:
        return Mapper(path="", lacks=MISSING)
    if not _is_privileged(found, _GIVES[program]):
        return Mapper(path=found, lacks=UNPRIVILEGED)
    if os.statvfs(found).f_flag & os.ST_NOSUID:
        return Mapper(path=found, lacks=NOSUID)
    with suppress(OSError), open(f"{proc}/self/status", encoding="utf-8", errors="replace") as status:
        if "NoNewPrivs:\t1\n" in status:
            return Mapper(path=found, lacks=NO_NEW_PRIVILEGES)
    return Mapper(path=found, lacks="")


def rows(path: str) -> Iterator[tuple[str, int, int]]:
    """Owner (a name or an id), first id and count of each line; what is not one is passed over, as by newuidmap(1)."""
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            owner, _, rest = line.strip().partition(":")
            first, _, count = rest.partition(":")
            if owner and first.isdigit() and count.isdigit() and int(count):
                yield owner, int(first), int(count)


def _is_privileged(path: str, capability: int) -> bool:
    """Set-user-id root, or this capability by the file (capabilities(7), "File capabilities"): a copy of an image's tree often
    has lost both."""
    status = os.stat(path)
    if status.st_mode & stat.S_ISUID and status.st_uid == 0:
        return True
    try:
        permitted = struct.unpack_from("<I", os.getxattr(path, "security.capability"), 4)[0]
    except (OSError, struct.error):
        return False
    return bool(permitted >> capability & 1)


def _rows(path: str, uid: int, name: str) -> tuple[Range, ...]:
    found: list[Range] = []
    inside = 1
    for owner, first, count in rows(path):
        if owner in (name, str(uid)):
            found.append(Range(inside, first, count))
            inside += count
    return tuple(found)
