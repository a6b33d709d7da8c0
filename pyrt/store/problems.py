"""What ``pyrt check`` finds."""

from __future__ import annotations

from pyrt.values import dataclass

KINDS = ("layout", "index", "blob", "layer", "image", "container", "name", "volume", "permissions", "leftover")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong. ``subject`` is a digest, an id, a name or a path in the store, by ``kind`` (one of KINDS);
    ``text`` says what is wrong with it, ``images`` what it belongs to, ``paths`` which files of a layer differ and how.
    ``fix`` names the way to mend it, "" where there is none; ``repair`` says what was done about it, or why nothing, and
    ``mended`` whether it is right now."""

    kind: str
    subject: str
    text: str
    images: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    fix: str = ""
    repair: str = ""
    mended: bool = False

    def line(self) -> str:
        """All of it in one line."""
        of = f" ({', '.join(self.images)})" if self.images else ""
        paths = f": {'; '.join(self.paths)}" if self.paths else ""
        repair = f" -- {self.repair}" if self.repair else ""
        return f"{self.kind} {self.subject}{of}: {self.text}{paths}{repair}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How much there was to check."""

    images: int
    blobs: int
    layers: int
    containers: int
    volumes: int
