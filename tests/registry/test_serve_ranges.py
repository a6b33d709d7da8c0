"""The Range header, as a table. RFC 9110, section 14."""

from __future__ import annotations

import pytest

from pyrt.registry.byte_range import ByteRange, parse_range

SIZE = 100


@pytest.mark.parametrize(
    ("header", "start", "length"),
    [
        ("bytes=0-", 0, 100),
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 10),
        ("bytes=99-", 99, 1),
        ("bytes=90-1000", 90, 10),
        ("bytes=-1", 99, 1),
        ("bytes=-1000", 0, 100),
        (" bytes=5-5 ", 5, 1),
    ],
)
def test_range(header: str, start: int, length: int) -> None:
    found = parse_range(header, SIZE)
    assert found == ByteRange(start=start, length=length)
    assert found is not None and found.content_range(SIZE) == f"bytes {start}-{start + length - 1}/100"


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=9999999999999999999-", "bytes=-0"])
def test_range_that_the_content_does_not_have(header: str) -> None:
    found = parse_range(header, SIZE)
    assert found is not None and found.length == 0
    assert found.content_range(SIZE) == "bytes */100"


@pytest.mark.parametrize(
    "header",
    [None, "", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes=0-1,5-6", "lines=0-1", "bytes 0-1", "bytes=+1-2"]
    + ["bytes=" + "9" * 30 + "-", "bytes=٣-"],
)
def test_header_that_is_ignored(header: str | None) -> None:
    assert parse_range(header, SIZE) is None


def test_empty_content_has_no_range() -> None:
    found = parse_range("bytes=0-", 0)
    assert found is not None and found.length == 0
