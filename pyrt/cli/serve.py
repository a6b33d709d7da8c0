"""``pyrt serve``: the store as a registry, read-only."""

from __future__ import annotations

import click

from pyrt.cli.command import Command, Option
from pyrt.cli.output import note
from pyrt.cli.settings import settings_of


@click.pass_context
def _serve(ctx: click.Context, *, listen: str, quiet: bool) -> None:
    """Serve the images of the store as a registry.

    Read-only, over plain HTTP, without a login: whoever reaches the address can pull every image that has a name here.
    It ends with Ctrl-C. From another machine: pyrt pull HOST:PORT/library/busybox, where HOST:PORT is marked insecure.
    """
    store = settings_of(ctx).open_store()
    from pyrt.registry.serve import serve

    with serve(store.layout.root, listen, log=None if quiet else note) as server:
        note(f"pyrt: serving {store.layout.root} on {server.address}")
        try:
            server.wait()
        except KeyboardInterrupt:
            note("pyrt: stopped")


command = Command(
    "serve",
    callback=_serve,
    help=_serve.__doc__,
    params=[
        Option(
            ["--listen"], metavar="HOST:PORT", default="127.0.0.1:5000", show_default=True,
            help="Address; 0.0.0.0:PORT lets others in.",
        ),
        Option(["--quiet", "-q"], is_flag=True, help="No line for each request."),
    ],
)  # fmt: skip
