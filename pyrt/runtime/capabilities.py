"""Linux capabilities: names, the default set, and what ``--cap-add`` and ``--cap-drop`` make of it (capabilities(7))."""

from __future__ import annotations

from functools import lru_cache

from pyrt.errors import PrivilegeError, UsageError

# In the order of their numbers, linux/capability.h.
NAMES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE",
    "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME",
    "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
    "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
)  # fmt: skip

# podman's eleven: docker's fourteen without MKNOD, NET_RAW and AUDIT_WRITE.
DEFAULT = (
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID",
    "SYS_CHROOT",
)  # fmt: skip

ALL = "ALL"


def number(name: str) -> int:
    """The bit of a capability by its name, with or without CAP_, in any case. Raises UsageError."""
    plain = name.upper().removeprefix("CAP_")
    try:
        return NAMES.index(plain)
    except ValueError:
        raise UsageError(f"capability {name!r}: no such capability", hint="see capabilities(7)") from None


@lru_cache(maxsize=64)
def bits(names: tuple[str, ...]) -> int:
    """The bit set of these names."""
    result = 0
    for name in names:
        result |= 1 << number(name)
    return result


@lru_cache(maxsize=64)
def names(mask: int) -> tuple[str, ...]:
    """CAP_* names of a bit set, in the order of their numbers."""
    return tuple(f"CAP_{name}" for i, name in enumerate(NAMES) if mask >> i & 1)


def effective(add: tuple[str, ...], drop: tuple[str, ...], *, held: int, privileged: bool = False) -> int:
    """The container's bounding set: the default ones that we hold, without the dropped, with the added.

    docker's rules: ``--cap-add ALL`` is everything but what is dropped by name, ``--cap-drop ALL`` nothing but what is
    added by name, else what is added wins over what is dropped. Raises UsageError for an unknown name and PrivilegeError
    for one that was added by name and that we do not hold ourselves (``held``, bits).
    """
    add = tuple(name.upper() for name in add)
    drop = tuple(name.upper() for name in drop)
    added = bits(tuple(name for name in add if name != ALL))
    dropped = bits(tuple(name for name in drop if name != ALL))
    if privileged:
        return held
    missing = added & ~held
    if missing:
        raise PrivilegeError(f"--cap-add {names(missing)[0]}: this process does not have it itself")
    if ALL in add:
        return held & ~dropped
    if ALL in drop:
        return added
    return (bits(DEFAULT) & held & ~dropped) | added
