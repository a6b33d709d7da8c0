"""``pyrt run``."""

from __future__ import annotations

import click

from pyrt.cli import refused
from pyrt.cli.command import Command
from pyrt.cli.run_options import OPTIONS
from pyrt.cli.run_request import run_request
from pyrt.cli.settings import settings_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.cli.progress import PullProgress
    from pyrt.request import RunRequest
    from pyrt.store.store import Store


@click.pass_context
def _run(ctx: click.Context, /, *, quiet: bool, dry_run: bool, **options: object) -> int:
    """Run a command in a container of an image.

    The image is pulled where it is missing. Options end at the image; what follows is the command and its arguments.
    The exit code is the command's own, 128+n after signal n, 125 where pyrt failed, 126 where the command cannot be
    executed and 127 where there is none.
    """
    request = run_request(**{name: ctx.params[name] for name in options})
    store = settings_of(ctx).open_store()
    if dry_run:
        _show_dry_run(request, store)
        return 0
    from pyrt.container_run import run_foreground

    watching: list[PullProgress] = []
    try:
        return run_foreground(request, store=store, progress=lambda: None if quiet else _watch(watching), say=_say)
    finally:
        for display in watching:
            display.finish()


def _show_dry_run(request: RunRequest, store: Store) -> None:
    from pyrt.cli.go_values import go_json
    from pyrt.cli.output import write_line
    from pyrt.container_run import dry_run

    write_line(go_json(dry_run(request, store=store), indent=2))


def _watch(watching: list[PullProgress]) -> PullProgress:
    """A display for a pull; whatever becomes of the pull, it is ended with the command."""
    from pyrt.cli.progress import watcher

    watching.append(watcher())
    return watching[-1]


def _say(text: str) -> None:
    from pyrt.cli.output import note

    note(f"pyrt: {text}")


command = Command(
    "run",
    context_settings={"help_option_names": ["--help"]},  # -h is the host name
    interspersed=False,
    refused=refused.RUN,
    params=OPTIONS,
    callback=_run,
    help=_run.__doc__,
)
