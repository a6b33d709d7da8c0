from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.places.catalogue import BY_NAME
from tests.places.place import Inside, Shelf, left_behind
from tests.places.shelf import made_shelf, make_software


@pytest.fixture(scope="session")
def shelf() -> Iterator[Shelf]:
    """What the places share."""
    with made_shelf() as made:
        yield made


@pytest.fixture(scope="session")
def software(shelf: Shelf) -> Shelf:
    """The same with the image "software", which takes minutes to make."""
    make_software(shelf)
    return shelf


@pytest.fixture(scope="session")
def visit(shelf: Shelf) -> Iterator[Callable[[str], Inside]]:
    """Opens the place of a name and closes the one before. When a place is closed, nothing of it is left."""
    name, opened = "", ExitStack()
    found: Inside | BaseException | None = None

    def enter(wanted: str) -> Inside:
        nonlocal name, found
        if wanted != name:
            name = ""
            opened.close()
            name = wanted
            try:
                found = opened.enter_context(_open(shelf, wanted))
            except BaseException as error:
                found = error
                raise
        if isinstance(found, Inside):
            return found
        assert found is not None
        raise found

    with opened:
        yield enter


@contextmanager
def _open(shelf: Shelf, name: str) -> Iterator[Inside]:
    # The path of a socket is short (unix(7)), and docker makes some of its own. Not below the shelf, which every place has: a
    # container would find its own root there again, and in it a /proc of which nothing is hidden.
    home = shelf.root.with_name(f"{shelf.root.name}-open")
    work = home / str([*BY_NAME].index(name))
    work.mkdir(parents=True)
    try:
        with BY_NAME[name].open(shelf, work) as inside:
            yield inside
        assert left_behind(work) == []
    finally:
        shutil.rmtree(work)
        home.rmdir()
