"""WWW-Authenticate, parsed without I/O and in time linear in its bounded length (RFC 9110, section 11.6.1)."""

from __future__ import annotations

import re
from typing import TypeVar

from pyrt.oci import limits
from pyrt.values import dataclass

Item = TypeVar("Item")


_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SEPARATOR = re.compile(r"[ \t,]*")
_SCHEME = re.compile(rf"({_TOKEN})(?=[ \t,]|$)")
_TOKEN68 = re.compile(r"[ \t]+[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)")
_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}|[^\s,"]+))(?=[ \t,]|$)')
_QUOTED_PAIR = re.compile(r"\\(.)")


class InvalidChallenge(ValueError):
    """A WWW-Authenticate header that cannot be understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way to log in that the server offers. ``scheme`` and the names of ``parameters`` are in lower case."""

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """The value of a parameter, "" where it is missing."""
        return dict(self.parameters).get(name, "")

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of a Bearer challenge; one header may hold several, separated by spaces (RFC 6750)."""
        return tuple(self.get("scope").split())


def parse_challenges(values: list[str]) -> tuple[Challenge, ...]:
    """All challenges of all WWW-Authenticate headers of an answer, in order. Raises InvalidChallenge."""
    if sum(map(len, values)) > limits.CHALLENGE_BYTES:
        raise InvalidChallenge("the header is too long")
    challenges = [challenge for value in values[: limits.CHALLENGES + 1] for challenge in _parse(value)]
    return tuple(_bounded(challenges))


def _parse(value: str) -> list[Challenge]:
    found: list[tuple[str, list[tuple[str, str]]]] = []
    position = _skip(value, 0)
    while position < len(value):
        if match := _PARAMETER.match(value, position):
            if not found:
                raise InvalidChallenge("a parameter before any scheme")
            name = match[1].lower()
            if any(name == earlier for earlier, _ in found[-1][1]):
                raise InvalidChallenge(f"{name} is given twice")
            found[-1][1].append((name, _QUOTED_PAIR.sub(r"\1", match[2]) if match[2] is not None else match[3]))
        elif match := _SCHEME.match(value, position):
            found.append((match[1].lower(), []))
            _bounded(found)
            if token68 := _TOKEN68.match(value, match.end()):
                match = token68
        else:
            raise InvalidChallenge("neither a scheme nor a parameter")
        position = _skip(value, match.end())
    return [Challenge(scheme=scheme, parameters=tuple(parameters)) for scheme, parameters in found]


def _bounded(found: list[Item]) -> list[Item]:
    if len(found) > limits.CHALLENGES:
        raise InvalidChallenge("too many challenges")
    return found


def _skip(value: str, position: int) -> int:
    match = _SEPARATOR.match(value, position)
    return match.end() if match else position
