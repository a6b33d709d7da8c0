"""Which user and group ids a container has: the maps of its user namespace (user_namespaces(7))."""

from __future__ import annotations

from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DIRECT, SUBORDINATE, SINGLE = "direct", "subordinate", "single"
ENOUGH = 65536  # ids that an image may expect: up to nobody and nogroup, and one more


@dataclass(frozen=True, slots=True)
class Range:
    """``count`` ids from ``inside`` on are those from ``outside`` on where pyrt was started."""

    inside: int
    outside: int
    count: int

    def __str__(self) -> str:
        return f"{self.inside} {self.outside} {self.count}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """The maps, and who writes them: ``how`` is "direct" (we may ourselves), "subordinate" (newuidmap(1) and newgidmap(1), from
    subuid(5)) or "single" (the caller's own two ids, which everybody may)."""

    how: str
    users: tuple[Range, ...]
    groups: tuple[Range, ...]

    @classmethod
    def single(cls, uid: int, gid: int, inside_uid: int = 0, inside_gid: int = 0) -> Ids:
        """The caller's two ids as these."""
        return cls(how=SINGLE, users=(Range(inside_uid, uid, 1),), groups=(Range(inside_gid, gid, 1),))

    @property
    def is_single(self) -> bool:
        return self.how == SINGLE

    def for_user(self, uid: int, gid: int) -> Ids:
        """The same, but a single id is the caller as this user."""
        if not self.is_single:
            return self
        return Ids.single(self.users[0].outside, self.groups[0].outside, uid, gid)

    def has_user(self, uid: int) -> bool:
        return any(one.inside <= uid < one.inside + one.count for one in self.users)

    def has_group(self, gid: int) -> bool:
        return any(one.inside <= gid < one.inside + one.count for one in self.groups)

    def to_json(self) -> dict[str, Any]:
        """The plan's form."""
        return {"how": self.how, "users": [str(one) for one in self.users], "groups": [str(one) for one in self.groups]}
