"""The functions of Go templates that docker's users have: Go's own, and docker's json, join, split and the like.

A function takes the evaluated arguments and returns a value, or raises UsageError. ``and`` and ``or`` are not here:
they stop at the first argument that decides.
"""

from __future__ import annotations

import re

from pyrt.cli.go_values import NO_VALUE, Map, go_json, go_text, is_true, kind
from pyrt.cli.template_lexer import template_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Function = Callable[..., object]

_VERB = re.compile(r"%([-+# 0]*)(\d*)(?:\.(\d*))?(.)", re.DOTALL | re.ASCII)
_WIDEST = 10_000


def _len(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, (list, tuple, Map)):
        return len(value)
    raise template_error(f"len of type {kind(value)}")


def _index(value: object, *keys: object) -> object:
    for key in keys:
        if isinstance(value, dict) and isinstance(key, str):
            value = value.get(key, NO_VALUE)
        elif isinstance(value, (list, tuple, str)) and isinstance(key, int) and not isinstance(key, bool):
            if not 0 <= key < len(value):
                raise template_error(f"index out of range: {key}")
            value = ord(value[key]) if isinstance(value, str) else value[key]
        else:
            raise template_error(f"cannot index {kind(value)} with {kind(key)}")
    return value


def _slice(value: object, *bounds: object) -> object:
    if not isinstance(value, (str, list, tuple)) or len(bounds) > 2:
        raise template_error(f"slice of type {kind(value)}")
    ends = [bound for bound in bounds if isinstance(bound, int)]
    start = ends[0] if ends else 0
    stop = ends[1] if len(ends) > 1 else len(value)
    if len(ends) != len(bounds) or not 0 <= start <= stop <= len(value):
        raise template_error("slice: index out of range")
    return value[start:stop]


def _comparable(left: object, right: object) -> tuple[object, object]:
    if kind(left) != kind(right) or kind(left) in ("slice", "map", "struct"):
        raise template_error(f"incompatible types for comparison: {kind(left)} and {kind(right)}")
    return left, right


def _eq(first: object, *others: object) -> bool:
    if not others:
        raise template_error("missing argument for comparison")
    if first in (None, NO_VALUE) or any(other in (None, NO_VALUE) for other in others):
        return any((first in (None, NO_VALUE)) == (other in (None, NO_VALUE)) for other in others)
    return any(left == right for left, right in (_comparable(first, other) for other in others))


def _lt(left: object, right: object) -> bool:
    left, right = _comparable(left, right)
    if isinstance(left, (int, float)) and isinstance(right, (int, float)) and not isinstance(left, bool):
        return left < right
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    raise template_error(f"invalid type for comparison: {kind(left)}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise template_error(f"expected string; found {go_text(value)}")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _WIDEST:
        raise template_error(f"expected integer; found {go_text(value)}")
    return value


def _join(values: object, separator: object) -> str:
    if not isinstance(values, (list, tuple)):
        raise template_error(f"join of type {kind(values)}")
    return _text(separator).join(_text(value) for value in values)


def _title(value: object) -> str:
    return re.sub(r"(?<!\S)\S", lambda match: match.group().upper(), _text(value))


def _pad(value: object, before: object, after: object) -> str:
    text = _text(value)
    return " " * _count(before) + text + " " * _count(after) if text else text


def _truncate(value: object, length: object) -> str:
    limit = _count(length)
    return _text(value) if limit < 0 else _text(value)[:limit]


def _print(*values: object) -> str:
    """Go's Sprint: a space between two neighbours of which neither is a string."""
    text = ""
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            text += " "
        text += _nil(value)
    return text


def _nil(value: object) -> str:
    return "<nil>" if value is None or value is NO_VALUE else go_text(value)


def _printf(layout: object, *values: object) -> str:
    """Go's Sprintf for the verbs s, d, v, q, t, x, f, c with flags, width and precision."""
    left = list(values)

    def verb(match: re.Match[str]) -> str:
        flags, width, precision, letter = match.groups()
        if letter == "%":
            return "%"
        if int(width or 0) > _WIDEST or int(precision or 0) > _WIDEST:
            return "%!(BADWIDTH)"
        if not left:
            return f"%!{letter}(MISSING)"
        return _formatted(left.pop(0), flags, int(width or 0), precision, letter)

    text = _VERB.sub(verb, _text(layout))
    extra = ", ".join(f"{kind(value)}={_nil(value)}" for value in left)
    return text + (f"%!(EXTRA {extra})" if extra else "")


def _formatted(value: object, flags: str, width: int, precision: str | None, letter: str) -> str:
    text = _verb_text(value, letter, precision)
    if text is None:
        return f"%!{letter}({kind(value)}={_nil(value)})"
    number = isinstance(value, (int, float)) and letter in "dvfx"
    if "+" in flags and number and not text.startswith("-"):
        text = "+" + text
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags and number:
        return text.zfill(width)
    return text.rjust(width)


def _verb_text(value: object, letter: str, precision: str | None) -> str | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if letter == "v" or (letter == "s" and isinstance(value, (str, list, tuple, Map))):
        text = _nil(value)
        return text[: int(precision or 0)] if precision is not None and isinstance(value, str) else text
    if letter == "d" and whole:
        return str(value)
    if letter == "q" and isinstance(value, str):
        return go_json(value)
    if letter == "t" and isinstance(value, bool):
        return go_text(value)
    if letter == "x" and isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").hex()
    if letter == "x" and isinstance(value, int) and whole:
        return f"{value:x}"
    if letter == "f" and isinstance(value, float):
        return f"{value:.{int(precision or 0) if precision is not None else 6}f}"
    return None


FUNCTIONS: Mapping[str, Function] = {
    "not": lambda value: not is_true(value),
    "len": _len,
    "index": _index,
    "slice": _slice,
    "eq": _eq,
    "ne": lambda left, right: not _eq(left, right),
    "lt": _lt,
    "le": lambda left, right: not _lt(right, left),
    "gt": lambda left, right: _lt(right, left),
    "ge": lambda left, right: not _lt(left, right),
    "print": _print,
    "println": lambda *values: " ".join(_nil(value) for value in values) + "\n",
    "printf": _printf,
    "json": go_json,
    "join": _join,
    "split": lambda value, separator: _text(value).split(_text(separator)) if separator else list(_text(value)),
    "lower": lambda value: _text(value).lower(),
    "upper": lambda value: _text(value).upper(),
    "title": _title,
    "pad": _pad,
    "truncate": _truncate,
}

# In the row of headings every function hands its value through.
HEADER_FUNCTIONS: Mapping[str, Function] = {
    **FUNCTIONS,
    "json": lambda value: value,
    "join": lambda value, *_: value,
    "split": lambda value, *_: value,
    "lower": lambda value: value,
    "upper": lambda value: value,
    "title": lambda value: value,
    "truncate": lambda value, *_: value,
}
