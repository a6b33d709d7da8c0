"""``pyrt tag SOURCE TARGET``: another name for an image."""

from __future__ import annotations

import click

from pyrt.cli.command import Command, Value
from pyrt.cli.completion import image_names
from pyrt.cli.settings import settings_of
from pyrt.errors import UsageError


@click.pass_context
def _tag(ctx: click.Context, *, source: str, target: str) -> None:
    """Give an image another name.

    SOURCE is a name or an id. TARGET is a name; without a tag it is "latest". An image that had the name keeps its id.
    """
    from pyrt.oci.reference import Reference

    reference = Reference.parse(target)
    if reference.digest is not None:
        raise UsageError(f"{target}: a name with a digest cannot be given to an image")
    store = settings_of(ctx).open_swept_store()
    with store.using():
        record = store.images.find(source)
        store.images.set(reference, record.descriptor, resolved=record.resolved)


command = Command(
    "tag",
    callback=_tag,
    help=_tag.__doc__,
    params=[
        click.Argument(["source"], metavar="SOURCE_IMAGE[:TAG]", required=False, type=Value("image", complete=image_names)),
        click.Argument(["target"], metavar="TARGET_IMAGE[:TAG]", required=False),
    ],
)
