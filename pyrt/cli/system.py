"""``pyrt system COMMAND``."""

from __future__ import annotations

from pyrt.cli import refused
from pyrt.cli.group import Group

command = Group(
    "system",
    modules={"check": "pyrt.cli.check", "info": "pyrt.cli.info"},
    refused=refused.SYSTEM,
    help="This machine and the store, as pyrt sees them.",
)
