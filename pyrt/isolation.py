"""What stands between a container and its host: each barrier by name, on or off, and why."""

from __future__ import annotations

from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier:
    """One barrier. ``why`` says what it consists of, or for what reason it is off."""

    name: str
    on: bool
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """``pyrt info``'s form."""
        return {"Name": self.name, "On": self.on, "Why": self.why}


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """The rung of the isolation ladder (ARCHITECTURE.md) and every barrier, those that are off included."""

    rung: str
    barriers: tuple[Barrier, ...]

    def __getitem__(self, name: str) -> Barrier:
        for barrier in self.barriers:
            if barrier.name == name:
                return barrier
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """``pyrt info``'s form."""
        return {"Rung": self.rung, "Barriers": [barrier.to_json() for barrier in self.barriers]}


NONE = Isolation(rung="none", barriers=())
