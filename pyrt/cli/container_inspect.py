"""``pyrt container inspect CONTAINER...``."""

from __future__ import annotations

import click

from pyrt.cli import refused
from pyrt.cli.command import Command, Option, Value
from pyrt.cli.completion import container_names
from pyrt.cli.container_json import container_json
from pyrt.cli.inspect import inspect_each
from pyrt.cli.settings import settings_of


@click.pass_context
def _inspect(ctx: click.Context, *, containers: tuple[str, ...], format: str | None) -> int:
    """Show containers, as JSON in docker's shape."""
    store = settings_of(ctx).open_store()
    return inspect_each(containers, lambda name: container_json(store, store.containers.find(name)), format or "")


command = Command(
    "inspect",
    refused=refused.INSPECT,
    callback=_inspect,
    help=_inspect.__doc__,
    params=[
        Option(["--format", "-f"], metavar="FORMAT", help="json, or a Go template."),
        click.Argument(
            ["containers"], metavar="CONTAINER...", nargs=-1, required=False,
            type=Value("container", complete=container_names),
        ),
    ],
)  # fmt: skip
