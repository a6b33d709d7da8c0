"""``pyrt image inspect IMAGE...``."""

from __future__ import annotations

import click

from pyrt.cli import refused
from pyrt.cli.command import Command, Option, Value
from pyrt.cli.completion import image_names
from pyrt.cli.image_json import image_json
from pyrt.cli.inspect import inspect_each
from pyrt.cli.settings import settings_of


@click.pass_context
def _inspect(ctx: click.Context, *, images: tuple[str, ...], format: str | None) -> int:
    """Show images, as JSON in docker's shape."""
    store = settings_of(ctx).open_store()
    return inspect_each(images, lambda name: image_json(store, store.images.find(name)), format or "")


command = Command(
    "inspect",
    refused=refused.IMAGE_INSPECT,
    callback=_inspect,
    help=_inspect.__doc__,
    params=[
        Option(["--format", "-f"], metavar="FORMAT", help="json, or a Go template."),
        click.Argument(["images"], metavar="IMAGE...", nargs=-1, required=False, type=Value("image", complete=image_names)),
    ],
)
