"""``pyrt logout [SERVER]``."""

from __future__ import annotations

import click

from pyrt.cli.command import Command, Option
from pyrt.cli.login import surroundings
from pyrt.cli.output import write_line


def _logout(*, server: str | None, authfile: str | None) -> None:
    """Log out from a registry.

    Without SERVER it is Docker Hub.
    """
    from pyrt.registry.login import logout, registry_name

    places = logout(server or "", environ=surroundings(authfile))
    name = registry_name(server or "")
    if places:
        write_line(f"Removing login credentials for {name} from {', '.join(places)}")
    else:
        write_line(f"Not logged in to {name}")


command = Command(
    "logout",
    callback=_logout,
    help=_logout.__doc__,
    params=[
        Option(["--authfile"], metavar="FILE", help="The file to look in."),
        click.Argument(["server"], metavar="[SERVER]", required=False),
    ],
)
