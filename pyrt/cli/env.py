"""``-e`` and ``--env-file``: the environment that the caller asks for, by docker's rules.

``-e NAME`` without a value hands on the caller's own variable and says nothing where there is none. An env file has one
``NAME=value`` per line; quotes are part of the value, leading white space is not, trailing white space is.
"""

from __future__ import annotations

from pyrt.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Variable = tuple[str, "str | None"]  # None: the caller's own value

_BOM = b"\xef\xbb\xbf"
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def parse_variable(text: str) -> Variable:
    """``NAME=value`` or ``NAME``. Raises UsageError where the name is empty."""
    name, equals, value = text.partition("=")
    if not name:
        raise UsageError("the name of the variable is missing")
    return (name, value if equals else None)


def resolve(variables: Iterable[Variable], environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The variables with the caller's values filled in; those that the caller has not are dropped."""
    pairs = []
    for name, value in variables:
        known = environ.get(name) if value is None else value
        if known is not None:
            pairs.append((name, known))
    return tuple(pairs)


def read_env_file(path: str) -> tuple[Variable, ...]:
    """The variables of an env file, in its order. Raises UsageError that names the line."""
    return tuple(_variable(line) for line in _lines(path))


def read_label_file(path: str) -> tuple[tuple[str, str], ...]:
    """The labels of a label file: same grammar; a line without ``=`` says nothing, as in docker."""
    pairs = (_variable(line) for line in _lines(path))
    return tuple((name, value) for name, value in pairs if value is not None)


def _lines(path: str) -> list[tuple[int, str]]:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise UsageError((error.strerror or str(error)).lower()) from error
    return list(_parse_lines(content.removeprefix(_BOM)))


def _parse_lines(content: bytes) -> Iterable[tuple[int, str]]:
    for number, raw in enumerate(content.split(b"\n"), 1):
        try:
            line = raw.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            raise UsageError(f"line {number}: not UTF-8") from error
        line = line.lstrip(_SPACE)
        if line and not line.startswith("#"):
            yield number, line


def _variable(numbered: tuple[int, str]) -> Variable:
    number, line = numbered
    name, equals, value = line.partition("=")
    if not name:
        raise UsageError(f"line {number}: the name of the variable is missing")
    if any(character in _SPACE for character in name):
        raise UsageError(f"line {number}: white space in the name {name!r}")
    if "\0" in line:
        raise UsageError(f"line {number}: a NUL byte")
    return (name, value if equals else None)
