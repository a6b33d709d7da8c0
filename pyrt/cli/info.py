"""``pyrt info``: what is in the store, and what this machine lets pyrt do; docker's shape where docker has one."""

from __future__ import annotations

import os

import click

from pyrt.cli.command import Command, Option
from pyrt.cli.format import one_object
from pyrt.cli.output import write_line
from pyrt.cli.settings import settings_of
from pyrt.errors import PrivilegeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.store.store import Store

_TEXT = """\
Client: pyrt
 Version:    {{.ClientInfo.Version}}

Server: pyrt (no daemon: the same program)
 Containers: {{.Containers}}
  Running: {{.ContainersRunning}}
  Stopped: {{.ContainersStopped}}
 Images: {{.Images}}
 Server Version: {{.ServerVersion}}
 Storage Driver: {{.Driver}}
 Isolation: {{.Isolation.Rung}}
{{- range .Isolation.Barriers}}
  {{.Name}}: {{if .On}}on{{else}}off{{end}}{{if .Why}} ({{.Why}}){{end}}
{{- end}}
 Networks: {{join .Networks ", "}} (default: {{.DefaultNetwork}})
 Kernel Version: {{.KernelVersion}}
 Operating System: {{.OperatingSystem}}
 OSType: {{.OSType}}
 Architecture: {{.Architecture}}
 CPUs: {{.NCPU}}
 Name: {{.Name}}
 Pyrt Root Dir: {{.DockerRootDir}}
 Pyrt Run Dir: {{.RunDir}}"""


@click.pass_context
def _info(ctx: click.Context, *, format: str | None) -> None:
    """Show the store, the machine and its isolation."""
    write_line(one_object(facts(settings_of(ctx).open_store()), format or _TEXT))


def facts(store: Store) -> dict[str, object]:
    """All that ``info`` shows, by docker's names; ``Isolation``, ``Networks`` and ``RunDir`` are ours."""
    from pyrt._version import VERSION

    records = store.containers.list()
    running = sum(record.now.state == "running" for record in records)
    kernel = os.uname()
    return {
        "Containers": len(records),
        "ContainersRunning": running,
        "ContainersPaused": 0,
        "ContainersStopped": len(records) - running,
        "Images": len(store.images.list()),
        "Driver": "overlay",
        "ServerVersion": VERSION,
        "KernelVersion": kernel.release,
        "OperatingSystem": _system(),
        "OSType": "linux",
        "Architecture": kernel.machine,
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "Name": kernel.nodename,
        "DockerRootDir": store.layout.root,
        "RunDir": store.layout.run,
        "Isolation": isolation(),
        "Networks": ["host", "none"],
        "DefaultNetwork": "host",
        "ClientInfo": {"Version": VERSION, "Debug": False},
    }


def isolation() -> dict[str, object]:
    """The rung of the ladder that this machine gives, and each barrier: on or off, and why."""
    from pyrt.host import Host

    try:
        Host.probe().require_full()
        rung, why = "full", ""
    except PrivilegeError as error:
        rung, why = "none", str(error)
    full = rung == "full"
    barriers = [
        _barrier("namespaces pid, mount, uts, ipc, cgroup", full, why),
        _barrier("capabilities dropped", full, why),
        _barrier("masked and read-only paths", full, why),
        _barrier("network namespace", False, "only with --network none" if full else why),
        _barrier("seccomp", False, "not in this version"),
        _barrier("resource limits", False, "not in this version, but for --ulimit"),
    ]
    return {"Rung": rung, "Barriers": barriers}


def _barrier(name: str, on: bool, why: str) -> dict[str, object]:
    return {"Name": name, "On": on, "Why": why}


def _system(path: str = "/etc/os-release") -> str:
    """The distribution's own name, os-release(5)."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return "Linux"
    names = [line.partition("=")[2].strip("\"'") for line in lines if line.startswith("PRETTY_NAME=")]
    return names[0] if names else "Linux"


command = Command(
    "info",
    callback=_info,
    help=_info.__doc__,
    params=[Option(["--format", "-f"], metavar="FORMAT", help="json, or a Go template.")],
)
