"""Truth values as docker's options, mount keys and filters write them (Go's strconv.ParseBool)."""

from __future__ import annotations

from pyrt.errors import UsageError

_VALUES = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


def parse_boolean(text: str, what: str) -> bool:
    """The value; ``what`` begins the message of the UsageError for anything else."""
    value = _VALUES.get(text)
    if value is None:
        raise UsageError(f"{what}: must be true or false")
    return value
