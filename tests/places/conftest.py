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
    name, inside, opened = "", None, ExitStack()

    def enter(wanted: str) -> Inside:
        nonlocal name, inside
        if wanted != name:
            opened.close()
            name = ""
            inside = opened.enter_context(_open(shelf, wanted))
            name = wanted
        assert inside is not None
        return inside

    with opened:
        yield enter


@contextmanager
def _open(shelf: Shelf, name: str) -> Iterator[Inside]:
    work = shelf.root / "places" / "".join(letter if letter.isalnum() else "-" for letter in name)
    work.mkdir(parents=True)
    try:
        with BY_NAME[name].open(shelf, work) as inside:
            yield inside
        assert left_behind(work) == []
    finally:
        shutil.rmtree(work)
