"""How text of others, and addresses, may appear in a message: on one line, without control characters and secrets."""

from __future__ import annotations

from urllib.parse import urlsplit

SHOWN_CHARACTERS = 300


def printable(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """Text that a registry sent, safe for one line of a terminal or a log.

    Control, formatting (bidirectional) and surrogate characters become backslash escapes; the rest is cut at ``limit``
    characters. Threat catalogue IM-31.
    """
    cut = text[:limit].strip()
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
    return shown + ("..." if len(text) > limit else "")


def shown_url(url: str) -> str:
    """An address without user, password, query and fragment: these hold secrets (signed addresses, tokens)."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(an address that cannot be read)"
    query = "?..." if parts.query else ""
    return printable(f"{parts.scheme}://{host}{parts.path}{query}")


def without_secrets(text: str, secrets: frozenset[str]) -> str:
    """``text`` with each of ``secrets`` replaced: a server can send back what it was given."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, "***")
    return text
