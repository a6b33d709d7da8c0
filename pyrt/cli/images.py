"""``pyrt images [NAME]``: docker's table of the images in the store."""

from __future__ import annotations

from datetime import datetime, timezone

import click

from pyrt.cli import refused
from pyrt.cli.command import Command, Option, Value
from pyrt.cli.completion import image_names
from pyrt.cli.filters import Filter, parse_filter
from pyrt.cli.format import listing
from pyrt.cli.image_rows import chosen, familiar_argument, listed, row
from pyrt.cli.output import write_line
from pyrt.cli.settings import settings_of

HEADINGS = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Containers": "CONTAINERS",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
}
TABLE = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
TABLE_WITH_DIGESTS = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"


@click.pass_context
def _images(
    ctx: click.Context,
    *,
    name: str | None,
    all: bool,
    digests: bool,
    filter: tuple[Filter, ...],
    format: str | None,
    no_trunc: bool,
    quiet: bool,
) -> None:
    """List the images in the store.

    NAME is a name, with or without a tag, or a pattern. SIZE is what the image takes as it was pulled, compressed.
    """
    now = datetime.now(timezone.utc)
    filters = (*filter, *((("reference", familiar_argument(name)),) if name else ()))
    images = chosen(listed(settings_of(ctx).open_store()), filters, now)
    rows = [row(image, now, whole=no_trunc) for image in images]
    table = TABLE_WITH_DIGESTS if digests else TABLE
    layout = format or ""
    if quiet and not layout.strip():
        table, layout = "", "{{.ID}}"
    for line in listing(rows, HEADINGS, table, layout):
        write_line(line)


command = Command(
    "images",
    refused=refused.IMAGES,
    callback=_images,
    help=_images.__doc__,
    params=[
        Option(["--all", "-a"], is_flag=True, help="Intermediate images too; this store keeps none."),
        Option(["--digests"], is_flag=True, help="Show the registry's digests."),
        Option(
            ["--filter", "-f"], type=Value("KEY=VALUE", parse_filter), metavar="KEY=VALUE", multiple=True,
            help="before, dangling, label, reference, since, until.",
        ),
        Option(["--format"], metavar="FORMAT", help="table, table TEMPLATE, json, or a Go template."),
        Option(["--no-trunc"], is_flag=True, help="Show ids in full."),
        Option(["--quiet", "-q"], is_flag=True, help="Show only ids."),
        click.Argument(
            ["name"], metavar="[NAME[:TAG]]", required=False, type=Value("name", complete=image_names)
        ),
    ],
)  # fmt: skip
