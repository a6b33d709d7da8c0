"""Every check in every place that this machine has; docs/where-it-runs.md is made of the result (tests/places/table.py)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.places.catalogue import BY_NAME, PLACES
from tests.places.checks import CHECKS, Record, Visit, due
from tests.places.place import Inside, Shelf
from tests.support import parts

Enter = Callable[[str], Inside]

CASES = [(place.name, name) for place in PLACES for name in CHECKS if due(place, name)]


@pytest.mark.parametrize(("place", "check"), CASES, ids=[f"{place}: {name}" for place, name in CASES])
def test_lc_26_what_is_run_in_a_place(
    place: str, check: str, visit: Enter, shelf: Shelf, request: pytest.FixtureRequest, record_property: Record
) -> None:
    checked, inside = CHECKS[check], visit(place)
    if checked.server and not inside.network:
        parts.machine("that machine has no network")
    if checked.image == "software" and inside.slow > 1:
        parts.machine("that machine is emulated, and too slow for it")
    here = Visit(BY_NAME[place], inside, shelf, record_property)
    if checked.image == "software":
        request.getfixturevalue("software")
    if checked.image:
        here.pull(checked.image)
    checked.does(here)
