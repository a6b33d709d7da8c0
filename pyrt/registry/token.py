"""Bearer tokens: what is asked of a token server, and what its answer may be.

Source: distribution, "Token Authentication Specification" and "OAuth2 Token Authentication".
"""

from __future__ import annotations

import json
import re

from pyrt.registry.challenge import Challenge
from pyrt.values import dataclass

CLIENT_ID = "pyrt"
SHORTEST_LIFE = 60.0
LONGEST_LIFE = 24 * 3600.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
_SCOPE = re.compile(r"repository(?:\([a-z0-9]+\))?:([a-z0-9][a-zA-Z0-9._/:-]{0,511}):([a-z*,]+)")


class InvalidToken(ValueError):
    """An answer of a token server that cannot be used. The message quotes nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Token:
    """A bearer token and until when it is used, on the monotonic clock. ``refresh`` is an identity token or ""."""

    text: str
    scopes: frozenset[str]
    expires: float
    refresh: str = ""

    def __repr__(self) -> str:
        return "Token(...)"


def parse_token(body: bytes, *, scopes: frozenset[str], asked_at: float) -> Token:
    """The token in an answer of a token server. ``asked_at`` is the monotonic time of the request. Raises InvalidToken.

    Only ``expires_in`` counts, which is relative: this machine's date may be wrong. It is at least 60 s, and 60 s where
    it is missing or nonsense.
    """
    try:
        answer = json.loads(body, parse_int=float)  # float: a number of a million digits costs nothing
    except (ValueError, RecursionError):
        raise InvalidToken("it is not JSON") from None
    if not isinstance(answer, dict):
        raise InvalidToken("it is not a JSON object")
    text = answer.get("token") or answer.get("access_token")
    if not isinstance(text, str):
        raise InvalidToken("there is no token in it")
    if not _TOKEN.fullmatch(text):
        raise InvalidToken("the token has characters that no token has")
    refresh = answer.get("refresh_token", "")
    usable = isinstance(refresh, str) and _TOKEN.fullmatch(refresh)
    return Token(
        text=text,
        scopes=scopes,
        expires=asked_at + _life(answer.get("expires_in")),
        refresh=refresh if usable else "",
    )


def _life(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value <= LONGEST_LIFE:
        return SHORTEST_LIFE
    return max(SHORTEST_LIFE, float(value))


def pull_scope(repository: str) -> str:
    """The scope that reading a repository takes."""
    return f"repository:{repository}:pull"


def pull_scopes(challenge: Challenge) -> frozenset[str]:
    """The scopes of a challenge, reduced to reading: whatever a registry proposes, only ``pull`` is asked for."""
    found = set()
    for scope in challenge.scopes:
        match = _SCOPE.fullmatch(scope)
        if match and {"pull", "*"} & set(match[2].split(",")):
            found.add(pull_scope(match[1]))
    return frozenset(found)
