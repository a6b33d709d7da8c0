"""Values as Go's text/template prints, compares and marshals them.

Data is what JSON has: dict, list, str, int, float, bool, None. A plain dict stands for a Go struct (asking for a field
that it has not is an error); ``Map`` stands for a Go map, such as labels (a missing key is "<no value>").
"""

from __future__ import annotations

import json
import re

_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Map(dict[str, object]):
    """A dict whose keys are data (labels, annotations), not fields."""


class _NoValue:
    """What a missing key of a map gives."""

    def __repr__(self) -> str:
        return "<no value>"


NO_VALUE = _NoValue()


def kind(value: object) -> str:
    """The word for a value's type in messages and comparisons."""
    if value is None or value is NO_VALUE:
        return "nil"
    for types, word in _KINDS:
        if isinstance(value, types):
            return word
    return "struct"


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "bool"),
    (int, "int"),
    (float, "float"),
    (str, "string"),
    ((list, tuple), "slice"),
    (Map, "map"),
)


def is_true(value: object) -> bool:
    """Go's truth: false, 0, nil and what is empty are not; a struct always is."""
    if isinstance(value, dict) and not isinstance(value, Map):
        return True
    return value is not NO_VALUE and bool(value)


def go_text(value: object) -> str:
    """A value as ``{{.Value}}`` and ``%v`` print it."""
    if value is None or value is NO_VALUE:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(_inner_text(item) for item in value) + "]"
    if isinstance(value, Map):
        return "map[" + " ".join(f"{key}:{_inner_text(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, dict):
        return "{" + " ".join(_inner_text(item) for item in value.values()) + "}"
    return str(value)


def _inner_text(value: object) -> str:
    return "<nil>" if value is None or value is NO_VALUE else go_text(value)


def _float_text(value: float) -> str:
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    if exponent:
        return f"{mantissa.removesuffix('.0')}e{exponent}"
    return text.removesuffix(".0")


def go_json(value: object, *, indent: int | None = None) -> str:
    """A value as docker marshals it: compact, maps sorted, nothing escaped for HTML, valid UTF-8.

    With ``indent``, one field per line, as ``inspect`` has it.
    """
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(_plain(value), ensure_ascii=False, separators=separators, indent=indent, allow_nan=False)
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _plain(value: object) -> object:
    if value is NO_VALUE:
        return None
    if isinstance(value, Map):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if not callable(item)}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
