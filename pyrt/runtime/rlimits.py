"""Resource limits by docker's names (getrlimit(2))."""

from __future__ import annotations

from pyrt.errors import UsageError

# asm-generic/resource.h: the numbers are the same on x86_64 and aarch64.
NUMBERS = {
    "cpu": 0, "fsize": 1, "data": 2, "stack": 3, "core": 4, "rss": 5, "nproc": 6, "nofile": 7, "memlock": 8, "as": 9,
    "locks": 10, "sigpending": 11, "msgqueue": 12, "nice": 13, "rtprio": 14, "rttime": 15,
}  # fmt: skip

INFINITY = 2**64 - 1


def number(name: str) -> int:
    """The RLIMIT_* number of a docker name ("nofile") or of RLIMIT_NOFILE. Raises UsageError."""
    try:
        return NUMBERS[name.lower().removeprefix("rlimit_")]
    except KeyError:
        raise UsageError(f"ulimit {name!r}: no such limit", hint=f"known are {', '.join(NUMBERS)}") from None


def value(number: int) -> int:
    """docker's -1 is unlimited."""
    return INFINITY if number < 0 else number
