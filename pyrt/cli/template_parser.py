"""From tokens to a tree: the grammar of Go templates as far as docker's users need it.

Left out and refused by name: define, template, block, break, continue.
"""

from __future__ import annotations

from typing import NamedTuple

from pyrt.cli.template_lexer import Action, Token, pieces, template_error

_MOST_NESTED = 100
_REFUSED = ("define", "template", "block", "break", "continue")


class Literal(NamedTuple):
    """A constant."""

    value: object


class Path(NamedTuple):
    """``.A.B``, ``$x.A`` or ``(pipeline).A``: where it begins (".", a variable or a pipeline), and the fields."""

    start: str | Pipeline
    fields: tuple[str, ...]
    source: str


class Call(NamedTuple):
    """A command of a pipeline: a function's name or an operand, and arguments."""

    target: str | Operand
    arguments: tuple[Operand, ...]


class Pipeline(NamedTuple):
    """Commands joined by ``|``; ``variables`` receive the result, by declaration or by assignment."""

    commands: tuple[Call, ...]
    variables: tuple[str, ...] = ()
    declares: bool = False
    source: str = ""


class Branch(NamedTuple):
    """``if``, ``with`` or ``range``."""

    kind: str
    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


Operand = Literal | Path | Call
Node = str | Pipeline | Branch


def parse(template: str) -> tuple[Node, ...]:
    """The tree of a template. Raises UsageError, "template parsing error: ..."."""
    reader = _Reader(pieces(template))
    nodes, end = reader.nodes(0)
    if end is not None:
        raise template_error(f"unexpected {{{{{end.source}}}}}")
    return nodes


class _Reader:
    def __init__(self, parts: list[str | Action]) -> None:
        self.parts = list(reversed(parts))

    def nodes(self, depth: int) -> tuple[tuple[Node, ...], Action | None]:
        """Nodes up to an ``end`` or ``else``, which is handed back, or up to the end of the template (None)."""
        if depth > _MOST_NESTED:
            raise template_error("nested too deeply")
        found: list[Node] = []
        while self.parts:
            part = self.parts.pop()
            if isinstance(part, str):
                found.append(part)
                continue
            word = part.tokens[0].text if part.tokens and part.tokens[0].kind == "word" else ""
            if word in ("end", "else"):
                return tuple(found), part
            if word in _REFUSED:
                raise template_error(f"{word!r} is not supported by this version")
            if word in ("if", "with", "range"):
                found.append(self.branch(word, part.tokens[1:], part.source, depth))
            else:
                found.append(_PipelineReader(part.tokens, part.source).whole(many_variables=False))
        return tuple(found), None

    def branch(self, word: str, tokens: tuple[Token, ...], source: str, depth: int) -> Branch:
        pipeline = _PipelineReader(tokens, source).whole(many_variables=word == "range")
        body, end = self.nodes(depth + 1)
        otherwise: tuple[Node, ...] = ()
        if end is not None and end.tokens[0].text == "else":
            rest = end.tokens[1:]
            if rest and rest[0].text in ("if", "with") and word != "range":
                return Branch(word, pipeline, body, (self.branch(rest[0].text, rest[1:], end.source, depth + 1),))
            if rest:
                raise template_error(f"unexpected {rest[0].text!r} after else")
            otherwise, end = self.nodes(depth + 1)
        if end is None:
            raise template_error(f"{{{{{source}}}}} has no {{{{end}}}}")
        if end.tokens[0].text != "end" or len(end.tokens) > 1:
            raise template_error(f"unexpected {{{{{end.source}}}}}")
        return Branch(word, pipeline, body, otherwise)


class _PipelineReader:
    def __init__(self, tokens: tuple[Token, ...], source: str) -> None:
        self.tokens = tokens
        self.source = source
        self.position = 0
        self.depth = 0

    def whole(self, *, many_variables: bool) -> Pipeline:
        variables, declares = self.variables(many_variables)
        pipeline = self.pipeline(variables, declares)
        if self.position < len(self.tokens):
            raise template_error(f"unexpected {self.tokens[self.position].text!r} in {{{{{self.source}}}}}")
        return pipeline

    def variables(self, many: bool) -> tuple[tuple[str, ...], bool]:
        """The names before ``:=`` or ``=``."""
        kinds = [token.kind for token in self.tokens]
        texts = [token.text for token in self.tokens]
        for count, names in ((1, texts[:1]), (2, texts[0:3:2])):
            at = 2 * count - 1
            if count == 2 and (not many or texts[1:2] != [","] or kinds[2:3] != ["variable"]):
                continue
            if kinds[:1] == ["variable"] and (kinds[at : at + 1] == ["declare"] or texts[at : at + 1] == ["="]):
                self.position = at + 1
                return tuple(names), kinds[at] == "declare"
        return (), False

    def pipeline(self, variables: tuple[str, ...] = (), declares: bool = False) -> Pipeline:
        commands = [self.command()]
        while self.peek("|"):
            self.position += 1
            commands.append(self.command())
        for later in commands[1:]:
            if not isinstance(later.target, str) and isinstance(later.target, Literal):
                raise template_error(f"a constant cannot follow a pipe in {{{{{self.source}}}}}")
        return Pipeline(tuple(commands), variables, declares, self.source)

    def command(self) -> Call:
        operands: list[Operand] = []
        while self.position < len(self.tokens) and not self.peek("|") and not self.peek(")"):
            operands.append(self.operand())
        if not operands:
            raise template_error(f"missing value in {{{{{self.source}}}}}")
        first = operands[0]
        if isinstance(first, Call):  # a bare function name
            return Call(first.target, tuple(operands[1:]))
        return Call(first, tuple(operands[1:]))

    def peek(self, sign: str) -> bool:
        token = self.tokens[self.position] if self.position < len(self.tokens) else None
        return token is not None and token.kind == "sign" and token.text == sign

    def operand(self) -> Operand:
        token = self.tokens[self.position]
        self.position += 1
        if token.kind == "string":
            return Literal(token.text)
        if token.kind == "number":
            return Literal(_number(token.text))
        if token.kind == "word":
            return Literal(_WORDS[token.text]) if token.text in _WORDS else Call(token.text, ())
        if token.kind == "field":
            return self.path(".", token.text, (token.text[1:],))
        if token.kind in ("dot", "variable"):
            return self.path(token.text, token.text, ())
        if token.text == "(":
            return self.parenthesis()
        raise template_error(f"unexpected {token.text!r} in {{{{{self.source}}}}}")

    def parenthesis(self) -> Operand:
        self.depth += 1
        if self.depth > _MOST_NESTED:
            raise template_error("nested too deeply")
        inner = self.pipeline()
        self.depth -= 1
        if not self.peek(")"):
            raise template_error(f"unclosed parenthesis in {{{{{self.source}}}}}")
        self.position += 1
        return self.path(inner, "(...)", ())

    def path(self, start: str | Pipeline, source: str, fields: tuple[str, ...]) -> Path:
        while self.position < len(self.tokens):
            token = self.tokens[self.position]
            if token.kind != "field" or not token.glued or start == "." and not fields:
                break
            fields += (token.text[1:],)
            source += token.text
            self.position += 1
        return Path(start, fields, source)


_WORDS: dict[str, object] = {"true": True, "false": False, "nil": None}


def _number(text: str) -> int | float:
    try:
        return int(text, 0)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError as error:
        raise template_error(f"{text!r} is not a number") from error
