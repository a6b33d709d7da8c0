"""./dev, the door on a bare machine, and the Makefile and .ci/run that call it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEV = (ROOT / "dev").read_text()
NOBODY = 65534


def packages() -> dict[str, str]:
    """The table in ``dev``: program or file -> the package that brings it."""
    table = re.search(r"^needs\(\) \{\n.*?<<'END'\n(.*?)^END$", DEV, re.S | re.M)
    assert table is not None
    rows = [line.split() for line in table[1].splitlines()]
    return {what.removeprefix("static:"): package for _, what, package in rows}


def programs(expression: ast.AST) -> set[str]:
    """The words in an expression."""
    return {str(node.value) for node in ast.walk(expression) if isinstance(node, ast.Constant)}


def needed() -> set[str]:
    """Every program that a test names in need(...), or a benchmark in its table of peers."""
    names: set[str] = set()
    for path in [*(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "need":
                names = names.union(*(programs(argument) for argument in node.args))
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NEEDED":
                assert isinstance(node.value, ast.Dict)
                names = names.union(*(programs(value) for value in node.value.values))
    return names


def test_dev_installs_every_program_that_is_needed() -> None:
    # Debian's essential packages, and what comes with the compiler.
    there = {"tar", "gzip", "sh", "bash", "nm", "cp", "mount", "unshare", "setpriv", "script", "nsenter"}
    # One package brings several of them.
    twins = {"getfattr": "setfattr", "getcap": "setcap", "newgidmap": "newuidmap"}
    assert {"umoci", "crun", "aarch64-linux-gnu-gcc"} <= needed()
    for program in needed() - there:
        assert twins.get(program, program) in packages(), f"{program} is not in the table of ./dev"


@pytest.mark.parametrize("script", ["dev"])
def test_a_plain_posix_shell_reads_it(script: str) -> None:
    assert subprocess.run(["sh", "-n", ROOT / script], capture_output=True).returncode == 0


def test_help_is_there_and_an_unknown_command_is_refused() -> None:
    shown = subprocess.run([ROOT / "dev"], capture_output=True, text=True)
    assert shown.returncode == 0 and "./dev demo" in shown.stdout and "./dev test" in shown.stdout
    refused = subprocess.run([ROOT / "dev", "demmo"], capture_output=True, text=True)
    assert refused.returncode == 1 and "demmo" in refused.stderr


def test_not_root_gets_the_line_that_root_must_type() -> None:
    """On a machine without anything: a PATH of four programs, and no Python that is of use."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        for tool in ("dirname", "id", "cat", "apt-get"):
            os.symlink(shutil.which(tool) or f"/usr/bin/{tool}", os.path.join(directory, tool))
        command = ["/bin/sh", shutil.copy(ROOT / "dev", directory), "demo"]
        environment = {"PATH": directory, "PYTHON": "/nonexistent"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, user=NOBODY, group=NOBODY)
        assert not os.path.exists(os.path.join(directory, ".venv"))
    assert done.returncode == 1
    (line,) = re.findall(r"^ +(apt-get update && apt-get install .*)$", done.stderr, re.M)
    assert {"python3", "python3-venv", "python3-dev", "gcc"} <= set(line.split())


def test_the_demo_prints_1(tmp_path: Path) -> None:
    """The whole demo, into a store of its own: twice, the second time from the store."""
    env = {**os.environ, "PYRT_ROOT": str(tmp_path / "store")}
    for _ in range(2):
        done = subprocess.run([ROOT / "dev", "demo"], env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[:2] == ["$ pyrt run busybox sh -c 'echo $$'", "1"]
    assert "in the store already" in done.stderr


def test_make_help_explains_each_target() -> None:
    shown = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True).stdout
    for target in ("setup", "test", "lint", "format", "asan", "fuzz", "bench", "check"):
        assert re.search(rf"^  make {target} {{2,}}\S", shown, re.M), target


def test_ci_calls_dev_test_last() -> None:
    steps = re.findall(r"^step (.*)$", (ROOT / ".ci" / "run").read_text(), re.M)
    assert steps[-1] == "./dev test"
