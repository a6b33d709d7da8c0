"""How docker reads a command line, which is not quite how click does.

Booleans take a value after ``=`` only (``--rm=false``), one-letter options may be bundled (``-it``, ``-eA=1``), names
are never abbreviated, and the words of the errors are docker's (pflag's). What the options are comes from the click
commands; this file only walks the words. It is pure, so that the launcher's table can be checked against it.
"""

from __future__ import annotations

from pyrt.cli.booleans import parse_boolean
from pyrt.errors import Unsupported, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Given = tuple[str, "str | bool"]  # an option as it was written, and its value


def split(
    words: Sequence[str],
    takes_value: Mapping[str, bool],
    *,
    interspersed: bool,
    refused: Mapping[str, str],
    lenient: bool = False,
) -> tuple[list[Given], list[str]]:
    """The options among ``words`` in their order, and the words that are none.

    ``takes_value`` has every option with its dashes. ``interspersed`` says whether options may follow the first other
    word. ``refused`` has docker's options that this version does not carry out, with the reason. ``lenient``, for
    completion, passes over whatever is wrong. Raises UsageError and Unsupported.
    """
    return _Splitter(words, takes_value, interspersed, refused, lenient).split()


class _Splitter:
    def __init__(
        self,
        words: Sequence[str],
        takes_value: Mapping[str, bool],
        interspersed: bool,
        refused: Mapping[str, str],
        lenient: bool,
    ) -> None:
        self.words = list(reversed(words))
        self.takes_value = takes_value
        self.interspersed = interspersed
        self.refused = refused
        self.lenient = lenient
        self.given: list[Given] = []
        self.rest: list[str] = []

    def split(self) -> tuple[list[Given], list[str]]:
        while self.words:
            word = self.words.pop()
            if word == "--":
                break
            if word == "-" or not word.startswith("-"):
                self.rest.append(word)
                if not self.interspersed:
                    break
                continue
            try:
                self.long(word) if word.startswith("--") else self.short(word)
            except UsageError:
                if not self.lenient:
                    raise
        self.rest.extend(reversed(self.words))
        return self.given, self.rest

    def long(self, word: str) -> None:
        flag, equals, text = word.partition("=")
        if flag not in self.takes_value:
            raise self.unknown(flag, f"unknown flag: {flag}")
        if equals:
            self.given.append((flag, text if self.takes_value[flag] else self.boolean(flag, text)))
        elif self.takes_value[flag]:
            self.given.append((flag, self.next_word(flag, f"flag needs an argument: {flag}")))
        else:
            self.given.append((flag, True))

    def short(self, word: str) -> None:
        letters = word[1:]
        while letters:
            flag, letters = "-" + letters[0], letters[1:]
            if flag not in self.takes_value:
                where = "" if word == flag else f" in {word}"
                raise self.unknown(flag, f"unknown shorthand flag: {flag[1:]!r}{where}")
            if letters.startswith("="):
                text = letters[1:]
                self.given.append((flag, text if self.takes_value[flag] else self.boolean(flag, text)))
                return
            if self.takes_value[flag]:
                where = "" if word == flag else f" in {word}"
                self.given.append((flag, letters or self.next_word(flag, f"flag needs an argument: {flag}{where}")))
                return
            self.given.append((flag, True))

    def boolean(self, flag: str, text: str) -> bool:
        return parse_boolean(text, f'invalid argument "{text}" for {flag}')

    def next_word(self, flag: str, complaint: str) -> str:
        if not self.words:
            raise UsageError(complaint)
        return self.words.pop()

    def unknown(self, flag: str, complaint: str) -> UsageError:
        if flag in self.refused:
            return refusal(flag, self.refused[flag])
        return UsageError(complaint)


def refusal(what: str, reason: str) -> Unsupported:
    """The error for something that docker has and this version has not: its name, and what is missing for it."""
    return Unsupported(f"{what}: not supported by this version" + (f" ({reason})" if reason else ""))
