"""``pyrt info``: what is in the store, and what this machine lets pyrt do; docker's shape where docker has one."""

from __future__ import annotations

import os

import click

from pyrt.cli.command import Command, Option
from pyrt.cli.format import one_object
from pyrt.cli.output import write_line
from pyrt.cli.settings import settings_of

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
{{- range .DriverStatus}}
  {{index . 0}}: {{index . 1}}
{{- end}}
 Isolation: {{.Isolation.Rung}}
{{- range .Isolation.Barriers}}
  {{.Name}}: {{if .On}}on{{else}}off{{end}}{{if .Why}} ({{.Why}}){{end}}
{{- end}}
{{- if .Ids}}
 User Ids: {{.Ids}}
{{- end}}
{{- if .KeptGroups}}
 Groups that containers keep: {{join .KeptGroups ", "}}
{{- end}}
 Cgroup Version: {{or .CgroupVersion "none"}}{{if .CgroupHybrid}} (and 2){{end}}
 Cgroup Delegation: {{or (join .CgroupDelegation ", ") "none"}}{{if .CgroupBySystemd}} (by systemd){{end}}
 Networks: {{join .Networks ", "}} (default: {{.DefaultNetwork}})
 Kernel Version: {{.KernelVersion}}
 Kernel Features: {{len .KernelFeatures}} asked for
{{- range .KernelFeatures}}{{if not .Present}}
  no {{.Name}}: {{.Without}}
{{- end}}{{end}}
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
    """All that ``info`` shows, by docker's names where it has one."""
    from pyrt.machine_info import info

    found = info(store=store)
    return {
        "Containers": found.containers,
        "ContainersRunning": found.running,
        "ContainersPaused": 0,
        "ContainersStopped": found.containers - found.running,
        "Images": found.images,
        "Driver": "copy" if found.isolation.rung == "chroot" else "overlay",
        "DriverStatus": [
            ["Backing Filesystem", found.file_system or "unknown"],
            ["Overlay On It", found.overlay],
        ],
        "ServerVersion": found.version,
        "KernelVersion": found.kernel,
        "OperatingSystem": _system(),
        "OSType": "linux",
        "Architecture": found.architecture,
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "Name": os.uname().nodename,
        "DockerRootDir": found.root,
        "RunDir": found.run,
        "Isolation": found.isolation.to_json(),
        "Ids": found.ids,
        "KeptGroups": [*found.groups],
        "CgroupVersion": str(found.cgroups.version or ""),
        "CgroupHybrid": found.cgroups.hybrid,
        "CgroupDelegation": [*found.cgroups.delegated],
        "CgroupBySystemd": found.cgroups.by_systemd,
        "KernelFeatures": [
            {
                "Name": each.feature.name,
                "Since": [*each.feature.since],
                "Present": each.present,
                "Without": each.feature.without,
            }
            for each in found.features
        ],
        "Networks": [*found.networks],
        "DefaultNetwork": "host",
        "ClientInfo": {"Version": found.version, "Debug": False},
    }


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
