"""What the C of unpacking may not call: anything that takes a path of the machine, ends the process, or speaks."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[2] / "csrc"
BUILD = runpy.run_path(str(CSRC / "build_core.py"))
SOURCES = ["error.c", *BUILD["RESOLVE"], *BUILD["LAYER"]]

PATHS = "open creat mkdir rmdir unlink remove chmod chown lchown symlink link rename mknod mkfifo stat lstat access truncate"
MORE_PATHS = "utime utimes setxattr getxattr lgetxattr opendir chdir chroot mount realpath fopen"
LOUD = "exit _exit abort assert printf fprintf puts perror system popen exec execv signal setenv putenv"
FORBIDDEN = re.compile(rf"(?<![\w.>])({'|'.join(f'{PATHS} {MORE_PATHS} {LOUD}'.split())})\s*\(")


def code(source: str) -> str:
    """The file without its comments and strings."""
    text = (CSRC / source).read_text()
    return re.sub(r'/\*.*?\*/|"(?:[^"\\]|\\.)*"', "", text, flags=re.DOTALL)


@pytest.mark.parametrize("source", SOURCES)
def test_no_call_by_path(source: str) -> None:
    assert FORBIDDEN.findall(code(source)) == []


@pytest.mark.parametrize("source", SOURCES)
def test_no_state_but_constants(source: str) -> None:
    variables = re.findall(r"^static (?!const|inline)[^(\n]*[;=]", code(source), flags=re.MULTILINE)
    assert variables == []


def test_the_search_finds_something() -> None:
    assert FORBIDDEN.findall("if (open(path, 0) < 0) abort ();") == ["open", "abort"]
    assert FORBIDDEN.findall("pyrt_open(x); fstat(fd, &s); writer->open(1); sink.end(2)") == []
