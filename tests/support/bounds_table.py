"""docs/bounds.md, made from the code: every bound with what it is, how much, who keeps it, and why.

``python -m tests.support.bounds_table`` writes it; tests/packaging/test_bounds.py holds the file to it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMITS, BOUNDS, DOCS = ROOT / "pyrt/oci/limits.py", ROOT / "csrc/bounds.h", ROOT / "docs/bounds.md"

HEAD = """\
# Bounds

What a registry, an archive, an image or a layer may cost at most. All numbers stand in two files, `pyrt/oci/limits.py` and
`csrc/bounds.h`; this table is made from them (`python -m tests.support.bounds_table`), and a test compares. Whoever needs
another number changes it there: they are no options, because nobody who pulls an image knows beforehand what it will
take.

Beside these: a layer's tree and an image's blobs may fill the disk (a full one is an error that leaves nothing); a blob that
keeps coming may take as long as it needs; memory is at most 256 MB for everything that the tests know as hostile
(`tests/security/test_costs.py`).
"""


@dataclass(frozen=True, kw_only=True)
class Bound:
    section: str
    name: str
    value: str
    why: str
    where: tuple[str, ...]


@cache
def bounds() -> tuple[Bound, ...]:
    return (*_of_python(), *_of_c())


def document() -> str:
    lines = [HEAD]
    for section in dict.fromkeys(bound.section for bound in bounds()):
        lines += [f"## {section}\n", "| bound | at most | why so much | kept by |", "|---|---|---|---|"]
        for bound in bounds():
            if bound.section == section:
                where = ", ".join(f"`{each}`" for each in bound.where)
                lines.append(f"| `{bound.name}` | {bound.value} | {bound.why.replace('|', chr(92) + '|')} | {where} |")
        lines.append("")
    return "\n".join(lines)


def _of_python() -> list[Bound]:
    source = LIMITS.read_text()
    sections = [(source[: match.start()].count("\n") + 1, match[1]) for match in re.finditer(r"^# (.+)$", source, re.M)]
    body = ast.parse(source).body
    found = []
    for statement, text in zip(body, body[1:], strict=False):
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            assert isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant), f"{ast.unparse(statement)}: say why"
            name = statement.targets[0].id
            section = [title for line, title in sections if line < statement.lineno][-1]
            value = shown(name, eval(compile(ast.Expression(statement.value), "limits.py", "eval")))  # noqa: S307
            why = _flat(str(text.value.value))
            found.append(Bound(section=section, name=name, value=value, why=why, where=_users(f"limits.{name}")))
    return found


def _of_c() -> list[Bound]:
    section = "Layers: the parser and the writer"
    parts = list(re.finditer(r"/\*(.*?)\*/|#define (PYRT_\w+) [^\n]+", BOUNDS.read_text(), re.S))
    values = c_values([match[2] for match in parts if match[2]])
    found, comment = [], ""
    for match in parts:
        name = match[2]
        if name is None:
            comment = _flat(match[1])
            continue
        value = values[name]
        text = shown("_BYTES", value) if name.endswith(_MEMORY) else f"{value:,}"
        found.append(Bound(section=section, name=name, value=text, why=comment, where=_users(name)))
    return found


_MEMORY = ("EXTENSION", "PENDING", "DEFERRED", "_BYTES", "XATTR_SIZE")


def c_values(names: list[str]) -> dict[str, int]:
    """The values of macros of bounds.h, by the compiler."""
    lines = "".join(f'printf("%lld\\n", (long long)({name}));' for name in names)
    headers = "".join(f"#include <{header}>\n" for header in ("stddef.h", "stdint.h", "stdio.h"))
    source = f'{headers}#include "bounds.h"\nint main(void) {{ {lines} }}'
    with tempfile.TemporaryDirectory() as where:
        command = ["cc", "-iquote", str(BOUNDS.parent), "-x", "c", "-", "-o", f"{where}/bounds"]
        subprocess.run(command, input=source, text=True, check=True)
        printed = subprocess.run([f"{where}/bounds"], capture_output=True, check=True).stdout
    return dict(zip(names, map(int, printed.split()), strict=True))


def shown(name: str, value: float) -> str:
    if name.endswith("_SECONDS"):
        return f"{value:g} s"
    if name.endswith("_BYTES"):
        for unit, size in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
            if value % size == 0:
                return f"{int(value) // size} {unit}"
        return f"{int(value)} bytes"
    return f"{value:,}"


def _users(name: str) -> tuple[str, ...]:
    folder, suffix = ("csrc", ".c") if name.startswith("PYRT_") else ("pyrt", ".py")
    sources = [path for path in sorted((ROOT / folder).rglob(f"*{suffix}")) if path.parent.name != "fuzz"]
    headers = sorted((ROOT / folder).glob("*.h"))
    files = [path for path in sources if re.search(rf"\b{name}\b", path.read_text())]
    files = files or [path for path in headers if path != BOUNDS and re.search(rf"\b{name}\b", path.read_text())]
    return tuple(str(path.relative_to(ROOT)) for path in files if path != LIMITS)


def _flat(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


if __name__ == "__main__":
    DOCS.write_text(document())
