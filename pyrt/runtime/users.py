"""Who the program runs as: a user specification, looked up in the image's own passwd and group (passwd(5), group(5)).

The host's name service is never asked. A number is a number even where an account has that name (CVE-2016-3697), and
nothing unknown becomes root (CVE-2026-30892).
"""

from __future__ import annotations

import io

from pyrt.errors import UsageError
from pyrt.runtime.tree import ImageTree
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ID = 2**32 - 2  # 2**32 - 1 is "no change" for setresuid(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The ids and the home directory ("/" where the image knows none) that a specification stands for."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def parse_id(text: str) -> int | None:
    """A decimal id, None where the text is a name. Raises UsageError for a number out of range."""
    if not (text.isascii() and text.isdigit()):
        return None
    number = int(text) if len(text) <= 10 else MAX_ID + 1
    if number > MAX_ID:
        raise UsageError(f"user or group id {text}: out of range", hint=f"the largest is {MAX_ID}")
    return number


class _Rows:
    """The lines of a passwd or group file that have this many fields, and ids that are numbers. Each look reads them anew:
    ten megabytes of lines kept as lists would be two hundred."""

    def __init__(self, content: bytes | None, width: int) -> None:
        self._content = content or b""
        self._width = width

    def __iter__(self) -> Iterator[list[str]]:
        for line in io.BytesIO(self._content):
            fields = line.rstrip(b"\n").decode("utf-8", "surrogateescape").split(":")
            if len(fields) >= self._width and fields[0] and _is_id(fields[2]):
                yield fields


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_ID


def _check(spec: str) -> tuple[str, str]:
    user, colon, group = spec.partition(":")
    if any(c.isspace() or not c.isprintable() for c in spec):
        raise UsageError(f"user {spec!r}: blanks and control characters cannot be in a name")
    if not user or (colon and not group) or ":" in group:
        raise UsageError(f"user {spec!r}: not of the form user[:group]")
    if user[0] in "+-" or group[:1] in ("+", "-"):
        raise UsageError(f"user {spec!r}: not a name and not an id")
    return user, group


def find(spec: str, group_add: tuple[str, ...], tree: ImageTree) -> Account:
    """The account for ``user[:group]`` ("" is root) and docker's ``--group-add``.

    Without a group the account's own groups apply: its primary one and those of group(5) that list it. With a group only
    that one. Raises UsageError for a name that the image does not know and for an id above 2**32 - 2.
    """
    user, group = _check(spec) if spec else ("0", "")
    passwd_text, group_text = tree.read_all("/etc/passwd", "/etc/group")
    passwd, groups = _Rows(passwd_text, 6), _Rows(group_text, 4)
    uid = parse_id(user)
    account = next((row for row in passwd if (row[0] == user if uid is None else int(row[2]) == uid)), None)
    if uid is None:
        if account is None:
            raise UsageError(f"user {user!r}: no such user in the image's /etc/passwd")
        uid = int(account[2])
    own = int(account[3]) if account is not None and _is_id(account[3]) else 0
    gid = _group(group, groups) if group else own
    listed = [int(row[2]) for row in groups if account is not None and account[0] in row[3].split(",")]
    extra = [_group(name, groups) for name in group_add]
    supplementary = [gid, *([] if group else listed), *extra]
    home = account[5] if account is not None and account[5].startswith("/") else "/"
    return Account(uid=uid, gid=gid, groups=tuple(dict.fromkeys(supplementary)), home=home)


def _group(text: str, groups: _Rows) -> int:
    number = parse_id(text)
    if number is not None:
        return number
    for row in groups:
        if row[0] == text:
            return int(row[2])
    raise UsageError(f"group {text!r}: no such group in the image's /etc/group")
