"""Ordinary users of this machine: accounts that exist in a mount namespace of the test's own only.

There, /etc/passwd, /etc/subuid and their like are the test's files, bound over the machine's, and newuidmap, which reads them,
sees these. Nothing has to be added to the machine, and nothing to be removed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.places.place import IDS, OWN_GROUPS, Expected, Inside, Open, Place, Shelf, make_channel, make_home, serving
from tests.support.parts import missing, need

UID = 47110
NAME = "pyrt-guest"
SUBORDINATE = 1_700_000_000  # a range that no distribution gives out
_HELPERS = ("newuidmap", "newgidmap")

# "$1" holds files that are named after those of /etc, "$2" the account's number; the rest is what the account runs.
_BECOME = """
cd "$1"; uid=$2; shift 2
for file in *; do mount --bind "$file" "/etc/$file"; done
for helper in $HIDE; do mount --bind /dev/null "$helper"; done
cd /
exec setpriv --reuid "$uid" --regid "$uid" --clear-groups -- "$@"
"""


def account(work: Path, *, subordinate: bool, uid: int = UID, first: str = "") -> list[str]:
    """A command prefix: what follows it runs as an ordinary user, with subordinate ids and the programs that give them, or
    with neither. Before, root carries out ``first`` in the mount namespace that the user gets."""
    need("setpriv", "unshare", *_HELPERS)
    files = work / "etc"
    files.mkdir()
    range_ = f"{NAME}:{SUBORDINATE}:65536\n" if subordinate else ""
    contents = {
        "passwd": f"{Path('/etc/passwd').read_text()}{NAME}:x:{uid}:{uid}::{work}/home:/bin/sh\n",
        "group": f"{Path('/etc/group').read_text()}{NAME}:x:{uid}:\n",
        "subuid": range_,
        "subgid": range_,
    }
    for name, content in contents.items():
        if not Path("/etc", name).exists():
            missing(f"/etc/{name} does not exist")
        (files / name).write_text(content)
    hidden = "" if subordinate else " ".join(filter(None, map(shutil.which, _HELPERS)))
    become = ["sh", "-ec", f"HIDE='{hidden}'\n{first}\n{_BECOME}", "sh", str(files), str(uid)]
    return ["unshare", "--mount", "--propagation", "private", *become]


def as_user(subordinate: bool, first: str = "") -> Open:
    """An ordinary user's place."""

    @contextmanager
    def opened(shelf: Shelf, work: Path) -> Iterator[Inside]:
        channel, home = make_channel(work), make_home(work, UID)
        inside = Inside(channel, str(home))
        with serving([*account(work, subordinate=subordinate, first=first), *shelf.agent(channel)], inside, shelf, work):
            yield inside

    return opened


PLACES = (
    Place(
        name="user",
        about="an ordinary user with a range in /etc/subuid, and newuidmap",
        expected=Expected(rung="userns"),
        open=as_user(True),
    ),
    Place(
        name="user without subuid",
        about="an ordinary user without a range in /etc/subuid, and no newuidmap",
        expected=Expected(rung="userns", ids="one", off=OWN_GROUPS, raised=IDS),
        open=as_user(False),
    ),
)
