"""``--security-opt KEY[=VALUE]``: docker's words for the confinement, and podman's ``mask`` and ``unmask``."""

from __future__ import annotations

import os

from pyrt.cli.booleans import parse_boolean
from pyrt.errors import Unsupported, UsageError
from pyrt.request import UNCONFINED
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_KEYS = ("no-new-privileges", "seccomp", "apparmor", "label", "systempaths", "mask", "unmask")
_ELSEWHERE = {
    "writable-cgroups": "cgroups are read-only in a container",
    "credentialspec": "it is for Windows containers",
    "proc-opts": "/proc is mounted with fixed options",
    "seccomp-profile": "the key is seccomp",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What all ``--security-opt`` of one command line say, by RunRequest's names."""

    no_new_privileges: bool = False
    seccomp: str = ""
    apparmor: str = ""
    label: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    unmask: tuple[str, ...] = ()


def parse_security_option(text: str) -> tuple[str, str]:
    """Key and value of one option; docker's old ``key:value`` is read as well. Raises UsageError, Unsupported."""
    separator = "=" if "=" in text else ":"
    key, found, value = text.partition(separator)
    if key in _ELSEWHERE:
        raise Unsupported(f"{key}: {_ELSEWHERE[key]}")
    if key not in _KEYS:
        raise UsageError(f"{key!r} is no security option", hint="known are " + ", ".join(_KEYS))
    if key == "no-new-privileges":
        return key, str(parse_boolean(value, key) if found else True)
    if not value:
        raise UsageError(f"{key} needs a value: {key}=...")
    if key == "seccomp":
        return key, _profile(value)
    if key == "systempaths":
        if value != UNCONFINED:
            raise UsageError(f"systempaths={value}: the only value is {UNCONFINED}")
        return "unmask", "ALL"
    if key in ("mask", "unmask"):
        _check_paths(key, value)
    return key, value


def security(options: Iterable[tuple[str, str]]) -> Security:
    """All of them together: of seccomp, apparmor and no-new-privileges the last one counts, the others add up."""
    last: dict[str, str] = {}
    lists: dict[str, list[str]] = {"label": [], "mask": [], "unmask": []}
    for key, value in options:
        if key == "label":
            lists[key].append(value)
        elif key in lists:
            lists[key] += value.split(":")
        else:
            last[key] = value
    return Security(
        no_new_privileges=last.get("no-new-privileges") == "True",
        seccomp=last.get("seccomp", ""),
        apparmor=last.get("apparmor", ""),
        label=tuple(lists["label"]),
        mask=tuple(lists["mask"]),
        unmask=tuple(lists["unmask"]),
    )


def _profile(value: str) -> str:
    """The absolute path of a profile, "unconfined", or "" for the one that is built in (docker's word is builtin)."""
    if value == UNCONFINED:
        return value
    if value == "builtin":
        return ""
    if not os.path.isfile(value):
        raise UsageError(f"seccomp={value}: no such file", hint="a profile in docker's JSON format, unconfined or builtin")
    return os.path.abspath(value)


def _check_paths(key: str, value: str) -> None:
    for path in value.split(":"):
        if not path.startswith("/") and not (key == "unmask" and path == "ALL"):
            raise UsageError(f"{key}={value}: {path!r} is no absolute path" + (" and not ALL" if key == "unmask" else ""))
