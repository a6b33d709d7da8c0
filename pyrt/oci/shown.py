"""How text of others may appear in a message: on one line, short, without what a terminal obeys."""

from __future__ import annotations

SHOWN_CHARACTERS = 300


def printable(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """Text that a registry or an image sent, safe for one line of a terminal or a log.

    Control, formatting (bidirectional) and surrogate characters become backslash escapes; the rest is cut at ``limit``
    characters. Threat catalogue IM-31.
    """
    cut = text[:limit].strip()
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
    return shown + ("..." if len(text) > limit else "")
