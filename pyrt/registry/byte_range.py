"""The Range header of a request for a blob. Source: RFC 9110, section 14."""

from __future__ import annotations

import re

from pyrt.values import dataclass

_SINGLE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """``length`` bytes from ``start`` on; ``length`` 0 stands for a range that the content does not have (416)."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        """The Content-Range header of the answer, ``size`` being that of the whole content."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}" if self.length else f"bytes */{size}"


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The one range that ``header`` asks for of ``size`` bytes.

    None where the whole content is the right answer: no header, several ranges, another unit, or no valid range.
    """
    match = _SINGLE.fullmatch((header or "").strip())
    if match is None or match.group(1, 2) == ("", ""):
        return None
    first, last = match.group(1, 2)
    if not first:
        length = min(int(last), size)
        return ByteRange(start=size - length, length=length)
    start, end = int(first), int(last) if last else size - 1
    if last and end < start:
        return None
    return ByteRange(start=start, length=max(0, min(end, size - 1) - start + 1))
