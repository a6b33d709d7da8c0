"""``pyrt``: global options, the table of commands, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import os
import signal
import sys

import click

from pyrt.cli import refused
from pyrt.cli.command import takes_value
from pyrt.cli.flags import split
from pyrt.cli.group import Group
from pyrt.cli.message import complaint, failure
from pyrt.cli.settings import Settings
from pyrt.errors import PyrtError, UsageError
from pyrt.notes import strict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

PROGRAM = "pyrt"
COMPLETION = "_PYRT_COMPLETE"
FAILED = 125  # docker's exit code for what is not the container's
INTERRUPTED = 128 + signal.SIGINT
BROKEN_PIPE = 128 + signal.SIGPIPE

COMMANDS = {
    "check": "pyrt.cli.check",
    "container": "pyrt.cli.container",
    "doctor": "pyrt.cli.doctor",
    "help": "pyrt.cli.help",
    "image": "pyrt.cli.image",
    "images": "pyrt.cli.images",
    "info": "pyrt.cli.info",
    "inspect": "pyrt.cli.inspect",
    "login": "pyrt.cli.login",
    "logout": "pyrt.cli.logout",
    "ps": "pyrt.cli.ps",
    "pull": "pyrt.cli.pull",
    "rm": "pyrt.cli.rm",
    "rmi": "pyrt.cli.rmi",
    "run": "pyrt.cli.run",
    "serve": "pyrt.cli.serve",
    "system": "pyrt.cli.system",
    "tag": "pyrt.cli.tag",
    "version": "pyrt.cli.version",
}


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from pyrt._version import VERSION

        click.echo(f"pyrt version {VERSION}")
        ctx.exit()


@click.pass_context
def _start(ctx: click.Context, *, root: str | None, debug: bool) -> None:
    """Run containers from OCI images: no daemon, no set-up.

    Examples:

    \b
      pyrt run busybox sh -c 'echo $$'     a command in an image
      pyrt run -it --rm debian bash        a shell in one
      pyrt help run                        everything about a command
    """
    if root == "":
        raise UsageError("--root: the directory is empty")
    strict()  # a value of PYRT_STRICT that means nothing ends it here
    ctx.obj = Settings(root=root, debug=debug)
    if debug:
        from pyrt._version import VERSION

        version = ".".join(map(str, sys.version_info[:3]))
        print(f"pyrt: debug: pyrt {VERSION}, way: Python {version}, {sys.executable}", file=sys.stderr)


command = Group(
    PROGRAM,
    modules=COMMANDS,
    refused=refused.COMMANDS,
    refused_flags=refused.GLOBAL,
    callback=_start,
    help=_start.__doc__,
    epilog="Completion for bash, zsh or fish:\n\n\b\n  eval \"$(_PYRT_COMPLETE=bash_source pyrt)\"",
    params=[
        click.Option(["--root"], metavar="DIR", help="Keep everything below DIR (also PYRT_ROOT)."),
        click.Option(["--debug", "-D"], is_flag=True, help="Show which way is taken, and tracebacks."),
        click.Option(
            ["--version", "-v"],
            is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Print the version.",
        ),
    ],
)  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Carries out one command line (without the program's name) and returns the exit code. Prints; never exits."""
    debug = _debugging(argv)
    try:
        code = _invoke(list(argv))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _drop_stdout()
        return BROKEN_PIPE
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        return _report(UsageError(error.format_message().rstrip(".")), debug)
    except PyrtError as error:
        return _report(error, debug)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _report(PyrtError(f"{where}{error.strerror or error}"), debug)
    except Exception as error:  # whatever it is, the user gets one line and our exit code
        said = PyrtError(f"internal error: {type(error).__name__}: {error}", hint="'pyrt --debug' shows where")
        return _report(said, debug)


def process() -> int:
    """One whole process: standard streams, signals, the command line in sys.argv. The exit code."""
    _open_standard_streams()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _terminated)
    try:
        code = main(sys.argv[1:])
    except SystemExit as ended:  # _terminated
        code = ended.code if isinstance(ended.code, int) else 1
    return code


def _open_standard_streams() -> None:
    """Closed ones become /dev/null, so that no file that is opened later gets the number of a stream."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 (for the whole process)
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _invoke(argv: list[str]) -> int:
    if COMPLETION in os.environ:
        from click.shell_completion import shell_complete

        return shell_complete(command, {}, PROGRAM, COMPLETION, os.environ[COMPLETION])
    with command.make_context(PROGRAM, argv) as context:
        code = command.invoke(context)
    return code if isinstance(code, int) else 0


def _debugging(argv: Sequence[str]) -> bool:
    """Whether --debug is among the global options; it counts before they are found to be right."""
    given, _ = split(argv, takes_value(command.params), interspersed=False, refused={}, lenient=True)
    return any(flag in ("--debug", "-D") for flag, _ in given)


def _terminated(number: int, frame: FrameType | None) -> None:
    """SIGTERM and SIGHUP unwind like an exception, so that what is half done is cleaned up."""
    raise SystemExit(128 + number)


def _report(error: PyrtError, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    print(failure(error), file=sys.stderr, flush=True)
    return error.exit_code


def _drop_stdout() -> None:
    """Nobody reads any more: what is still buffered must not raise again when the interpreter ends."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError):
        print(complaint("standard output: cannot be closed"), file=sys.stderr)
