"""docs/where-it-runs.md has a row for each place, names what is run there, and shows no failure."""

from __future__ import annotations

from tests.places.catalogue import PLACES
from tests.places.checks import CHECKS, due
from tests.places.table import DOCS, Ended, document


def rows() -> dict[str, list[str]]:
    """The rows of the places, by what they are."""
    split = (line.strip("| ").split(" | ") for line in DOCS.read_text().splitlines() if line.startswith("| "))
    return {cells[0]: cells for cells in split if len(cells) == 5 and cells[0] != "place"}


def test_each_place_has_a_row_with_what_is_run_there() -> None:
    expected = {place.about: ", ".join(name for name in CHECKS if due(place, name)) for place in PLACES}
    assert {about: cells[3] for about, cells in rows().items()} == expected, (
        "python -m tests.places.table JUNIT.xml writes it anew"
    )


def test_each_place_has_the_rung_that_is_expected() -> None:
    assert {about: cells[1] for about, cells in rows().items()} == {place.about: place.expected.rung for place in PLACES}


def test_no_row_shows_a_failure() -> None:
    assert [cells[0] for cells in rows().values() if "**" in cells[4] or "not run" in cells[4]] == []


def test_a_failure_would_be_shown() -> None:
    """A check of the check."""
    place = PLACES[0]
    shown = document({f"{place.name}: run": Ended("failed"), f"{place.name}: info": Ended("passed", {"rung": "full"})})
    (row,) = [line for line in shown.splitlines() if line.startswith(f"| {place.about} |")]
    assert "**failed**: run" in row and "1 of" in row and "| full |" in row
