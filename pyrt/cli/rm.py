"""``pyrt rm CONTAINER...``."""

from __future__ import annotations

import click

from pyrt.cli import refused
from pyrt.cli.command import Command, Option, Value
from pyrt.cli.completion import container_names
from pyrt.cli.each import each
from pyrt.cli.message import failure
from pyrt.cli.output import note, write_line
from pyrt.cli.settings import settings_of
from pyrt.errors import ContainerNotFound


@click.pass_context
def _rm(ctx: click.Context, *, containers: tuple[str, ...], force: bool) -> int:
    """Remove containers.

    Those that have ended; with --force also running ones, which are killed.
    """
    store = settings_of(ctx).open_swept_store()
    from pyrt.container import remove

    def act(name: str) -> None:
        try:
            store.containers.find(name)
        except ContainerNotFound as error:
            if not force:
                raise
            note(failure(error))
            return
        remove(name, store=store, force=force)
        write_line(name)

    return each(containers, act)


command = Command(
    "rm",
    refused=refused.RM,
    callback=_rm,
    help=_rm.__doc__,
    params=[
        Option(["--force", "-f"], is_flag=True, help="Kill it where it runs; one that is not there is no failure."),
        click.Argument(
            ["containers"], metavar="CONTAINER...", nargs=-1, required=False,
            type=Value("container", complete=container_names),
        ),
    ],
)  # fmt: skip
