"""The ids that the administrator has given to a user: subuid(5) and subgid(5), and the programs that map them."""

from __future__ import annotations

import pwd
import shutil

from pyrt.ids import ENOUGH, Range

PROGRAMS = ("newuidmap", "newgidmap")


def ranges(
    uid: int, files: tuple[str, str] = ("/etc/subuid", "/etc/subgid"), path: str | None = None
) -> tuple[tuple[Range, ...], tuple[Range, ...]] | None:
    """The user's and the group's ranges, the first one from 1 on inside; None where they are too few to be of use, or where
    nobody can map them."""
    if any(shutil.which(program, path=path) is None for program in PROGRAMS):
        return None
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = ""
    users, groups = (_rows(file, uid, name) for file in files)
    if min(sum(one.count for one in each) for each in (users, groups)) < ENOUGH - 1:
        return None
    return users, groups


def _rows(path: str, uid: int, name: str) -> tuple[Range, ...]:
    """Lines ``NAME-OR-ID:FIRST:COUNT``; what is not one is passed over, as by newuidmap(1)."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return ()
    found: list[Range] = []
    inside = 1
    for line in lines:
        owner, _, rest = line.strip().partition(":")
        first, _, count = rest.partition(":")
        if owner in (name, str(uid)) and owner and first.isdigit() and count.isdigit() and int(count):
            found.append(Range(inside, int(first), int(count)))
            inside += int(count)
    return tuple(found)
