"""SELinux: the context that a container's program is executed in, when one is asked for by ``label=...``.

Sources: selinux(8), docker-run(1) and podman-run(1) on ``--security-opt label``, lxc_contexts of container-selinux.
"""

from __future__ import annotations

import os

from pyrt.errors import Unsupported, UsageError

DISABLE = "disable"
FIELDS = ("user", "role", "type", "level")

# What lxc_contexts of container-selinux says; for a policy that has no such file.
CONTAINER = "system_u:system_r:container_t:s0"


def choose(asked: tuple[str, ...], *, root: str = "/") -> str:
    """The context for ``label=...``: the policy's own for containers, with what was asked for in its place; "" for none.

    ``asked`` are docker's words: disable, or user:, role:, type:, level: and a value. ``root`` is where /etc and /sys are.
    Raises UsageError for a word that is none of these and Unsupported where the kernel has no SELinux.
    """
    if DISABLE in asked and len(asked) > 1:
        raise UsageError("label=disable together with another label")
    fields = dict(_field(option) for option in asked if option != DISABLE)
    if not fields:
        return ""
    why = unavailable(root)
    if why:
        name, value = next(iter(fields.items()))
        raise Unsupported(f"label={name}:{value}: {why}")
    of_policy = dict(zip(FIELDS, container_context(root).split(":", 3), strict=False))
    return ":".join({**of_policy, **fields}[field] for field in FIELDS)


def writes(context: str, *, with_init: bool) -> tuple[str, tuple[str, ...], bool]:
    """What stage2 shall write into the kernel, where, below /proc, and whether last: for its next exec, or with ``--init`` for
    itself. The kernel clears the parent-death signal at such an exec, as at every one that changes who a process is."""
    return context, ("self/attr/current" if with_init else "self/attr/exec",), with_init


def unavailable(root: str = "/") -> str:
    """Why this kernel has no SELinux in force, "" where it has."""
    return "" if os.path.exists(f"{root}/sys/fs/selinux/enforce") else "this kernel has no SELinux"


def container_context(root: str = "/") -> str:
    """The context that the machine's policy has for containers: ``process`` in its lxc_contexts."""
    kind = _setting(f"{root}/etc/selinux/config", "SELINUXTYPE") or "targeted"
    context = _setting(f"{root}/etc/selinux/{kind}/contexts/lxc_contexts", "process").strip('"')
    return context if context.count(":") >= 3 else CONTAINER


def _field(option: str) -> tuple[str, str]:
    name, separator, value = option.partition(":")
    if name not in FIELDS or not separator:
        raise UsageError(f"label={option}: not disable, user:USER, role:ROLE, type:TYPE or level:LEVEL")
    # A context's parts are told apart by colons alone; only the last, the level, has some of its own.
    if not value or not value.isprintable() or " " in value or (":" in value and name != "level"):
        raise UsageError(f"label={option}: {value!r} is no {name} of SELinux")
    return name, value


def _setting(path: str, name: str) -> str:
    """The value of ``name = value`` in a file of such lines, "" where there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.partition("=") for line in file if not line.startswith("#")]
    except OSError:
        return ""
    return next((value.strip() for key, _, value in lines if key.strip() == name), "")
