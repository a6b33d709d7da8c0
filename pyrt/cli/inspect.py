"""``pyrt inspect NAME...``: a container of that name, else an image."""

from __future__ import annotations

import sys

import click

from pyrt.cli import refused
from pyrt.cli.command import Command, Option, Value
from pyrt.cli.completion import container_names, image_names
from pyrt.cli.each import each
from pyrt.cli.format import objects
from pyrt.cli.output import write_line
from pyrt.cli.settings import settings_of
from pyrt.cli.template import Template
from pyrt.errors import ContainerNotFound, ImageNotFound, InvalidReference, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyrt.store.store import Store

TYPES = ("container", "image")


@click.pass_context
def _inspect(ctx: click.Context, *, names: tuple[str, ...], format: str | None, type: str | None) -> int:
    """Show containers or images, as JSON in docker's shape."""
    store = settings_of(ctx).open_store()
    return inspect_each(names, lambda name: _document(store, name, type), format or "")


def inspect_each(names: Iterable[str], find: Callable[[str], dict[str, object]], layout: str) -> int:
    """Prints what ``find`` has for each name by ``layout`` (--format); what is missing is said after the others."""
    if layout not in ("", "json"):
        Template(layout)  # a template that is wrong is said before anything is looked up
    found: list[dict[str, object]] = []
    code = each(names, lambda name: found.append(find(name)))
    if found or layout in ("", "json"):
        write_line(objects(found, layout))
    sys.stdout.flush()
    return code


def parse_type(text: str) -> str:
    """The kind of thing that a name means."""
    if text not in TYPES:
        raise UsageError("must be container or image")
    return text


def _document(store: Store, name: str, kind: str | None) -> dict[str, object]:
    from pyrt.cli.container_json import container_json
    from pyrt.cli.image_json import image_json

    try:
        if kind != "image":
            return container_json(store, store.containers.find(name))
    except ContainerNotFound:
        if kind == "container":
            raise
    try:
        return image_json(store, store.images.find(name))
    except (ImageNotFound, InvalidReference) as error:
        if kind == "image":
            raise
        raise UsageError(f"{name}: no such container or image") from error


def _names(ctx: click.Context, incomplete: str) -> list[str]:
    return [*container_names(ctx, incomplete), *image_names(ctx, incomplete)]


command = Command(
    "inspect",
    refused=refused.INSPECT,
    callback=_inspect,
    help=_inspect.__doc__,
    params=[
        Option(["--format", "-f"], metavar="FORMAT", help="json, or a Go template."),
        Option(["--type"], type=Value("TYPE", parse_type), metavar="TYPE", help="container or image."),
        click.Argument(["names"], metavar="NAME|ID...", nargs=-1, required=False, type=Value("name", complete=_names)),
    ],
)
