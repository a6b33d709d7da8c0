"""Sizes as docker reads and writes them: ``64m`` is 64 MiB, and ``4.27MB`` is printed in units of thousands."""

from __future__ import annotations

import re

from pyrt.errors import UsageError

_SIZE = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?(?:b|([kmgtp])(?:i?b)?)?"
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_LARGEST = (1 << 63) - 1
_DECIMAL_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def parse_size(text: str) -> int:
    """Bytes from ``10``, ``10b``, ``1.5k``, ``64m``, ``64MB``, ``64MiB``, ``2 g``: units are powers of 1024.

    Raises UsageError. The grammar is that of docker's ``--shm-size`` and ``tmpfs-size``.
    """
    match = re.fullmatch(_SIZE, text, re.ASCII | re.IGNORECASE)
    if match is None:
        raise UsageError("not a size", hint="a size is a number with an optional unit b, k, m, g, t or p, as in 64m")
    number, unit = match.group(1), (match.group(2) or "").lower()
    factor = 1 << 10 * _POWER[unit]
    whole, _, fraction = number.partition(".")
    size = int(whole or "0") * factor
    if fraction:
        size += int(fraction) * factor // 10 ** len(fraction)
    if size > _LARGEST:
        raise UsageError("too large")
    return size


def format_size(size: int) -> str:
    """``4270000`` as ``4.27MB``: three digits, units of thousands, as docker's tables have it."""
    value, unit = float(size), 0
    while value >= 999.5 and unit < len(_DECIMAL_UNITS) - 1:
        value /= 1000
        unit += 1
    return f"{value:.3g}{_DECIMAL_UNITS[unit]}"
