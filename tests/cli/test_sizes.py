"""docker's sizes (go-units): what is read, what is refused, what is printed."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrt.cli.sizes import format_size, parse_size
from pyrt.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("32", 32),
        ("32b", 32),
        ("32B", 32),
        ("32k", 32 << 10),
        ("32K", 32 << 10),
        ("32kb", 32 << 10),
        ("32Kb", 32 << 10),
        ("32KiB", 32 << 10),
        ("32Mb", 32 << 20),
        ("32 g", 32 << 30),
        ("32Tb", 32 << 40),
        ("32Pb", 32 << 50),
        ("1.5m", 3 << 19),
        (".5k", 512),
        ("0.3", 0),
        ("1.", 1),
    ],
)
def test_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "hello", "-32", "+1", " 32 ", "32m b", "32bm", "32bk", "32mm", "32i"])
def test_no_size(text: str) -> None:
    with pytest.raises(UsageError):
        parse_size(text)


@pytest.mark.parametrize("text", ["1e3", "0x10", "١", "32\n", "9999999p", "inf", "nan", "1_000"])
def test_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_size(text)


@given(st.integers(0, 1 << 50), st.sampled_from(["", "b", "k", "kb", "KiB", "m", "M", "mib", "g"]))
def test_whole_numbers_are_exact(number: int, unit: str) -> None:
    factor = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[unit[:1].lower()]
    if number * factor < 1 << 63:
        assert parse_size(f"{number}{unit}") == number * factor


@given(st.text(max_size=8))
def test_any_text_is_a_size_or_refused(text: str) -> None:
    with suppress(UsageError):
        assert parse_size(text) >= 0


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (4_270_000, "4.27MB"),
        (2_057_139, "2.06MB"),
        (999_999, "1MB"),
        (128_000_000, "128MB"),
        (10**18, "1EB"),
        (10**22, "1e+04EB"),
    ],
)
def test_printed(size: int, text: str) -> None:
    assert format_size(size) == text
