"""``pyrt image prune``: images without a name, or with -a all that no container uses."""

from __future__ import annotations

import sys
from datetime import datetime, timezone

import click

from pyrt.cli import ages
from pyrt.cli.command import Command, Option, Value
from pyrt.cli.filters import Filter, boolean, grouped, has_labels, parse_filter
from pyrt.cli.output import write_line
from pyrt.cli.settings import settings_of
from pyrt.cli.sizes import format_size
from pyrt.errors import PyrtError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyrt.store.images import ImageRecord
    from pyrt.store.store import Store

FILTERS = ("dangling", "label", "label!", "until")


@click.pass_context
def _prune(ctx: click.Context, *, all: bool, filter: tuple[Filter, ...], force: bool) -> int:
    """Remove images that have no name.

    Such an image had a name that went to another one. With --all every image goes that no container uses.
    """
    store = settings_of(ctx).open_store()
    wanted = grouped(filter, FILTERS)
    dangling = boolean("dangling", wanted.get("dangling", ()))
    everything = all or dangling is False
    accept = _accept(store, filter, datetime.now(timezone.utc))
    if not force and not _confirmed("all images without a container" if everything else "all images without a name"):
        return 0
    from pyrt.store.prune import prune_images
    from pyrt.store.sweep import sweep

    sweep(store)
    removed = prune_images(store, everything=everything, accept=accept)
    if removed.untagged or removed.deleted:
        write_line("Deleted Images:")
        for line in removed.lines():
            write_line(line[0].lower() + line[1:])
        write_line("")
    write_line(f"Total reclaimed space: {format_size(removed.reclaimed)}")
    return 0


def _accept(store: Store, filters: Iterable[Filter], now: datetime) -> Callable[[ImageRecord], bool]:
    """Whether the filters mean an image. Raises UsageError for a value that is wrong, before anything is removed."""
    wanted = grouped(filters, FILTERS)
    limits = [ages.parse_limit(text, now) for text in wanted.get("until", ())]
    labels, without = wanted.get("label", ()), wanted.get("label!", ())

    def accept(record: ImageRecord) -> bool:
        if not (limits or labels or without):
            return True
        try:
            config = store.images.load(record).config
        except PyrtError:
            return False
        created = ages.parse_time(config.created)
        if any(created >= limit for limit in limits) or not has_labels(config.labels, labels):
            return False
        return not any(has_labels(config.labels, (label,)) for label in without)

    return accept


def _confirmed(what: str) -> bool:
    """docker's question. Raises UsageError where nobody can answer."""
    if not sys.stdin.isatty():
        raise UsageError("image prune: nobody to ask whether to go on", hint="--force does not ask")
    click.echo(f"WARNING! This will remove {what}.\nAre you sure you want to continue? [y/N] ", nl=False, err=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


command = Command(
    "prune",
    callback=_prune,
    help=_prune.__doc__,
    params=[
        Option(["--all", "-a"], is_flag=True, help="Every image that no container uses."),
        Option(
            ["--filter"], type=Value("KEY=VALUE", parse_filter), metavar="KEY=VALUE", multiple=True,
            help="until=24h, label=KEY[=VALUE], label!=KEY.",
        ),
        Option(["--force", "-f"], is_flag=True, help="Do not ask."),
    ],
)  # fmt: skip
