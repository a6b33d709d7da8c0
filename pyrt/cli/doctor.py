"""``pyrt doctor``: what holds this place back, and the lines that would change it."""

from __future__ import annotations

import click

from pyrt.cli.command import FAILED, Command, Option
from pyrt.cli.format import one_object
from pyrt.cli.output import write, write_line
from pyrt.cli.settings import settings_of
from pyrt.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyrt.host import Host
    from pyrt.obstacles import Obstacle

_WIDTH = 79
_RUNGS = {
    "full": "Containers start here, with every barrier between them and this machine.",
    "userns": "Containers start here, and are shut in: root in them is nobody special outside.",
    "chroot": "Containers start here, but they are not shut in: it is a convenience of paths, not a boundary. "
    "Run nothing in them that you do not trust.",
    "none": "No container starts here.",
}


@click.pass_context
def _doctor(ctx: click.Context, *, format: str | None, apparmor: bool) -> int:
    """Show what holds this place back, and what to type.

    The best gain comes first. Nothing is changed. The exit code is 0 where containers start, and 1 where none can.
    """
    if apparmor:
        if format is not None:
            raise UsageError("--apparmor and --format exclude each other")
        from pyrt.apparmor_userns import profile

        write(profile())
        return 0
    from pyrt.machine_info import examine

    host, found = examine(settings_of(ctx).open_store())
    starts = host.rung != "none"
    if format is None:
        for line in _report(host, found):
            write_line(line)
    else:
        ids = host.ids.how if host.ids is not None else ""
        obstacles = [obstacle.to_json() for obstacle in found]
        write_line(one_object({"Starts": starts, "Rung": host.rung, "Ids": ids, "Obstacles": obstacles}, format))
    return 0 if starts else FAILED


def _report(host: Host, found: Sequence[Obstacle]) -> Iterator[str]:
    yield from _wrapped(f"{_RUNGS[host.rung]} (The rung is '{host.rung}'.)")
    yield ""
    if not found:
        yield "Nothing holds this place back."
        return
    yield f"{_count(len(found))} this place back" + (", and the first gains most:" if len(found) > 1 else ":")
    first, told = 1, ""
    for number, obstacle in enumerate(found, 1):
        before, after = (found[i].raises if 0 <= i < len(found) else "" for i in (number - 2, number))
        first = first if before == obstacle.raises else number
        yield ""
        yield from _one(obstacle, number, "" if obstacle.why == told else obstacle.why, first, last=after != obstacle.raises)
        told = obstacle.why


def _count(number: int) -> str:
    return "One thing holds" if number == 1 else f"{number} things hold"


def _one(obstacle: Obstacle, number: int, why: str, first: int, *, last: bool) -> Iterator[str]:
    """What is in the way of one gain is numbered from ``first`` on, and all of it has to go: the gain is told at the end."""
    yield from _wrapped(obstacle.what, f"{number}. ")
    yield from _wrapped(why)
    yield ""
    yield from _wrapped(obstacle.remedy.how)
    if obstacle.remedy.lines:
        yield ""
        yield from (f"    {line}" for line in obstacle.remedy.lines)
    if last:
        yield ""
        numbers = f"{', '.join(map(str, range(first, number)))} and {number}"
        yield from _wrapped(f"Then: {obstacle.gain}" if number == first else f"With {numbers} done: {obstacle.gain}")


def _wrapped(text: str, head: str = "") -> Iterator[str]:
    """Indented by three where it belongs to a numbered thing; words as paths are not broken."""
    import textwrap

    indent = "" if text.startswith(tuple(_RUNGS.values())) else "   "
    yield from textwrap.wrap(
        text, _WIDTH, initial_indent=head or indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


command = Command(
    "doctor",
    callback=_doctor,
    help=_doctor.__doc__,
    params=[
        Option(["--format", "-f"], metavar="FORMAT", help="json, or a Go template."),
        Option(["--apparmor"], is_flag=True, help="Print the AppArmor profile that Ubuntu wants."),
    ],
)
