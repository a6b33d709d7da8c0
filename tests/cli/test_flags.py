"""Words are read as docker reads them (pflag): the cases of its documentation, and what it refuses in which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrt.cli import flags
from pyrt.errors import Unsupported, UsageError

OPTIONS = {"--env": True, "-e": True, "--tty": False, "-t": False, "-i": False, "--name": True}


def split(*words: str, interspersed: bool = False) -> tuple[list[flags.Given], list[str]]:
    return flags.split(words, OPTIONS, interspersed=interspersed, refused={"--memory": "none", "-m": "none"})


@pytest.mark.parametrize(
    ("words", "given", "rest"),
    [
        (["image"], [], ["image"]),
        (["--env", "A=1", "image"], [("--env", "A=1")], ["image"]),
        (["--env=A=1", "image"], [("--env", "A=1")], ["image"]),
        (["-eA=1"], [("-e", "A=1")], []),
        (["-e=A=1"], [("-e", "A=1")], []),
        (["-e", "A=1"], [("-e", "A=1")], []),
        (["-it"], [("-i", True), ("-t", True)], []),
        (["-ite", "A"], [("-i", True), ("-t", True), ("-e", "A")], []),
        (["-iteA"], [("-i", True), ("-t", True), ("-e", "A")], []),
        (["-it=false"], [("-i", True), ("-t", False)], []),
        (["--tty=false"], [("--tty", False)], []),
        (["--tty=T"], [("--tty", True)], []),
        (["--tty", "false"], [("--tty", True)], ["false"]),
        (["--env=", "x"], [("--env", "")], ["x"]),
        (["--env", "--name"], [("--env", "--name")], []),
        (["--", "-t"], [], ["-t"]),
        (["image", "-t", "--", "x"], [], ["image", "-t", "--", "x"]),
        (["-"], [], ["-"]),
    ],
)
def test_words(words: list[str], given: list[flags.Given], rest: list[str]) -> None:
    assert split(*words) == (given, rest)


def test_options_after_other_words_where_the_command_allows_it() -> None:
    assert split("a", "-t", "b", "--", "-i", interspersed=True) == ([("-t", True)], ["a", "b", "-i"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nosuch"], "unknown flag: --nosuch"),
        (["--nosuch=1"], "unknown flag: --nosuch"),
        (["--nam", "x"], "unknown flag: --nam"),
        (["-x"], "unknown shorthand flag: 'x'"),
        (["-tx"], "unknown shorthand flag: 'x' in -tx"),
        (["--name"], "flag needs an argument: --name"),
        (["-e"], "flag needs an argument: -e"),
        (["-ite"], "flag needs an argument: -e in -ite"),
        (["--tty=maybe"], 'invalid argument "maybe" for --tty: must be true or false'),
        (["-t="], 'invalid argument "" for -t: must be true or false'),
    ],
)
def test_refusals(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        split(*words)
    assert str(caught.value) == message


@pytest.mark.parametrize("words", [["--memory", "1g"], ["--memory=1g"], ["-m", "1g"], ["-tm1g"]])
def test_known_but_not_carried_out_has_words_of_its_own(words: list[str]) -> None:
    with pytest.raises(Unsupported, match="not supported by this version"):
        split(*words)


def test_lenient_passes_over_what_is_wrong() -> None:
    result = flags.split(["--nosuch", "-t", "--memory"], OPTIONS, interspersed=True, refused={}, lenient=True)
    assert result == ([("-t", True)], [])


@given(st.lists(st.text(st.characters(exclude_characters="\0"), max_size=6), max_size=6))
def test_words_after_the_image_are_never_touched(words: list[str]) -> None:
    assert split("-t", "image", *words) == ([("-t", True)], ["image", *words])


@given(st.lists(st.sampled_from([*OPTIONS, "--", "-", "-it", "x", "--env=1", "-e2", "-q", "--tty=0"]), max_size=8))
def test_every_line_is_read_or_refused(words: list[str]) -> None:
    try:
        given_options, rest = split(*words, interspersed=True)
    except UsageError:
        return
    assert all(flag in OPTIONS for flag, _ in given_options)
    assert len(given_options) + len(rest) <= 2 * len(words)
