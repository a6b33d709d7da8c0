"""The words of a Go template: text between actions, and the tokens inside an action.

Source: pkg.go.dev/text/template, "Text and spaces", "Arguments".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pyrt.errors import UsageError

_OPEN, _CLOSE = "{{", "}}"
_SPACE = " \t\r\n"
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<field>\.[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?))
      | (?P<dot>\.)
      | (?P<variable>\$[A-Za-z0-9_]*)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<raw>`[^`]*`)
      | (?P<declare>:=)
      | (?P<sign>[|(),=])
    """,
    re.VERBOSE | re.ASCII,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", '"': '"'}


class Token(NamedTuple):
    """``glued`` says that no space stands before it: ``(x).Y`` is a field of x, ``(x) .Y`` two operands."""

    kind: str  # field, number, dot, variable, word, string, declare, sign
    text: str  # of a string: its value
    glued: bool


class Action(NamedTuple):
    """What stands between ``{{`` and ``}}``."""

    tokens: tuple[Token, ...]
    source: str


def template_error(why: str) -> UsageError:
    """docker's words for whatever is wrong with a template."""
    return UsageError(f"template parsing error: {why}")


def pieces(template: str) -> list[str | Action]:
    """Text and actions in turn, ``{{-`` and ``-}}`` already carried out, comments gone. Raises UsageError."""
    found: list[str | Action] = []
    position, trim = 0, False
    while True:
        start = template.find(_OPEN, position)
        text = template[position:] if start < 0 else template[position:start]
        text = text.lstrip(_SPACE) if trim else text
        if start < 0:
            return [*found, text] if text else found
        inner = start + len(_OPEN)
        if template[inner : inner + 1] == "-" and template[inner + 1 : inner + 2] in tuple(_SPACE):
            text = text.rstrip(_SPACE)
            inner += 1
        if text:
            found.append(text)
        action, position, trim = _action(template, inner)
        if action is not None:
            found.append(action)


def _action(template: str, start: int) -> tuple[Action | None, int, bool]:
    """The action whose inside begins at ``start``, where the text goes on, and whether white space is cut there."""
    comment = re.compile(r"[ \t\r\n]*/\*.*?\*/(?:[ \t\r\n]+-)?}}", re.DOTALL).match(template, start)
    if comment is not None:
        return None, comment.end(), comment.group().endswith("-}}")
    tokens: list[Token] = []
    position, glued = start, False
    while True:
        rest = template[position : position + 3]
        trim = rest == "-}}" and not glued and position > start
        if trim or rest.startswith(_CLOSE):
            source = template[start:position].strip(_SPACE)
            return Action(tuple(tokens), source), position + (3 if trim else 2), trim
        match = _TOKEN.match(template, position)
        if match is None:
            raise _bad(template, position)
        position = match.end()
        kind = match.lastgroup or ""
        if kind == "space":
            glued = False
            continue
        tokens.append(_token(kind, match.group(), glued))
        glued = True


def _bad(template: str, position: int) -> UsageError:
    if position >= len(template):
        return template_error("unclosed action")
    if template[position] in "\"'`":
        return template_error("unterminated or unsupported quotation")
    return template_error(f"unexpected {template[position]!r} in an action")


def _token(kind: str, text: str, glued: bool) -> Token:
    if kind == "raw":
        return Token("string", text[1:-1], glued)
    if kind == "string":
        return Token("string", _ESCAPE.sub(_unescape, text[1:-1]), glued)
    return Token(kind, text, glued)


def _unescape(match: re.Match[str]) -> str:
    code = match.group(1)
    if code in _SIMPLE:
        return _SIMPLE[code]
    try:
        if code[0] in "xuU" and len(code) > 1:
            return chr(int(code[1:], 16))
        if len(code) == 3:
            return chr(int(code, 8))
    except (ValueError, OverflowError):
        pass
    raise template_error(f"unknown escape \\{code} in a string")
