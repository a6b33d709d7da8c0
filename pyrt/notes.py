"""Notes: what a person should know and what stops nothing. Where PYRT_STRICT is set each of them is an error instead."""

from __future__ import annotations

import os

from pyrt.errors import NoteError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VARIABLE = "PYRT_STRICT"


def note(text: str, say: Callable[[str], None] | None, environ: Mapping[str, str] = os.environ) -> None:
    """Hands a note to whoever shows it (None: nobody does). Raises NoteError where PYRT_STRICT=1, whoever listens.

    It is told before what it is about is done, so that a strict caller finds nothing half done.
    """
    if strict(environ):
        raise NoteError(text, hint=f"an error because {VARIABLE}=1")
    if say is not None:
        say(text)


def strict(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether notes are errors: 1, and not with 0 or nothing. Raises UsageError for another value."""
    value = environ.get(VARIABLE, "")
    if value not in ("", "0", "1"):
        raise UsageError(f"{VARIABLE}={value}: neither 0 nor 1")
    return value == "1"
