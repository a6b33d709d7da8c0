"""``--filter KEY=VALUE``: values for one key are alternatives, different keys must all fit, as in docker."""

from __future__ import annotations

from pyrt.cli.booleans import parse_boolean
from pyrt.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Filter = tuple[str, str]


def parse_filter(text: str) -> Filter:
    """``key=value``; docker ignores case and white space around the key. Raises UsageError."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError("not of the form KEY=VALUE")
    return key.strip().lower(), value.strip()


def grouped(filters: Iterable[Filter], known: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """The values for each key. Raises UsageError for a key that this command does not know."""
    found: dict[str, tuple[str, ...]] = {}
    names = sorted(known)
    for key, value in filters:
        if key not in names:
            raise UsageError(f"--filter {key}={value}: no such filter", hint=f"filters are {', '.join(names)}")
        found[key] = (*found.get(key, ()), value)
    return found


def has_labels(labels: Iterable[tuple[str, str]], wanted: Iterable[str]) -> bool:
    """Whether all ``wanted``, each ``key`` or ``key=value``, are among the labels: here, all must."""
    have = dict(labels)
    for text in wanted:
        key, equals, value = text.partition("=")
        if key not in have or (equals and have[key] != value):
            return False
    return True


def boolean(key: str, values: Iterable[str]) -> bool | None:
    """The one truth value that a filter asks for; None for none, or for both. Raises UsageError."""
    asked = {parse_boolean(value, f"--filter {key}={value}") for value in values}
    return asked.pop() if len(asked) == 1 else None
