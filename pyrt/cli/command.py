"""click's commands and options with docker's manners: see flags.py for how words are read.

A command's options are ordinary click options, so help, completion and the launcher's table come from one place. Values
are parsed while the command line is read, before anything is touched, and a wrong one names its option.
"""

from __future__ import annotations

from contextlib import contextmanager

import click

from pyrt.cli import flags
from pyrt.errors import NoteError, PyrtError, Unsupported, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from click.shell_completion import CompletionItem

    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # not generic before click 8.4

# What click 8.3 and later put where nothing was given and there is no default; click turns it into None at the end of
# its own parse_args. Earlier versions have None from the start.
_UNSET: object = getattr(click.core, "UNSET", None)

FAILED = 1  # exit code of a command that could not do what it was asked

HELP_NAMES = {"help_option_names": ["--help", "-h"], "max_content_width": 80}


class Value(_ParamType):
    """The type of an option or argument whose text goes through a function of ours.

    ``word`` is the word for it in the help. ``parse`` returns the value or raises UsageError; the error is completed
    with the option and the text here. ``complete`` gives the words that may stand there.
    """

    def __init__(
        self,
        word: str,
        parse: Callable[[str], object] | None = None,
        complete: Callable[[click.Context, str], Iterable[str]] | None = None,
    ) -> None:
        self.name = word
        self.parse = parse
        self.complete = complete

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """The parsed value; what is already parsed (a default) is handed back."""
        if not isinstance(value, str) or self.parse is None:
            return value
        name = displayed(param)
        try:
            return self.parse(value)
        except Unsupported as error:
            raise Unsupported(f"{name}: {error}", hint=error.hint) from error
        except UsageError as error:
            raise UsageError(f'invalid argument "{value}" for {name}: {error}', hint=error.hint) from error

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The words of ``complete`` that begin with what was typed."""
        from click.shell_completion import CompletionItem

        words = self.complete(ctx, incomplete) if self.complete is not None else ()
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]


class Option(click.Option):
    """A click option that knows under which heading of the help it stands."""

    def __init__(self, declarations: Sequence[str], *, section: str = "Options", **settings: Any) -> None:
        super().__init__(declarations, **settings)
        self.section = section


class Command(click.Command):
    """A command that reads its words as docker does.

    ``interspersed`` False ends the options at the first word that is none (``run``). ``refused`` has docker's options
    that this version does not carry out, with reasons.
    """

    def __init__(
        self,
        name: str | None,
        *,
        interspersed: bool = True,
        refused: Mapping[str, str] | None = None,
        context_settings: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(name, context_settings={**HELP_NAMES, **(context_settings or {})}, **settings)
        self.interspersed = interspersed
        self.refused = refused or {}

    def invoke(self, ctx: click.Context) -> Any:
        """Carries the command out. Its failures exit 1, as docker's do; 125 is for words that cannot be read, and for
        ``run``, whose other codes are the program's, and for what PYRT_STRICT makes an error."""
        try:
            return super().invoke(ctx)
        except PyrtError as error:
            if self.name != "run" and not isinstance(error, NoteError):
                error.exit_code = FAILED
            raise

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Fills ``ctx.params``. Raises UsageError."""
        lenient = ctx.resilient_parsing
        params = self.get_params(ctx)
        arguments = [param for param in params if isinstance(param, click.Argument)]
        with pointing_at_help(ctx):
            given, rest = flags.split(
                args, takes_value(params), interspersed=self.interspersed, refused=self.refused, lenient=lenient
            )
        values = {**_collect(given, _by_name(params)), **_distribute(arguments, rest)}
        self._process(ctx, values, eager=True)
        if not lenient:
            with pointing_at_help(ctx):
                _check_count(ctx, arguments, len(rest))
        self._process(ctx, values, eager=False)
        ctx.args = []
        return ctx.args

    def _process(self, ctx: click.Context, values: Mapping[str, object], *, eager: bool) -> None:
        for param in self.get_params(ctx):
            if param.is_eager == eager:
                param.handle_parse_result(ctx, values, [])
                if param.expose_value and ctx.params.get(param.name or "") is _UNSET:
                    ctx.params[param.name or ""] = None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options under their headings, in the order in which they were declared."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                sections.setdefault(getattr(param, "section", "Options"), []).append(record)
        widest = max(len(spelling) for records in sections.values() for spelling, _ in records)
        for title, records in sections.items():
            with formatter.section("Other" if title == "Options" and len(sections) > 1 else title):
                own = max(len(spelling) for spelling, _ in records)
                formatter.write_dl(records, col_max=widest, col_spacing=widest - own + 2)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The usage line with the whole path, ``pyrt image ls [OPTIONS] [NAME]``."""
        pieces = " ".join(self.collect_usage_pieces(ctx))
        formatter.write_usage(ctx.command_path, pieces, prefix="Usage:  ")


def displayed(param: click.Parameter | None) -> str:
    """An option as an error names it, by its longest spelling; an argument by the word in the usage line."""
    if isinstance(param, click.Option):
        return max(param.opts, key=len)
    if param is None:
        return "a value"
    return (param.human_readable_name or "argument").upper()


def takes_value(params: Iterable[click.Parameter]) -> dict[str, bool]:
    """Every spelling of every option, and whether a value belongs to it: what flags.py needs to know."""
    return {name: not option.is_flag for name, option in _by_name(params).items()}


def _by_name(params: Iterable[click.Parameter]) -> dict[str, click.Option]:
    return {name: param for param in params if isinstance(param, click.Option) for name in param.opts}


@contextmanager
def pointing_at_help(ctx: click.Context) -> Iterator[None]:
    """Adds where to read on to what is wrong with the shape of a command line."""
    try:
        yield
    except Unsupported:
        raise
    except UsageError as error:
        raise UsageError(str(error), hint=f"see '{ctx.command_path} --help'") from error


def _collect(given: Iterable[flags.Given], options: Mapping[str, Any]) -> dict[str, object]:
    values: dict[str, Any] = {}
    for flag, value in given:
        option = options[flag]
        if option.multiple:
            values.setdefault(option.name, []).append(value)
        else:
            values[option.name] = value
    return values


def _distribute(arguments: Sequence[click.Argument], words: Sequence[str]) -> dict[str, object]:
    """Arguments take one word each from the left; one with nargs=-1 (the last) takes what is left."""
    values: dict[str, object] = {}
    left = list(words)
    for argument in arguments:
        if argument.nargs == -1:
            values[argument.name or ""], left = left, []
        elif left:
            values[argument.name or ""] = left.pop(0)
    return {name: value for name, value in values.items() if value != []}


def _check_count(ctx: click.Context, arguments: Sequence[click.Argument], count: int) -> None:
    """docker's words for too few or too many arguments; ``metavar`` in brackets makes one optional."""
    needed = sum(not (argument.metavar or "").startswith("[") for argument in arguments)
    most = None if any(argument.nargs == -1 for argument in arguments) else len(arguments)
    if count >= needed and (most is None or count <= most):
        return
    if most == 0:
        raise UsageError(f"'{ctx.command_path}' accepts no arguments")
    bound = "exactly" if needed == most else "at least" if count < needed else "at most"
    number = most if count > needed and most is not None else needed
    plural = "" if number == 1 else "s"
    raise UsageError(f"'{ctx.command_path}' requires {bound} {number} argument{plural}")
