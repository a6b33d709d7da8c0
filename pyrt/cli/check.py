"""``pyrt check [--repair]``: whether everything in the store is what it was, one line for each thing that is not."""

from __future__ import annotations

import os
import sys

import click

from pyrt.cli.command import FAILED, Command, Option
from pyrt.cli.format import one_object
from pyrt.cli.output import write_line
from pyrt.cli.settings import settings_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.store_check import Report


@click.pass_context
def _check(ctx: click.Context, *, repair: bool, format: str | None) -> int:
    """Check the store: blobs, layers, images, containers, volumes.

    Every blob is held against its digest and every unpacked layer against what it was when it was unpacked. The exit code
    is 1 where something is wrong. With --repair a layer is unpacked again, a blob is fetched again or its image removed,
    and what nobody can read is set aside in the store's directory "damaged"; what a running container uses is left alone.
    """
    from pyrt.store.check_records import open_directories
    from pyrt.store.layout import at, defaults
    from pyrt.store_check import check
    from pyrt.values import replace

    settings = settings_of(ctx)
    opened = open_directories(at(settings.root) if settings.root else defaults(os.environ, os.geteuid()))
    watcher = _Watcher()
    try:
        report = check(settings.open_store(), repair=repair, told=watcher)
    finally:
        watcher.finish()
    report = replace(report, problems=(*opened, *report.problems))
    if format:
        write_line(one_object(facts(report), format))
    else:
        for line in lines(report):
            write_line(line)
    return 0 if report.clean and (repair or not report.problems) else FAILED


def lines(report: Report) -> list[str]:
    """One line for each problem, else one that says what was looked at."""
    if report.problems:
        return [problem.line() for problem in report.problems]
    counted = report.checked
    numbers = ((name, getattr(counted, name)) for name in ("images", "blobs", "layers", "containers", "volumes"))
    return ["nothing wrong: " + ", ".join(f"{number} {name}" for name, number in numbers)]


def facts(report: Report) -> dict[str, object]:
    """The same for --format."""
    counted = report.checked
    return {
        "Clean": report.clean,
        "Checked": {
            "Images": counted.images,
            "Blobs": counted.blobs,
            "Layers": counted.layers,
            "Containers": counted.containers,
            "Volumes": counted.volumes,
        },
        "Problems": [
            {
                "Kind": problem.kind,
                "Subject": problem.subject,
                "Text": problem.text,
                "Images": list(problem.images),
                "Paths": list(problem.paths),
                "Repair": problem.repair,
                "Mended": problem.mended,
            }
            for problem in report.problems
        ],
    }


class _Watcher:
    """How far it is, on a terminal only: one line, gone at the end."""

    def __init__(self) -> None:
        self._moves = sys.stderr.isatty()

    def __call__(self, what: str, done: int, of: int) -> None:
        if self._moves:
            print(f"\r{what}: {done} of {of}\x1b[K", end="", file=sys.stderr, flush=True)

    def finish(self) -> None:
        """Leaves the line empty."""
        if self._moves:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


command = Command(
    "check",
    callback=_check,
    help=_check.__doc__,
    params=[
        Option(["--repair"], is_flag=True, help="Make right what is wrong."),
        Option(["--format", "-f"], metavar="FORMAT", help="json, or a Go template."),
    ],
)
