"""``--ulimit NAME=SOFT[:HARD]``, by docker's names (setrlimit(2) without the prefix RLIMIT_)."""

from __future__ import annotations

import re

from pyrt.errors import UsageError
from pyrt.request import Ulimit

NAMES = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip
_NUMBER = r"-1|[0-9]+"
_LARGEST = (1 << 63) - 1


def parse_ulimit(text: str) -> Ulimit:
    """A Ulimit; -1 is unlimited, and a missing hard limit equals the soft one. Raises UsageError."""
    name, equals, values = text.partition("=")
    if not equals:
        raise UsageError("not of the form NAME=SOFT[:HARD]")
    if name not in NAMES:
        raise UsageError(f"{name!r} is no limit", hint=f"limits are {', '.join(NAMES)}")
    numbers = values.split(":")
    if len(numbers) > 2:
        raise UsageError("at most two values, SOFT:HARD")
    soft = _number(numbers[0])
    hard = _number(numbers[-1])
    if hard != -1 and (soft == -1 or soft > hard):
        raise UsageError("the soft limit is above the hard limit")
    return Ulimit(name=name, soft=soft, hard=hard)


def _number(text: str) -> int:
    if re.fullmatch(_NUMBER, text) is None or int(text) > _LARGEST:
        raise UsageError(f"{text!r} is not a number", hint="-1 is unlimited")
    return int(text)
