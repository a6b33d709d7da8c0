"""``pyrt system COMMAND``."""

from __future__ import annotations

from pyrt.cli import refused
from pyrt.cli.group import Group

command = Group(
    "system",
    modules={"info": "pyrt.cli.info"},
    refused=refused.SYSTEM,
    help="This machine, as pyrt sees it.",
)
