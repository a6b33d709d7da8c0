"""``pyrt version``, in docker's shape."""

from __future__ import annotations

import os
import sys

from pyrt.cli.command import Command, Option
from pyrt.cli.format import one_object
from pyrt.cli.output import write_line

_TEXT = """\
Client: pyrt
 Version:           {{.Client.Version}}
 Python version:    {{.Client.PythonVersion}}
 OS/Arch:           {{.Client.Os}}/{{.Client.Arch}}

Server: pyrt (no daemon: the same program)
 Engine:
  Version:          {{.Server.Version}}
  OS/Arch:          {{.Server.Os}}/{{.Server.Arch}}
  Kernel version:   {{.Server.KernelVersion}}"""


def versions() -> dict[str, object]:
    """The answer as docker has it; client and server are one program here."""
    from pyrt._version import VERSION
    from pyrt.oci.platform import host

    platform = host()
    python = ".".join(map(str, sys.version_info[:3]))
    both: dict[str, object] = {"Version": VERSION, "Os": platform.os, "Arch": platform.architecture}
    return {
        "Client": {**both, "PythonVersion": python},
        "Server": {"Platform": {"Name": "pyrt"}, **both, "KernelVersion": os.uname().release},
    }


def _version(*, format: str | None) -> None:
    """Show the versions of pyrt, Python and the kernel."""
    write_line(one_object(versions(), format or _TEXT))


command = Command(
    "version",
    callback=_version,
    help=_version.__doc__,
    params=[Option(["--format", "-f"], metavar="FORMAT", help="json, or a Go template.")],
)
