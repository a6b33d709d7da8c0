"""``pyrt ps``: docker's table of containers."""

from __future__ import annotations

from datetime import datetime, timezone

import click

from pyrt.cli import refused
from pyrt.cli.command import Command, Option, Value
from pyrt.cli.container_rows import chosen, row
from pyrt.cli.filters import Filter, parse_filter
from pyrt.cli.format import listing
from pyrt.cli.names import parse_whole
from pyrt.cli.output import write_line
from pyrt.cli.settings import settings_of

HEADINGS = {
    "ID": "CONTAINER ID",
    "Names": "NAMES",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
}
TABLE = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"


@click.pass_context
def _ps(
    ctx: click.Context,
    *,
    all: bool,
    filter: tuple[Filter, ...],
    format: str | None,
    last: int | None,
    latest: bool,
    no_trunc: bool,
    quiet: bool,
) -> None:
    """List containers.

    Those that run; with --all also those that have ended and were not removed.
    """
    now = datetime.now(timezone.utc)
    store = settings_of(ctx).open_store()
    limit = 1 if latest else last if last is not None and last > 0 else None
    known = store.containers.list()
    records = chosen(store, known, filter, ended=all or limit is not None)[:limit]
    layout = (format or "").strip()
    if quiet and not layout:
        layout = "{{.ID}}"
    rows = [row(record, now, whole=no_trunc) for record in records]
    for line in listing(rows, HEADINGS, TABLE, layout):
        write_line(line)


command = Command(
    "ps",
    refused=refused.PS,
    callback=_ps,
    help=_ps.__doc__,
    params=[
        Option(["--all", "-a"], is_flag=True, help="Also those that have ended."),
        Option(
            ["--filter", "-f"], type=Value("KEY=VALUE", parse_filter), metavar="KEY=VALUE", multiple=True,
            help="ancestor, before, exited, id, label, name, since, status.",
        ),
        Option(["--format"], metavar="FORMAT", help="table, table TEMPLATE, json, or a Go template."),
        Option(["--last", "-n"], type=Value("N", parse_whole), metavar="N", help="The last N, ended ones too."),
        Option(["--latest", "-l"], is_flag=True, help="The last one."),
        Option(["--no-trunc"], is_flag=True, help="Show ids and commands in full."),
        Option(["--quiet", "-q"], is_flag=True, help="Show only ids."),
    ],
)  # fmt: skip
