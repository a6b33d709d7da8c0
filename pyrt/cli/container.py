"""``pyrt container COMMAND``: the commands on containers by docker's longer names."""

from __future__ import annotations

from pyrt.cli import refused
from pyrt.cli.group import Group

command = Group(
    "container",
    modules={
        "inspect": "pyrt.cli.container_inspect",
        "ls": "pyrt.cli.ps",
        "rm": "pyrt.cli.rm",
        "run": "pyrt.cli.run",
    },
    aliases={"list": "ls", "ps": "ls", "remove": "rm"},
    refused=refused.CONTAINER,
    help="Containers: list, inspect, remove, run.",
)
