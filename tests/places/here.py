"""Root on this machine, as the tests run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.places.place import Expected, Inside, Place, Shelf, make_channel, make_home, serving


@contextmanager
def _open(shelf: Shelf, work: Path) -> Iterator[Inside]:
    channel, home = make_channel(work), make_home(work)
    # The machine's own store is not a test's.
    inside = Inside(channel, str(home), {"PYRT_ROOT": f"{home}/store"})
    with serving(shelf.agent(channel), inside, shelf, work):
        yield inside


PLACES = (
    Place(
        name="root",
        about="root on this machine",
        expected=Expected(rung="full"),
        open=_open,
    ),
)
