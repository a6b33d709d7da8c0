"""``--device HOST[:CONTAINER[:PERMISSIONS]]`` and ``--device-cgroup-rule 'TYPE MAJOR:MINOR PERMISSIONS'``."""

from __future__ import annotations

import posixpath
import re

from pyrt.errors import Unsupported, UsageError
from pyrt.request import Device, DeviceRule

_RULE = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")  # docker's


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


def parse_device_rule(text: str) -> DeviceRule:
    """A DeviceRule; ``c 42:* rmw``, ``b 8:0 r``, ``a *:* rwm``. Raises UsageError."""
    found = _RULE.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is no device rule", hint="type, major:minor and permissions, as in 'c 42:* rwm'")
    major, minor = (None if number == "*" else int(number) for number in (found[2], found[3]))
    return DeviceRule(kind=found[1], major=major, minor=minor, permissions=found[4])


def _are_permissions(text: str) -> bool:
    return text != "" and set(text) <= set("rwm") and len(set(text)) == len(text)
