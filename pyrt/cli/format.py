"""``--format`` of the commands that list things: docker's table, a table of one's own, JSON lines, or a Go template."""

from __future__ import annotations

import re

from pyrt.cli.go_values import go_json
from pyrt.cli.message import one_line
from pyrt.cli.template import Template
from pyrt.cli.template_functions import HEADER_FUNCTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Cell = str | Callable[[str], str]
    Row = Mapping[str, Cell]

_GAP = 3  # docker's tabwriter: cells are at least ten wide, with three spaces between the longest and the next
_NARROWEST = 10


def listing(rows: Iterable[Row], headings: Mapping[str, str], table: str, layout: str) -> Iterable[str]:
    """The lines of a listing.

    ``headings`` has the column title of every field of the rows, ``table`` the template of docker's own table,
    ``layout`` what the user gave for --format ("" for nothing). Raises UsageError for a bad template.
    """
    layout = layout.strip() or "table"
    if layout == "json":
        return [go_json(_fields(row)) for row in rows]
    if layout == "table" or layout.startswith(("table ", "table\t")):
        return aligned(_cells(rows, headings, layout.removeprefix("table").strip() or table))
    template = Template(_with_escapes(layout))
    return [template.fill(dict(sorted(row.items()))) for row in rows]


def objects(values: Sequence[object], layout: str) -> str:
    """What ``inspect`` prints: all as one JSON list, indented, or compact for "json", else a template for each."""
    if layout == "":
        return go_json(list(values), indent=4)
    if layout == "json":
        return go_json(list(values))
    return "\n".join(one_object(value, layout) for value in values)


def one_object(value: object, layout: str) -> str:
    """One object as ``info`` and ``version`` print it for --format: JSON, or a template."""
    return go_json(value) if layout == "json" else Template(layout).fill(value)


def aligned(lines: Iterable[Sequence[str]]) -> list[str]:
    """Cells in columns as docker's tables have them; the last cell of a line is not padded."""
    table = [list(line) for line in lines]
    widths: dict[int, int] = {}
    for line in table:
        for column, cell in enumerate(line[:-1]):
            widths[column] = max(widths.get(column, _NARROWEST), len(cell) + _GAP)
    return ["".join([*(cell.ljust(widths[i]) for i, cell in enumerate(line[:-1])), line[-1]]) for line in table]


def _cells(rows: Iterable[Row], headings: Mapping[str, str], layout: str) -> list[list[str]]:
    layout = _with_escapes(layout)
    heading = Template(layout, HEADER_FUNCTIONS)
    template = Template(layout)
    titles: dict[str, object] = {**headings, "Label": lambda name: str(name).rsplit(".", 1)[-1]}
    lines = [heading.fill(titles).split("\t")]
    for row in rows:
        # A tab or a line break in a value would make cells and lines of its own.
        safe = {name: one_line(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        lines.append(template.fill(safe).split("\t"))
    return lines


def _fields(row: Row) -> dict[str, str]:
    return {name: cell for name, cell in sorted(row.items()) if isinstance(cell, str)}


def _with_escapes(layout: str) -> str:
    """docker reads ``\\t`` and ``\\n`` outside of actions, because a shell hands them on as they are."""
    pieces = re.split(r"(\{\{.*?\}\})", layout, flags=re.DOTALL)
    return "".join(piece if piece.startswith("{{") else piece.replace("\\t", "\t").replace("\\n", "\n") for piece in pieces)
