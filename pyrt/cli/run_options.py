"""The options of ``pyrt run``: docker's names, words and meaning. What docker has beyond these is in refused.py."""

from __future__ import annotations

import os

import click

from pyrt.cli import names
from pyrt.cli.command import Option, Value
from pyrt.cli.completion import image_names
from pyrt.cli.devices import parse_device, parse_device_rule
from pyrt.cli.env import parse_variable, read_env_file, read_label_file
from pyrt.cli.mounts import parse_mount
from pyrt.cli.security_options import parse_security_option
from pyrt.cli.sizes import parse_size
from pyrt.cli.tmpfs import parse_tmpfs
from pyrt.cli.ulimits import parse_ulimit
from pyrt.cli.volumes import parse_volume
from pyrt.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CONTAINER, PROCESS, FILES = "Container", "Process", "Files"
NETWORK, PRIVILEGES, IMAGE = "Network", "Privileges and limits", "Image"


def parse_platform(text: str) -> str:
    """``os/architecture[/variant]``, checked. Raises UsageError."""
    from pyrt.oci.platform import Platform

    return str(Platform.parse(text))


def parse_cidfile(text: str) -> str:
    """The absolute path of a file that is not there yet; docker refuses to overwrite one. "" is no file."""
    if text and os.path.lexists(text):
        raise UsageError("the file exists", hint="remove it, once no container of that id is wanted any more")
    return os.path.abspath(text) if text else ""


def parse_rootfs(text: str) -> str:
    """The absolute path of a directory."""
    if not os.path.isdir(text):
        raise UsageError("not a directory")
    return os.path.abspath(text)


def _flag(section: str, spelling: str, text: str) -> Option:
    return Option(spelling.split(), section=section, is_flag=True, help=text)


def _value(section: str, spelling: str, word: str, text: str, parse: Callable[[str], object] | None = None) -> Option:
    return Option(spelling.split(), section=section, type=Value(word, parse), metavar=word, help=text)


def _list(section: str, spelling: str, word: str, text: str, parse: Callable[[str], object] | None = None) -> Option:
    return Option(spelling.split(), section=section, type=Value(word, parse), metavar=word, multiple=True, help=text)


def _alias(option: Option, spelling: str) -> Option:
    """Another spelling of an option, which docker accepts and does not show."""
    return Option(
        [spelling, option.name or ""], type=option.type, multiple=option.multiple, hidden=True, section=option.section
    )


def _images(ctx: click.Context, incomplete: str) -> list[str]:
    return [] if ctx.params.get("words") or ctx.params.get("rootfs") else image_names(ctx, incomplete)


_network = _list(NETWORK, "--network", "NAME", "host (the default) or none.", names.parse_network)
_dns_option = _list(NETWORK, "--dns-option", "OPTION", "Option for resolv.conf, as in ndots:2.", names.parse_resolver_option)

OPTIONS: list[click.Parameter] = [
    _flag(CONTAINER, "--rm", "Remove the container when it ends."),
    _flag(CONTAINER, "--interactive -i", "Hand on standard input."),
    _flag(CONTAINER, "--tty -t", "Give it a terminal of its own."),
    _value(CONTAINER, "--name", "NAME", "Name of the container.", names.parse_container_name),
    _value(CONTAINER, "--hostname -h", "NAME", "Host name in the container.", names.parse_hostname),
    _value(CONTAINER, "--domainname", "NAME", "NIS domain name in the container.", names.parse_hostname),
    _list(CONTAINER, "--label -l", "KEY=VALUE", "Label of the container.", names.parse_label),
    _list(CONTAINER, "--label-file", "FILE", "Labels, one per line.", read_label_file),
    _list(CONTAINER, "--annotation", "KEY=VALUE", "Annotation for the OCI runtime spec.", names.parse_label),
    _value(CONTAINER, "--cidfile", "FILE", "Write the container's id to a new file.", parse_cidfile),
    _flag(CONTAINER, "--init", "Run a reaper as PID 1, and the command below it."),
    _value(CONTAINER, "--stop-signal", "SIGNAL", "Signal that stops it.", names.parse_signal),
    _value(CONTAINER, "--stop-timeout", "SECONDS", "Grace between stop signal and kill.", names.parse_stop_timeout),
    _value(CONTAINER, "--timeout", "SECONDS", "Kill everything in it after this time.", names.parse_seconds),
    _list(PROCESS, "--env -e", "NAME[=VALUE]", "Variable; without a value, the caller's own.", parse_variable),
    _list(PROCESS, "--env-file", "FILE", "Variables, one NAME=VALUE per line.", read_env_file),
    _value(PROCESS, "--workdir -w", "DIR", "Working directory.", names.parse_workdir),
    _value(PROCESS, "--user -u", "USER[:GROUP]", "User and group, by name or number."),
    _list(PROCESS, "--group-add", "GROUP", "Additional group, by name or number."),
    _value(PROCESS, "--entrypoint", "PROGRAM", "Instead of the image's entry point."),
    _list(FILES, "--volume -v", "SRC:DST[:ro]", "Bind mount, or volume by name.", parse_volume),
    _list(FILES, "--mount", "TYPE,KEYS", "type=bind|volume|tmpfs,source=...,target=...", parse_mount),
    _list(FILES, "--tmpfs", "DST[:OPTIONS]", "Empty file system in memory.", parse_tmpfs),
    _flag(FILES, "--read-only", "Root file system read-only."),
    _value(FILES, "--scratch", "WHERE", "With --rm: write to memory, disk or auto.", names.parse_scratch),
    _value(FILES, "--shm-size", "SIZE", "Size of /dev/shm (64m).", parse_size),
    _network,
    _alias(_network, "--net"),
    _list(NETWORK, "--add-host", "NAME:ADDRESS", "Line for /etc/hosts.", names.parse_add_host),
    _list(NETWORK, "--dns", "ADDRESS", "Name server.", names.parse_address),
    _list(NETWORK, "--dns-search", "DOMAIN", "Search domain.", names.parse_search_domain),
    _dns_option,
    _alias(_dns_option, "--dns-opt"),
    _list(PRIVILEGES, "--cap-add", "CAPABILITY", "Add a capability, or ALL.", names.parse_capability),
    _list(PRIVILEGES, "--cap-drop", "CAPABILITY", "Take a capability away, or ALL.", names.parse_capability),
    _flag(PRIVILEGES, "--privileged", "No confinement but namespaces: as good as root on this host."),
    _list(PRIVILEGES, "--security-opt", "KEY[=VALUE]", "seccomp, apparmor, label, no-new-privileges, (un)mask, systempaths.",
          parse_security_option),
    _value(PRIVILEGES, "--pid", "WHOSE", "PID namespace: private or host.", names.parse_namespace),
    _value(PRIVILEGES, "--ipc", "WHOSE", "IPC namespace: private or host.", names.parse_namespace),
    _value(PRIVILEGES, "--uts", "WHOSE", "UTS namespace (host name): private or host.", names.parse_namespace),
    _value(PRIVILEGES, "--cgroupns", "WHOSE", "Cgroup namespace: private or host.", names.parse_namespace),
    _value(PRIVILEGES, "--userns", "host", "User namespace: the host's.", names.parse_user_namespace),
    _value(PRIVILEGES, "--isolation", "RUNG", "How it is isolated: full, userns or chroot; the best that there is.", str),
    _value(PRIVILEGES, "--min-isolation", "RUNG", "How it has to be isolated at least.", str),
    _list(PRIVILEGES, "--device", "SRC[:DST[:rwm]]", "Device node of the host.", parse_device),
    _list(PRIVILEGES, "--device-cgroup-rule", "RULE", "Allow device nodes by number, as in 'c 42:* rwm'.", parse_device_rule),
    _list(PRIVILEGES, "--ulimit", "NAME=SOFT[:HARD]", "Resource limit, as in nofile=1024.", parse_ulimit),
    _list(PRIVILEGES, "--sysctl", "NAME=VALUE", "Kernel setting of the container.", names.parse_sysctl),
    _value(IMAGE, "--pull", "WHEN", "always, missing (the default) or never.", names.parse_pull_policy),
    _value(IMAGE, "--platform", "OS/ARCH", "Platform of the image, as in linux/arm64.", parse_platform),
    _value(IMAGE, "--rootfs", "DIR", "A directory instead of an image.", parse_rootfs),
    _flag(IMAGE, "--quiet -q", "No progress while pulling."),
    _flag(IMAGE, "--dry-run", "Print what would be done, as JSON."),
    click.Argument(
        ["words"], metavar="IMAGE [COMMAND] [ARG...]", nargs=-1, required=False, type=Value("image", complete=_images)
    ),
]  # fmt: skip
