"""``pyrt help [COMMAND...]``."""

from __future__ import annotations

import click

from pyrt.cli.command import Command, Value


def _names(ctx: click.Context, incomplete: str) -> list[str]:
    root = ctx.find_root()
    return root.command.list_commands(root) if isinstance(root.command, click.Group) else []


@click.command("help", cls=Command)
@click.argument("words", metavar="[COMMAND...]", nargs=-1, type=Value("command", complete=_names))
@click.pass_context
def command(ctx: click.Context, *, words: tuple[str, ...]) -> None:
    """Show the help of a command."""
    context = ctx.find_root()
    rest = list(words)
    while rest and isinstance(context.command, click.Group):
        name, found, rest = context.command.resolve_command(context, rest)
        assert found is not None
        context = click.Context(found, info_name=name, parent=context, **found.context_settings)
    click.echo(context.get_help())
