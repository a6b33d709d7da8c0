"""``pyrt rmi IMAGE...``: take names, and images that have lost their last name, out of the store."""

from __future__ import annotations

import click

from pyrt.cli import refused
from pyrt.cli.command import Command, Option, Value
from pyrt.cli.completion import image_names
from pyrt.cli.each import each
from pyrt.cli.output import write_line
from pyrt.cli.settings import settings_of


@click.pass_context
def _rmi(ctx: click.Context, *, images: tuple[str, ...], force: bool) -> int:
    """Remove images.

    A name is taken away; with its last name, or by id, the image goes, and what no other image and no container needs.
    """
    store = settings_of(ctx).open_swept_store()
    from pyrt.store.prune import remove_image

    def remove(text: str) -> None:
        for line in remove_image(store, text, force=force).lines():
            write_line(line)

    return each(images, remove)


command = Command(
    "rmi",
    refused=refused.RMI,
    callback=_rmi,
    help=_rmi.__doc__,
    params=[
        Option(["--force", "-f"], is_flag=True, help="Also where a container uses it, or by id with several names."),
        click.Argument(["images"], metavar="IMAGE...", nargs=-1, required=False, type=Value("image", complete=image_names)),
    ],
)
