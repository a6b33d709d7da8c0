"""``pyrt run`` as a program: what goes to which stream, bytes that stay bytes, exit codes. More in tests/run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import Program
from tests.support import images
from tests.support.parts import missing

NAME = "docker.io/library/busybox:latest"


@pytest.fixture(scope="module")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A layout with the busybox image, as an image's name."""
    if os.geteuid() != 0:
        missing("not root")
    folder = tmp_path_factory.mktemp("busybox") / "layout"
    images.write_layout(folder, {NAME: images.busybox()})
    return f"oci:{folder}:{NAME}"


def test_the_streams_of_the_command_are_its_own(program: Program, busybox: str) -> None:
    words = ["sh", "-c", "echo out; echo err >&2"]
    told = program("run", "--rm", busybox, *words)
    assert (told.returncode, told.stdout) == (0, b"out\n")
    assert told.stderr.startswith(b"latest: Pulling from library/busybox\n")
    assert told.stderr.endswith(b": Pull complete\nerr\n")
    told = program("run", "--rm", "busybox", *words)
    assert (told.returncode, told.stdout, told.stderr) == (0, b"out\n", b"err\n")


def test_quiet_pulls_without_a_word(program: Program, busybox: str) -> None:
    told = program("run", "-q", "--rm", busybox, "true")
    assert (told.returncode, told.stdout, told.stderr) == (0, b"", b"")


def test_words_and_variables_stay_bytes(program: Program, busybox: str) -> None:
    raw = b"\xff\xfe \n\xc3\xa4"
    words = [b"run", b"-q", b"--rm", b"-e", b"RAW=" + raw, busybox.encode(), b"sh", b"-c", b'printf "%s|%s" "$1" "$RAW"']
    told = program(*words, b"x", raw)
    assert (told.returncode, told.stdout, told.stderr) == (0, raw + b"|" + raw, b"")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -9 $$; exit 1"], 1),
        (["/nosuch"], 127),
        (["nosuch"], 127),
        (["/etc/passwd"], 126),
        (["/tmp"], 126),
    ],
)
def test_exit_codes(program: Program, busybox: str, words: list[str], code: int) -> None:
    told = program("run", "-q", "--rm", busybox, *words)
    assert told.returncode == code
    if code > 125:
        assert told.stderr.startswith(b"pyrt: ")
        assert told.stderr.count(b"\n") == 1


def test_nothing_is_touched_by_a_command_line_that_is_wrong(program: Program, root: Path, tmp_path: Path) -> None:
    told = program("run", "-v", f"{tmp_path}/new:/x", "--cidfile", f"{tmp_path}/id", "--ulimit", "x", "busybox")
    assert (told.returncode, told.stdout) == (125, b"")
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "id").exists()
    assert not root.exists()


def test_a_dry_run_shows_spec_and_plan_and_leaves_nothing(program: Program, busybox: str, tmp_path: Path) -> None:
    told = program("run", "-q", "--dry-run", "--name", "x", busybox, "echo", "hello")
    assert told.returncode == 0, told.stderr
    shown = json.loads(told.stdout)
    assert shown["spec"]["process"]["args"] == ["echo", "hello"]
    assert shown["plan"]
    assert program("ps", "-aq").stdout == b""


def test_a_container_that_stays_is_listed_inspected_and_removed(program: Program, busybox: str, tmp_path: Path) -> None:
    told = program("run", "-q", "--name", "stays", "--cidfile", f"{tmp_path}/id", "-l", "a=b", busybox, "sh", "-c", "exit 3")
    assert told.returncode == 3
    identifier = (tmp_path / "id").read_text()
    assert program("ps", "-q").stdout == b""
    assert program("ps", "-aq", "--no-trunc").stdout.decode() == f"{identifier}\n"
    assert program("inspect", "-f", "{{.State.ExitCode}} {{.Config.Labels.a}}", "stays").stdout == b"3 b\n"
    again = program("run", "-q", "--name", "stays", busybox, "true")
    assert (again.returncode, again.stdout) == (125, b"")
    assert b"taken" in again.stderr
    assert program("rm", "stays").stdout == b"stays\n"
    assert program("ps", "-aq").stdout == b""
