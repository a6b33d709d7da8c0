"""What pyrt says on the terminal: one line per failure, and nothing in it that a terminal would obey.

Names, labels and errors come from registries, images and other people. A control character among them could move the
cursor, hide a word or set the window's title, so it is shown as an escape; a line break would fake a second message.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.errors import PyrtError

# C0, DEL and C1 controls, the two Unicode line separators, the marks that reorder text, and single surrogates (bytes
# that were no UTF-8).
_UNSAFE = "[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: the byte that could not be decoded
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """``text`` as it may be printed: one line, without characters that a terminal acts on."""
    return re.sub(_UNSAFE, _escape, text)


def failure(error: PyrtError) -> str:
    """The line for stderr: ``pyrt: what: why``, and ``; hint`` where the cause is known."""
    return complaint(str(error), error.hint)


def complaint(text: str, hint: str = "") -> str:
    """The same for a text that is no PyrtError."""
    return one_line(f"pyrt: {text}; {hint}" if hint else f"pyrt: {text}")
