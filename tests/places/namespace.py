"""A bare user namespace, and a place where nobody may make one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.places.place import IDS, OWN_GROUPS, Expected, Inside, Open, Place, Shelf, make_channel, make_home, serving
from tests.places.user import UID, account

_BARE = ("unshare", "--user", "--map-root-user")
# The limit is that of this one namespace, and of what would be made in it.
_LIMITED = (
    "unshare", "--user", f"--map-user={UID}", f"--map-group={UID}", "--keep-caps", "sh", "-ec",
    'echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --ambient-caps=-all --inh-caps=-all -- "$@"', "sh",
)  # fmt: skip


def _in(*prefix: str) -> Open:
    @contextmanager
    def opened(shelf: Shelf, work: Path) -> Iterator[Inside]:
        channel, home = make_channel(work), make_home(work, UID)
        # Who is root of a namespace only does not own /var/lib.
        inside = Inside(channel, str(home), {"PYRT_ROOT": f"{home}/store"})
        with serving([*account(work, subordinate=False), *prefix, *shelf.agent(channel)], inside, shelf, work):
            yield inside

    return opened


PLACES = (
    Place(
        name="unshare -Ur",
        about="root of a bare user namespace, which an ordinary user has made with `unshare -Ur`",
        expected=Expected(rung="userns", ids="one", off=OWN_GROUPS, raised=IDS),
        open=_in(*_BARE),
    ),
    Place(
        name="max_user_namespaces=0",
        about="an ordinary user where `user.max_user_namespaces` is 0",
        expected=Expected(rung="none", refused="max_user_namespaces", raised=frozenset({"userns", "full"})),
        open=_in(*_LIMITED),
    ),
)
