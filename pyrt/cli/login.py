"""``pyrt login [SERVER]``: try a user name and a password at a registry, and keep them where docker would."""

from __future__ import annotations

import os
import sys

import click

from pyrt import notes
from pyrt.cli.command import Command, Option
from pyrt.cli.output import note, write_line
from pyrt.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST = 64 * 1024


def _login(
    *, server: str | None, username: str | None, password: str | None, password_stdin: bool, authfile: str | None
) -> None:
    """Log in to a registry.

    Without SERVER it is Docker Hub. The password is asked for, or read with --password-stdin, and kept in docker's
    config.json, in the file of --authfile or REGISTRY_AUTH_FILE, or by the credential helper that is set up there.
    """
    if password is not None and password_stdin:
        raise UsageError("--password and --password-stdin exclude each other")
    if password_stdin and not username:
        raise UsageError("--password-stdin needs --username")
    if password is not None:
        notes.note("--password can be seen by other users in the list of processes; --password-stdin cannot", _say)
    name = username or _ask("Username: ")
    secret = _read_password() if password_stdin else password if password is not None else _ask_secret()
    if not name or not secret:
        raise UsageError("login: user name and password must not be empty")
    from pyrt.registry.credentials import Credentials
    from pyrt.registry.login import login

    where = login(server or "", Credentials(username=name, password=secret), environ=surroundings(authfile))
    note(f"pyrt: credentials kept in {where}")
    write_line("Login Succeeded")


def surroundings(authfile: str | None) -> Mapping[str, str]:
    """The environment with --authfile in it, which goes before the variable."""
    return {**os.environ, "REGISTRY_AUTH_FILE": os.path.abspath(authfile)} if authfile else os.environ


def _say(text: str) -> None:
    note(f"pyrt: {text}")


def _ask(prompt: str) -> str:
    _need_terminal()
    print(prompt, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _ask_secret() -> str:
    _need_terminal()
    from getpass import getpass

    return getpass("Password: ", stream=sys.stderr)


def _need_terminal() -> None:
    if not sys.stdin.isatty():
        raise UsageError("login: no terminal to ask on", hint="use --username and --password-stdin")


def _read_password() -> str:
    """Everything on standard input, without the line break at its end."""
    return sys.stdin.read(_LONGEST).removesuffix("\n").removesuffix("\r")


command = Command(
    "login",
    callback=_login,
    help=_login.__doc__,
    params=[
        Option(["--username", "-u"], metavar="NAME", help="User name."),
        Option(["--password", "-p"], metavar="PASSWORD", help="Password; others can see it while pyrt runs."),
        Option(["--password-stdin"], is_flag=True, help="Read the password from standard input."),
        Option(["--authfile"], metavar="FILE", help="The file to keep it in."),
        click.Argument(["server"], metavar="[SERVER]", required=False),
    ],
)
