"""The direction of imports (ARCHITECTURE.md): a house in which nobody calls upstairs."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import busybox

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "pyrt").rglob("*.py"))

# Floor by floor, from the top. Rooms of one floor never import each other.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli",),
    ("__init__",),
    ("machine_info",),
    ("container_run", "store_check", "apparmor_userns", "kernel_features"),
    ("image_restore",),
    ("image_pull",),
    ("container",),
    ("local_image", "resolution", "obstacles"),
    ("refusals",),
    ("remedies",),
    ("machine",),
    ("registry", "store", "runtime"),
    ("worker",),
    ("ladder",),
    ("subordinate",),
    ("_native", "host", "cgroupfs"),
    ("plan",),
    ("oci", "request"),
    ("isolation", "ids", "notes"),
    ("errors",),
    ("values", "overlay", "_version"),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

# Types only: an error carries a value of the floor above it.
UPWARD_FOR_TYPES = {("errors", "request")}

ONLY_IMPORTER = {"httpx": "registry", "click": "cli", "rich": "cli", "cffi": "_native", "_cffi_backend": "_native"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """The part of the house that a module is in: "oci" for pyrt.oci.digest, "__init__" for pyrt itself."""
    return module.split(".")[1] if "." in module else "__init__"


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, also inside functions, and whether for types only."""
    for statement, typing_only in _statements(ast.parse(path.read_text()), False):
        if isinstance(statement, ast.Import):
            yield from ((alias.name, typing_only) for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, f"{path}: a relative import"
            module = statement.module or ""
            for alias in statement.names:
                inner = f"{module}.{alias.name}"
                is_module = module.split(".")[0] == "pyrt" and _exists(inner)
                yield (inner if is_module else module), typing_only


def _exists(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file() or module == "pyrt._native._core"


def _statements(node: ast.AST, typing_only: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        yield child, typing_only
        guarded = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        yield from _statements(child, typing_only or guarded)


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_imports_run_downstairs(path: Path) -> None:
    here = room(module_name(path))
    for imported, typing_only in imports(path):
        if imported.split(".")[0] != "pyrt" or room(imported) == here:
            continue
        there = room(imported)
        assert {here, there} <= set(FLOOR_OF), f"give pyrt.{here} and pyrt.{there} a floor, here and in ARCHITECTURE.md"
        if typing_only and (here, there) in UPWARD_FOR_TYPES:
            continue
        assert FLOOR_OF[there] > FLOOR_OF[here], f"{module_name(path)} imports {imported}, which is not below it"


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_each_package_has_one_importer(path: Path) -> None:
    for imported, _ in imports(path):
        owner = ONLY_IMPORTER.get(imported.split(".")[0])
        assert owner in (None, room(module_name(path))), f"only pyrt.{owner} may import {imported}"
        if imported == "pyrt._native._core":
            assert room(module_name(path)) == "_native"


def test_the_rules_see_a_wrong_import(tmp_path: Path) -> None:
    source = tmp_path / "wrong.py"
    source.write_text("def f():\n from pyrt import errors\nif TYPE_CHECKING:\n from pyrt.oci.digest import Digest\n")
    assert list(imports(source)) == [("pyrt.errors", False), ("pyrt.oci.digest", True)]


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path.relative_to(ROOT)} has no docstring"


def loaded_by(statements: str, **variables: str) -> set[str]:
    """The modules that a new interpreter has after these statements and had not before."""
    script = f"import sys\nbefore = set(sys.modules)\n{statements}\nprint(*set(sys.modules) - before)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, check=True, capture_output=True, text=True)
    return set(done.stdout.split())


NEVER = {"httpx", "click", "rich", "isal", "asyncio", "ssl", "http.client", "urllib.request"}


def test_import_pyrt_is_light() -> None:
    loaded = loaded_by("import pyrt")
    assert "pyrt" in loaded
    assert not loaded & (NEVER | {"subprocess", "typing", "dataclasses", "cffi", "_cffi_backend"})


def test_a_run_of_a_cached_image_is_light(tmp_path: Path) -> None:
    busybox.write_layout(str(tmp_path / "layout"))
    store = str(tmp_path / "store")
    loaded_by(f"import pyrt\npyrt.pull({f'oci:{tmp_path}/layout:{busybox.REFERENCE}'!r})", PYRT_ROOT=store)
    loaded = loaded_by("import pyrt\nassert pyrt.run('busybox', ['true']).returncode == 0", PYRT_ROOT=store)
    assert "pyrt.runtime.process" in loaded
    assert not loaded & (NEVER | {"cffi", "pyrt.registry"})
