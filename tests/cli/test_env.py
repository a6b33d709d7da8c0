"""-e, --env-file, --label-file by docker's rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrt.cli.env import parse_variable, read_env_file, read_label_file, resolve
from pyrt.errors import UsageError


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ("A=1", ("A", "1")),
        ("A=", ("A", "")),
        ("A", ("A", None)),
        ("A=b=c", ("A", "b=c")),
        ('A="q"', ("A", '"q"')),
        ("a b=c", ("a b", "c")),
        ("A=\udcff", ("A", "\udcff")),
    ],
)
def test_variable(text: str, variable: tuple[str, str | None]) -> None:
    assert parse_variable(text) == variable


@pytest.mark.parametrize("text", ["", "=", "=x"])
def test_variable_without_a_name(text: str) -> None:
    with pytest.raises(UsageError, match="name of the variable"):
        parse_variable(text)


def test_the_callers_value_is_filled_in_or_the_variable_dropped() -> None:
    assert resolve([("A", None), ("B", None), ("C", "")], {"A": "1"}) == (("A", "1"), ("C", ""))


@given(st.text(st.characters(exclude_characters="=\0"), min_size=1), st.text(st.characters(exclude_characters="\0")))
def test_name_and_value_come_back(name: str, value: str) -> None:
    assert parse_variable(f"{name}={value}") == (name, value)


@pytest.mark.parametrize(
    ("content", "variables"),
    [
        (b"A=1\nB=2\n", (("A", "1"), ("B", "2"))),
        (b"A=1", (("A", "1"),)),
        (b"\n  \n# comment\n  # too\n\tA=1\n", (("A", "1"),)),
        (b"A=1 # no comment\n", (("A", "1 # no comment"),)),
        (b"A= x \n", (("A", " x "),)),
        (b"A='x'\n", (("A", "'x'"),)),
        (b"A=1\r\nB=2\r\n", (("A", "1"), ("B", "2"))),
        (b"\xef\xbb\xbfA=1\n", (("A", "1"),)),
        (b"A=b=c\nNAME\n", (("A", "b=c"), ("NAME", None))),
        (b"A=\n", (("A", ""),)),
        (b"", ()),
        ("Ä=ö\n".encode(), (("Ä", "ö"),)),
    ],
)
def test_file(tmp_path: Path, content: bytes, variables: object) -> None:
    (tmp_path / "env").write_bytes(content)
    assert read_env_file(str(tmp_path / "env")) == variables


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"A=1\n=x\n", "line 2: the name of the variable is missing"),
        (b"A B=1\n", "line 1: white space in the name 'A B'"),
        (b"A =1\n", "line 1: white space in the name 'A '"),
        (b"A=\xff\n", "line 1: not UTF-8"),
        (b"A=\0\n", "line 1: a NUL byte"),
        (b"A=1\n\xef\xbb\xbfB C=2\n", "line 2: white space"),
    ],
)
def test_bad_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "env").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_env_file(str(tmp_path / "env"))
    assert str(caught.value).startswith(message)


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_env_file(str(tmp_path / "nosuch"))
    with pytest.raises(UsageError, match="is a directory"):
        read_env_file(str(tmp_path))


def test_labels_without_a_value_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "labels").write_bytes(b"a=1\nb\nc=\n")
    assert read_label_file(str(tmp_path / "labels")) == (("a", "1"), ("c", ""))
