"""``--device HOST[:CONTAINER[:PERMISSIONS]]``."""

from __future__ import annotations

import posixpath

from pyrt.errors import Unsupported, UsageError
from pyrt.request import Device


def parse_device(text: str) -> Device:
    """A Device; ``/dev/fuse``, ``/dev/sda:/dev/xvda``, ``/dev/sda:rm`` or all three parts. Raises UsageError."""
    parts = text.split(":")
    source, target, permissions = parts[0], parts[0], "rwm"
    if not source.startswith("/") and "=" in source:
        raise Unsupported("CDI device names are not supported by this version")
    if len(parts) == 3:
        target, permissions = parts[1], parts[2]
    elif len(parts) == 2 and _are_permissions(parts[1]):
        permissions = parts[1]
    elif len(parts) == 2:
        target = parts[1]
    elif len(parts) > 3:
        raise UsageError("not of the form HOST[:CONTAINER[:PERMISSIONS]]")
    if not _are_permissions(permissions):
        raise UsageError(f"{permissions!r} are no permissions", hint="permissions are letters of r, w and m")
    for path in (source, target):
        if not path.startswith("/"):
            raise UsageError(f"{path!r} is not an absolute path")
    return Device(source=posixpath.normpath(source), target=posixpath.normpath(target), permissions=permissions)


def _are_permissions(text: str) -> bool:
    return text != "" and set(text) <= set("rwm") and len(set(text)) == len(text)
