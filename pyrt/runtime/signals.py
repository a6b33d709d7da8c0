"""Signals by name or number, with docker's spelling (signal(7))."""

from __future__ import annotations

import signal

from pyrt.errors import UsageError


def parse(text: str) -> int:
    """The number of "TERM", "SIGTERM", "15", "RTMIN+3". Raises UsageError."""
    plain = text.strip().upper().removeprefix("SIG")
    if plain.isascii() and plain.isdigit() and 1 <= int(plain) <= 64:
        return int(plain)
    base, sign, offset = plain.partition("+") if "+" in plain else plain.partition("-")
    if base in ("RTMIN", "RTMAX"):
        start = signal.SIGRTMIN if base == "RTMIN" else signal.SIGRTMAX
        if not sign:
            return int(start)
        if offset.isascii() and offset.isdigit():
            number = start + (int(offset) if sign == "+" else -int(offset))
            if signal.SIGRTMIN <= number <= signal.SIGRTMAX:
                return int(number)
    elif hasattr(signal, f"SIG{plain}") and plain.isalnum():
        return int(getattr(signal, f"SIG{plain}"))
    raise UsageError(f"signal {text!r}: no such signal", hint="see signal(7)")
