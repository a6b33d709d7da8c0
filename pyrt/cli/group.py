"""A group of commands that are imported when they are called, and that knows docker's others by name."""

from __future__ import annotations

from importlib import import_module

import click

from pyrt.cli.command import HELP_NAMES, pointing_at_help, takes_value
from pyrt.cli.flags import refusal, split
from pyrt.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Group(click.Group):
    """``modules`` maps a name to the module whose ``command`` it is; ``aliases`` other names to those names.

    ``refused`` has docker's commands that this version has not, with reasons; ``refused_flags`` its options.
    """

    def __init__(
        self,
        name: str,
        *,
        modules: Mapping[str, str],
        aliases: Mapping[str, str] | None = None,
        refused: Mapping[str, str] | None = None,
        refused_flags: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(
            name,
            context_settings=HELP_NAMES,
            invoke_without_command=True,
            subcommand_metavar="COMMAND [ARG...]",
            options_metavar="[OPTIONS]" if settings.get("params") else None,
            **settings,
        )
        self.modules = modules
        self.aliases = aliases or {}
        self.refused = refused or {}
        self.refused_flags = refused_flags or {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the options before the command as flags.py has it. Raises UsageError, Unsupported."""
        with pointing_at_help(ctx):
            given, rest = split(
                args,
                takes_value(self.get_params(ctx)),
                interspersed=False,
                refused=self.refused_flags,
                lenient=ctx.resilient_parsing,
            )
        words: list[str] = []
        for flag, value in given:
            if value is not False:
                words += [flag] if value is True else [flag, str(value)]
        return super().parse_args(ctx, [*words, "--", *rest])

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names for the help and for completion, aliases left out."""
        return sorted(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; None for a name that is none."""
        module = self.modules.get(self.aliases.get(cmd_name, cmd_name))
        if module is None:
            return None
        command = import_module(module).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command for the first word. Raises Unsupported for one of docker's, UsageError for anything else."""
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and not ctx.resilient_parsing:
            raise self.unknown(ctx, name)
        return name if command else None, command, args[1:]

    def unknown(self, ctx: click.Context, name: str) -> UsageError:
        """The error for a name that is no command of this group."""
        words = " ".join([*ctx.command_path.split()[1:], name])
        if name in self.refused:
            return refusal(words, self.refused[name])
        from difflib import get_close_matches

        near = get_close_matches(name, self.list_commands(ctx), n=1)
        meant = f"did you mean '{ctx.command_path} {near[0]}'?" if near else f"see '{ctx.command_path} --help'"
        return UsageError(f"unknown command: {words}", hint=meant)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; without one, shows the help, as docker does."""
        result = super().invoke(ctx)
        if ctx.invoked_subcommand is None:
            click.echo(ctx.get_help())
        return result

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands with their first lines; groups of commands under a heading of their own."""
        rows: dict[str, list[tuple[str, str]]] = {"Commands": [], "Groups of commands": []}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                title = "Groups of commands" if isinstance(command, click.Group) else "Commands"
                rows[title].append((name, command.get_short_help_str(limit=60)))
        for title, listed in rows.items():
            if listed:
                with formatter.section(title):
                    formatter.write_dl(listed)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The usage line, in docker's shape."""
        formatter.write_usage(ctx.command_path, " ".join(self.collect_usage_pieces(ctx)), prefix="Usage:  ")
