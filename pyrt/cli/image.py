"""``pyrt image COMMAND``: the commands on images by docker's longer names."""

from __future__ import annotations

from pyrt.cli import refused
from pyrt.cli.group import Group

command = Group(
    "image",
    modules={
        "inspect": "pyrt.cli.image_inspect",
        "ls": "pyrt.cli.images",
        "prune": "pyrt.cli.image_prune",
        "pull": "pyrt.cli.pull",
        "rm": "pyrt.cli.rmi",
        "tag": "pyrt.cli.tag",
    },
    aliases={"list": "ls", "remove": "rm"},
    refused=refused.IMAGE,
    help="Images: list, inspect, pull, tag, remove, prune.",
)
