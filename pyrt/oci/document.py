"""Strict JSON: what may be read as a manifest, an index or a configuration.

An image is named by the digest of its bytes, so the bytes must have one meaning for every reader: I-JSON (RFC 7493),
no duplicate names, no NaN, no lone surrogates, nothing after the document. Size, nesting and the number of values
are bounded before anything is parsed, so that a hostile document costs neither memory nor the interpreter's stack.
"""

from __future__ import annotations

import json
import math
import re

from pyrt.errors import InvalidManifest
from pyrt.oci import limits
from pyrt.oci.shown import printable
from pyrt.values import dataclass

_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{},")
_STRING = re.compile(rb'"[^"]*"?')
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class JsonObject:
    """One object of a document, read field by field with its type checked.

    ``where`` is what errors call it ("manifest", "manifest.layers[3]"). A missing field and ``null`` are the same, as
    in Go's encoding/json, which wrote nearly all documents there are. Every method raises InvalidManifest.
    """

    where: str
    fields: dict[str, object]

    def has(self, name: str) -> bool:
        return self.fields.get(name) is not None

    def text(self, name: str, default: str | None = None) -> str:
        """A string; ``default`` where it is missing, and an error where that is None."""
        value = self.fields.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise self.wrong(name, "a string", value)
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        """An integer; ``default`` where it is missing, and an error where that is None."""
        value = self.fields.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(name, "an integer", value)
        return value

    def flag(self, name: str) -> bool:
        """A boolean; False where it is missing."""
        value = self.fields.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, "true or false", value)
        return bool(value)

    def child(self, name: str) -> JsonObject:
        """An object, which has to be there."""
        return self.opened(name, self.fields.get(name))

    def optional(self, name: str) -> JsonObject | None:
        """An object, or None where it is missing."""
        return self.child(name) if self.has(name) else None

    def children(self, name: str) -> tuple[JsonObject, ...]:
        """A list of objects; () where it is missing."""
        return tuple(self.opened(f"{name}[{index}]", value) for index, value in enumerate(self._list(name)))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings; () where it is missing."""
        values = self._list(name)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise self.wrong(f"{name}[{index}]", "a string", value)
        return tuple(value for value in values if isinstance(value, str))

    def pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        """An object whose values are all strings, in the document's order; () where it is missing."""
        child = self.optional(name)
        return tuple((key, child.text(key)) for key in child.fields) if child else ()

    def names(self, name: str) -> tuple[str, ...]:
        """The names in an object that Go writes for a set, ``{"/data": {}}``; () where it is missing."""
        child = self.optional(name)
        if child is None:
            return ()
        for key in child.fields:
            child.optional(key)
        return tuple(child.fields)

    def opened(self, name: str, value: object) -> JsonObject:
        """``value`` as an object that errors call by ``name`` below this one."""
        if not isinstance(value, dict):
            raise self.wrong(name, "an object", value)
        return JsonObject(f"{self.where}.{name}", value)

    def wrong(self, name: str, wanted: str, value: object) -> InvalidManifest:
        """The error to raise where the field ``name`` is not what it has to be."""
        field = printable(f"{self.where}.{name}")  # names in a document are as foreign as its values
        if value is None:
            return InvalidManifest(f"{field} is missing, it has to be {wanted}")
        return InvalidManifest(f"{field} is {_kind(value)}, it has to be {wanted}")

    def _list(self, name: str) -> list[object]:
        value = self.fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, "a list", value)
        return value


def parse_json(raw: bytes, what: str, *, limit: int = limits.JSON_BYTES) -> JsonObject:
    """The object in ``raw``; ``what`` is its name in errors. InvalidManifest for all that is not strict JSON."""
    value = parse_value(raw, what, limit=limit)
    if not isinstance(value, dict):
        raise InvalidManifest(f"{what} is {_kind(value)}, it has to be an object")
    return JsonObject(what, value)


def parse_value(raw: bytes, what: str, *, limit: int = limits.JSON_BYTES) -> object:
    """Like ``parse_json`` for a document that need not be an object."""
    if len(raw) > limit:
        raise InvalidManifest(f"{what} is larger than {limit} bytes")
    _check_shape(raw, what)
    try:
        text = raw.decode("utf-8")
        value: object = _DECODER.decode(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError as error:
        raise InvalidManifest(
            f"{what} is not UTF-8 text: {error.reason if hasattr(error, 'reason') else error}"
        ) from error
    except ValueError as error:
        raise InvalidManifest(f"{what} is not valid JSON: {error}") from error
    return value


def to_bytes(value: object) -> bytes:
    """``value`` as compact UTF-8 JSON in the order in which it was built: the same value gives the same bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def _check_shape(raw: bytes, what: str) -> None:
    """Bounds nesting and the number of values without parsing.

    Up to the first syntax error, which the parser will report, what is left after dropping the strings are exactly the
    document's brackets and commas.
    """
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise InvalidManifest(f"{what} begins with a byte order mark")
    unescaped = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    many = unescaped.count(b'"') > 4 * limits.JSON_VALUES  # two for each name and two for each value
    bare = b"" if many else _STRING.sub(b"", unescaped).translate(None, _NO_BRACKETS)
    if many or bare.count(b",") + bare.count(b"[") + bare.count(b"{") > limits.JSON_VALUES:
        raise InvalidManifest(f"{what} has more than {limits.JSON_VALUES} values")
    depth = 0
    for bracket in bare.replace(b",", b""):
        depth += 1 if bracket in b"[{" else -1
        if depth > limits.JSON_DEPTH:
            raise InvalidManifest(f"{what} is nested more than {limits.JSON_DEPTH} levels deep")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"duplicate name {name[:100]!r}")
            seen.add(name)
    return fields


def _constant(text: str) -> object:
    raise ValueError(f"{text} is not a number")


def _integer(text: str) -> int:
    if len(text) > limits.JSON_DIGITS:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number out of range")
    return value


def _kind(value: object) -> str:
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return name
    return "null"


_KINDS: tuple[tuple[type, str], ...] = (
    (str, "a string"),
    (bool, "a boolean"),
    (int, "a number"),
    (float, "a number"),
    (list, "a list"),
    (dict, "an object"),
)
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_int=_integer, parse_float=_float)
