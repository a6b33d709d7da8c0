"""``--mount type=bind,source=...,target=...``: docker's long form, comma-separated as in RFC 4180.

The default type is a volume. Keys of one type with a mount of another are an error, and so is a bind whose source is
not there (the short form ``-v`` makes it).
"""

from __future__ import annotations

import os

from pyrt.cli.booleans import parse_boolean
from pyrt.cli.sizes import parse_size
from pyrt.cli.volumes import PROPAGATIONS, container_path, host_path, volume_name
from pyrt.errors import Unsupported, UsageError
from pyrt.request import Mount

_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_FLAGS = ("readonly", "volume-nocopy", "bind-nonrecursive")  # keys that may stand without a value
_KEYS = (
    "type", "source", "target", "readonly", "consistency", "bind-propagation", "bind-nonrecursive", "bind-recursive",
    "volume-nocopy", "tmpfs-size", "tmpfs-mode",
)  # fmt: skip
_REFUSED_KEYS = ("volume-subpath", "volume-label", "volume-driver", "volume-opt", "image-subpath")
_TYPES = ("bind", "volume", "tmpfs")
_REFUSED_TYPES = ("image", "cluster", "npipe")


def parse_mount(text: str) -> Mount:
    """A Mount from docker's ``--mount``. Raises UsageError; Unsupported for what docker has and this version not."""
    fields = _fields(text)
    kind = fields.get("type", "volume").lower()
    if kind in _REFUSED_TYPES:
        raise Unsupported(f"the type {kind!r} is not supported by this version")
    if kind not in _TYPES:
        raise UsageError(f"{kind!r} is no type of mount", hint="types are bind, volume and tmpfs")
    for key in fields:
        prefix = key.partition("-")[0]
        if prefix in _TYPES and prefix != kind:
            raise UsageError(f"{key!r} cannot be used with the type {kind!r}")
    if "target" not in fields:
        raise UsageError("the target is missing")
    target = container_path(fields["target"])
    read_only = _boolean("readonly", fields.get("readonly", "false"))
    source = fields.get("source", "")
    if kind == "bind":
        return _bind(source, target, read_only, fields)
    if kind == "tmpfs":
        return _tmpfs(source, target, read_only, fields)
    copy = not _boolean("volume-nocopy", fields.get("volume-nocopy", "false"))
    name = volume_name(source) if source else ""
    return Mount(kind="volume", source=name, target=target, read_only=read_only, copy=copy)


def _bind(source: str, target: str, read_only: bool, fields: dict[str, str]) -> Mount:
    if not source:
        raise UsageError("a bind mount needs a source")
    if not (source == "." or source.startswith(("/", "./", "../"))):
        raise UsageError(f"the source {source!r} must be an absolute path, or begin with ./")
    path = host_path(source)
    if not os.path.exists(path):
        raise UsageError(f"the source {path!r} does not exist")
    propagation = fields.get("bind-propagation", "rprivate").lower()
    if propagation not in PROPAGATIONS:
        raise UsageError(f"{propagation!r} is no propagation", hint=f"propagations are {', '.join(PROPAGATIONS)}")
    return Mount(
        kind="bind", source=path, target=target, read_only=read_only, propagation=propagation,
        recursive=_recursive(fields),
    )  # fmt: skip


def _recursive(fields: dict[str, str]) -> bool:
    recursive = not _boolean("bind-nonrecursive", fields.get("bind-nonrecursive", "false"))
    word = fields.get("bind-recursive", "enabled")
    if word in ("writable", "readonly"):
        raise Unsupported(f"'bind-recursive={word}' is not supported by this version")
    if word not in ("enabled", "disabled"):
        raise UsageError(f"'bind-recursive={word}' must be enabled, disabled, writable or readonly")
    return recursive and word == "enabled"


def _tmpfs(source: str, target: str, read_only: bool, fields: dict[str, str]) -> Mount:
    if source:
        raise UsageError("a tmpfs has no source")
    size = parse_size(fields["tmpfs-size"]) if "tmpfs-size" in fields else None
    mode = octal_mode(fields["tmpfs-mode"]) if "tmpfs-mode" in fields else None
    return Mount(kind="tmpfs", target=target, read_only=read_only, size=size or None, mode=mode)


def octal_mode(text: str) -> int:
    """Permission bits from their octal digits, at most 7777."""
    if not text or len(text) > 5 or not set(text) <= set("01234567") or int(text, 8) > 0o7777:
        raise UsageError(f"{text!r} is no octal mode")
    return int(text, 8)


def _fields(text: str) -> dict[str, str]:
    import csv

    try:
        records = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise UsageError(str(error)) from error
    fields: dict[str, str] = {}
    for field in records[0] if records else ():
        key, equals, value = field.partition("=")
        key = _ALIASES.get(key.lower(), key.lower())
        if key in _REFUSED_KEYS:
            raise Unsupported(f"{key!r} is not supported by this version")
        if key not in _KEYS:
            raise UsageError(f"{key!r} is no key of a mount")
        if not equals and key not in _FLAGS:
            raise UsageError(f"{key!r} needs a value, {key}=...")
        fields[key] = value if equals else "true"
    if not fields:
        raise UsageError("nothing given", hint="as in type=bind,source=/data,target=/data,readonly")
    return fields


def _boolean(key: str, text: str) -> bool:
    return parse_boolean(text, f"'{key}={text}'")
