"""Standard output of pyrt's own commands: bytes as they came, except that a terminal never gets control characters."""

from __future__ import annotations

import re
import sys

from pyrt.cli.message import one_line


def write(text: str) -> None:
    """Writes lines of ours to standard output; names that are no UTF-8 leave as the bytes that they were."""
    if sys.stdout.isatty():
        text = "".join(one_line(part) if part not in "\n\t" else part for part in re.split("([\n\t])", text))
    data = text.encode("utf-8", "surrogateescape")
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.write(data.decode("utf-8", "replace"))
        return
    sys.stdout.flush()
    binary.write(data)


def write_line(text: str) -> None:
    """``write`` and a line break."""
    write(text + "\n")


def note(text: str) -> None:
    """A line of ours for the person, on standard error."""
    print(one_line(text), file=sys.stderr, flush=True)
