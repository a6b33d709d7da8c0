"""Go templates for ``--format``: ``{{.State.Status}}``, ``{{json .Config}}``, ``{{range .Mounts}}...{{end}}``.

The subset that scripts use; what is left out is refused by name. Source: pkg.go.dev/text/template and docker's
"Format command and log output".
"""

from __future__ import annotations

from pyrt.cli.go_values import NO_VALUE, Map, go_text, is_true, kind
from pyrt.cli.template_functions import FUNCTIONS
from pyrt.cli.template_lexer import template_error
from pyrt.cli.template_parser import Branch, Call, Literal, Node, Operand, Path, Pipeline, parse
from pyrt.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pyrt.cli.template_functions import Function

_MISSING = object()


class Template:
    """A parsed template, to be filled in many times. Raises UsageError where the text is no template."""

    def __init__(self, text: str, functions: Mapping[str, Function] = FUNCTIONS) -> None:
        self.nodes = parse(text)
        self.functions = functions

    def fill(self, data: object) -> str:
        """The text for ``data`` (see go_values). Raises UsageError, "template parsing error: ..." as docker says."""
        parts: list[str] = []
        _Filler(self.functions, data, parts).run(self.nodes, data)
        return "".join(parts)


class _Filler:
    def __init__(self, functions: Mapping[str, Function], root: object, parts: list[str]) -> None:
        self.functions = functions
        self.parts = parts
        self.variables: list[tuple[str, object]] = [("$", root)]

    def run(self, nodes: Sequence[Node], dot: object) -> None:
        """Writes the nodes; variables that they declare end with them."""
        known = len(self.variables)
        for node in nodes:
            if isinstance(node, str):
                self.parts.append(node)
            elif isinstance(node, Branch):
                self.branch(node, dot)
            else:
                value = self.pipeline(node, dot)
                if node.variables:
                    self.bind(node, node.variables[0], value)
                else:
                    self.parts.append(go_text(value))
        del self.variables[known:]

    def branch(self, node: Branch, dot: object) -> None:
        known = len(self.variables)
        value = self.pipeline(node.pipeline, dot)
        if node.kind == "range":
            self.loop(node, value, dot)
        else:
            for name in node.pipeline.variables:
                self.bind(node.pipeline, name, value)
            if is_true(value):
                self.run(node.body, value if node.kind == "with" else dot)
            else:
                self.run(node.otherwise, dot)
        del self.variables[known:]

    def loop(self, node: Branch, value: object, dot: object) -> None:
        items = list(_items(value))
        if not items:
            self.run(node.otherwise, dot)
        for key, item in items:
            known = len(self.variables)
            names = node.pipeline.variables
            for name, bound in zip(names, (key, item) if len(names) == 2 else (item,), strict=False):
                self.bind(node.pipeline, name, bound)
            self.run(node.body, item)
            del self.variables[known:]

    def bind(self, pipeline: Pipeline, name: str, value: object) -> None:
        if pipeline.declares:
            self.variables.append((name, value))
            return
        for position in range(len(self.variables) - 1, -1, -1):
            if self.variables[position][0] == name:
                self.variables[position] = (name, value)
                return
        raise template_error(f"undefined variable {name!r}")

    def pipeline(self, pipeline: Pipeline, dot: object) -> object:
        value: object = _MISSING
        for command in pipeline.commands:
            value = self.call(command, dot, value)
        return value

    def call(self, command: Call, dot: object, piped: object) -> object:
        target = command.target
        if isinstance(target, str):
            return self.function(target, command.arguments, dot, piped)
        value = self.operand(target, dot, called=True)
        if callable(value):
            return _invoke(target, value, self.evaluated(command.arguments, dot, piped))
        if command.arguments or piped is not _MISSING:
            raise template_error(f"<{_source(target)}> is no function, and has arguments")
        return value

    def function(self, name: str, arguments: Sequence[Operand], dot: object, piped: object) -> object:
        if name in ("and", "or"):
            return self.decide(name, arguments, dot, piped)
        function = self.functions.get(name)
        if function is None:
            raise template_error(f"function {name!r} not defined")
        return _invoke(Call(name, ()), function, self.evaluated(arguments, dot, piped))

    def decide(self, name: str, arguments: Sequence[Operand], dot: object, piped: object) -> object:
        value = piped
        for argument in arguments:
            value = self.operand(argument, dot)
            if is_true(value) == (name == "or"):
                return value
        value = value if piped is _MISSING else piped
        if value is _MISSING:
            raise template_error(f"missing argument for {name}")
        return value

    def evaluated(self, arguments: Sequence[Operand], dot: object, piped: object) -> list[object]:
        values = [self.operand(argument, dot) for argument in arguments]
        return values if piped is _MISSING else [*values, piped]

    def operand(self, operand: Operand, dot: object, *, called: bool = False) -> object:
        if isinstance(operand, Literal):
            return operand.value
        if isinstance(operand, Call):
            return self.function(str(operand.target), operand.arguments, dot, _MISSING)
        value = self.start(operand, dot)
        for position, name in enumerate(operand.fields):
            value = _field(value, name, operand.source)
            if callable(value) and not (called and position == len(operand.fields) - 1):
                value = _invoke(operand, value, [])
        return value

    def start(self, path: Path, dot: object) -> object:
        if isinstance(path.start, Pipeline):
            return self.pipeline(path.start, dot)
        if path.start == ".":
            return dot
        for name, value in reversed(self.variables):
            if name == path.start:
                return value
        raise template_error(f"undefined variable {path.start!r}")


def _field(value: object, name: str, source: str) -> object:
    if isinstance(value, Map):
        return value.get(name, NO_VALUE)
    if isinstance(value, dict) and name in value:
        return value[name]
    if value is None or value is NO_VALUE:
        raise template_error(f"at <{source}>: nothing there to have a field {name!r}")
    raise template_error(f"at <{source}>: can't evaluate field {name} in type {kind(value)}")


def _items(value: object) -> Iterable[tuple[object, object]]:
    if value is None or value is NO_VALUE:
        return ()
    if isinstance(value, (list, tuple)):
        return enumerate(value)
    if isinstance(value, Map):
        return ((key, value[key]) for key in sorted(value))
    raise template_error(f"range can't iterate over {go_text(value)}")


def _invoke(target: Operand, function: Function, arguments: list[object]) -> object:
    try:
        return function(*arguments)
    except UsageError:
        raise
    except TypeError as error:
        raise template_error(f"wrong number of arguments for {_source(target)}") from error


def _source(target: Operand) -> str:
    if isinstance(target, Path):
        return target.source
    return str(target.target if isinstance(target, Call) else target.value)
