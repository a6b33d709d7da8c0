"""How addresses, and what a server sends back, may appear in a message: without secrets."""

from __future__ import annotations

from urllib.parse import urlsplit

from pyrt.oci.shown import printable


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
