"""``-v [SOURCE:]TARGET[:OPTIONS]``: bind mounts and volumes in docker's short form.

A source that begins with ``/`` or ``.`` is a path of the host, anything else the name of a volume; without a source it
is an anonymous volume.
"""

from __future__ import annotations

import os
import posixpath
import re

from pyrt.errors import Unsupported, UsageError
from pyrt.request import Mount

VOLUME_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"
PROPAGATIONS = ("private", "rprivate", "slave", "rslave", "shared", "rshared")

# An option -> its group; docker takes one of each group.
_GROUPS = {
    "rw": "access", "ro": "access",
    "z": "label", "Z": "label",
    "nocopy": "copy",
    "consistent": "consistency", "cached": "consistency", "delegated": "consistency",
    **dict.fromkeys(PROPAGATIONS, "propagation"),
}  # fmt: skip


def parse_volume(text: str, *, selinux: bool | None = None) -> Mount:
    """A Mount from docker's ``-v``. Raises UsageError.

    ``z`` and ``Z`` mean something on hosts with SELinux only, where they are refused; ``selinux`` None looks. The
    consistency words mean something on macOS only, and docker accepts them everywhere.
    """
    parts = text.split(":")
    if len(parts) > 3 or "" in parts[:2]:
        raise UsageError("not of the form [SOURCE:]TARGET[:OPTIONS]")
    if len(parts) == 1:
        return Mount(kind="volume", target=container_path(parts[0]))
    source, target = parts[0], container_path(parts[1])
    options = _options(parts[2] if len(parts) == 3 else "")
    if "label" in options and (selinux_enabled() if selinux is None else selinux):
        raise Unsupported(f"the option {options['label']!r} (SELinux labels) is not supported by this version")
    read_only = options.get("access") == "ro"
    if source.startswith(("/", ".")):
        if "copy" in options:
            raise UsageError("'nocopy' is for volumes, and this is a path of the host")
        propagation = options.get("propagation", "rprivate")
        return Mount(
            kind="bind", source=host_path(source), target=target, read_only=read_only, create_source=True,
            propagation=propagation,
        )  # fmt: skip
    if "propagation" in options:
        raise UsageError(f"{options['propagation']!r} is for paths of the host, and this is a volume")
    return Mount(kind="volume", source=volume_name(source), target=target, read_only=read_only, copy="copy" not in options)


def container_path(text: str) -> str:
    """The absolute, normalised path of a mount point in the container, which cannot be the root itself."""
    if not text.startswith("/"):
        raise UsageError(f"the path in the container, {text!r}, must be absolute")
    path = posixpath.normpath(text).replace("//", "/")
    if path == "/":
        raise UsageError("the path in the container cannot be /")
    return path


def host_path(text: str) -> str:
    """An absolute, normalised path of the host, for a path that may be relative to the caller's directory."""
    return os.path.abspath(text)


def volume_name(text: str) -> str:
    """A volume's name. Raises UsageError."""
    if re.fullmatch(VOLUME_NAME, text) is None:
        raise UsageError(
            f"{text!r} is no volume's name (two or more of a-z A-Z 0-9 _ . -, beginning with a letter or digit)",
            hint="a directory of the host is meant by an absolute path, or by one that begins with ./",
        )
    return text


def selinux_enabled() -> bool:
    """Whether this host labels files (the kernel shows its file system then)."""
    return os.path.exists("/sys/fs/selinux/enforce")


def _options(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for option in text.split(",") if text else ():
        group = _GROUPS.get(option)
        if group is None:
            raise UsageError(f"{option!r} is no option of a volume")
        if group in found:
            raise UsageError(f"{found[group]!r} and {option!r} exclude each other")
        found[group] = option
    return found
