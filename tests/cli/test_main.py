"""The program as a whole: exit codes, one line per error, signals, pipes, help, completion, and what it imports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrt._version import VERSION
from pyrt.cli.main import command, main
from pyrt.cli.message import complaint, failure, one_line
from pyrt.errors import PyrtError
from tests.cli.conftest import REPOSITORY, Program, Pyrt, environ

PATHS = [
    (),
    *((name,) for name in sorted(command.modules)),
    *(("container", name) for name in ("inspect", "ls", "rm", "run")),
    *(("image", name) for name in ("inspect", "ls", "prune", "pull", "rm", "tag")),
    ("system", "info"),
]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], "unknown command: nosuch; see 'pyrt --help'"),
        (["imags"], "unknown command: imags; did you mean 'pyrt images'?"),
        (["image", "nosuch"], "unknown command: image nosuch; see 'pyrt image --help'"),
        (["--nosuch"], "unknown flag: --nosuch; see 'pyrt --help'"),
        (["-x"], "unknown shorthand flag: 'x'; see 'pyrt --help'"),
        (["--debug=maybe"], 'invalid argument "maybe" for --debug: must be true or false; see \'pyrt --help\''),
        (["--root"], "flag needs an argument: --root; see 'pyrt --help'"),
        (["image", "--nosuch"], "unknown flag: --nosuch; see 'pyrt image --help'"),
        (["run", "--nosuch"], "unknown flag: --nosuch; see 'pyrt run --help'"),
        (["run", "-X", "i"], "unknown shorthand flag: 'X'; see 'pyrt run --help'"),
        (["run"], "'pyrt run' requires at least 1 argument; see 'pyrt run --help'"),
        (["container", "run"], "'pyrt container run' requires at least 1 argument; see 'pyrt container run --help'"),
        (["run", "--name"], "flag needs an argument: --name; see 'pyrt run --help'"),
        (["version", "x"], "'pyrt version' accepts no arguments; see 'pyrt version --help'"),
        (["help", "nosuch"], "unknown command: nosuch; see 'pyrt --help'"),
        (["trust", "x"], "trust: not supported by this version (images are pulled, not built)"),
        (["run", "Bad\nname"], "invalid reference 'Bad\\nname': repository name 'Bad\\nname' must be lowercase"),
        (["run", "-v", "x\x1b[31m", "i"], None),
    ],
)  # fmt: skip
def test_one_line_and_the_right_code(pyrt: Pyrt, words: list[str], message: str | None) -> None:
    told = pyrt(*words)
    assert (told.code, told.out) == (1 if words[0] == "help" else 125, "")
    assert told.err.startswith("pyrt: ")
    assert told.err.count("\n") == 1
    assert told.err.rstrip("\n").isprintable()
    if message is not None:
        assert told.err == f"pyrt: {message}\n"


@given(st.text())
def test_messages_are_one_printable_line(text: str) -> None:
    shown = one_line(text)
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)
    shown.encode()  # no surrogates


def test_hints_follow_a_semicolon() -> None:
    assert failure(PyrtError("image x: not here", hint="pyrt pull x")) == "pyrt: image x: not here; pyrt pull x"
    assert failure(PyrtError("image x: not here")) == "pyrt: image x: not here"
    assert complaint("a\nb\t\r\x00\x7f\u202e\udcff") == "pyrt: a\\nb\\t\\r\\x00\\x7f\\u202e\\xff"


def test_debug_shows_where_and_which_way(pyrt: Pyrt) -> None:
    told = pyrt("--debug", "inspect", "--type", "image", "nosuch")
    assert told.err.startswith(f"pyrt: debug: pyrt {VERSION}, way: Python ")
    told = pyrt("--debug", "tag", "nosuch", "x")
    assert "Traceback" in told.err
    assert told.err.endswith("pyrt: image nosuch: not in the store; pyrt pull nosuch\n")
    assert "Traceback" not in pyrt("tag", "nosuch", "--debug").err


def test_an_error_of_our_own_is_one_line_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--root", f"{tmp_path}/file/below", "images"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("pyrt: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize("words", [["--version"], ["-v"]])
def test_version_flag(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out == f"pyrt version {VERSION}\n"


def test_version(pyrt: Pyrt) -> None:
    assert pyrt("version", "--format", "{{.Server.Version}}").out == f"{VERSION}\n"
    assert pyrt("version", "-f", "{{.Client.Os}}/{{.Client.Arch}}").out.startswith("linux/")
    assert pyrt("version", "--format", "json").out.startswith('{"Client":{"Version":"')
    assert pyrt("version").lines[0] == "Client: pyrt"


def test_info(pyrt: Pyrt, root: Path) -> None:
    assert pyrt("info", "--format", "{{.DockerRootDir}}").out == f"{root}\n"
    assert pyrt("info", "-f", "{{.Containers}} {{.Images}} {{.OSType}}").out == "0 0 linux\n"
    assert " Networks: host, none (default: host)" in pyrt("info").lines
    assert pyrt("info", "--format", "json").out.startswith('{"')
    assert pyrt("system", "info").out == pyrt("info").out


@pytest.mark.parametrize("path", PATHS)
def test_help_reads_well_in_80_columns(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith("Usage:  pyrt")
    assert "..." not in text.partition("Commands:")[2]
    if path != ("help",):
        assert main(["help", *path]) == 0
        assert capsys.readouterr().out == text


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["image"], ["container"]):
        assert main(words) == 0
        assert capsys.readouterr().out.startswith("Usage:  pyrt")


def test_the_root_by_option_and_by_variable(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "pyrt", "info", "--format", "{{.DockerRootDir}}"]
    told = subprocess.run(words, env=environ(PYRT_ROOT=f"{tmp_path}/a"), capture_output=True, text=True, cwd=REPOSITORY)
    assert told.stdout == f"{tmp_path}/a\n"


def test_a_closed_pipe_is_no_error(program: Program) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        told = program("help", "run", stdout=write, capture_output=False, stderr=subprocess.PIPE)
    finally:
        os.close(write)
    assert (told.returncode, told.stderr) == (141, b"")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_it_with_their_exit_code(root: Path, number: int, code: int) -> None:
    words = [sys.executable, "-m", "pyrt", "--root", str(root), "login", "-u", "x", "--password-stdin", "127.0.0.1:9"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPOSITORY
    ) as process:
        wait_until_it_reads(process.pid)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (code, b"", b"")


def wait_until_it_reads(pid: int) -> None:
    """Until the process sleeps in read(2) of its stdin."""
    for _ in range(400):
        try:
            if Path(f"/proc/{pid}/syscall").read_text().startswith(("0 0x0 ", "63 0x0 ")):
                return
        except OSError:
            pass
        time.sleep(0.025)
    raise AssertionError("it does not wait for its stdin")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pyrt ima", {"images", "image"}),
        ("pyrt image in", {"inspect"}),
        ("pyrt run --net", {"--network"}),
        ("pyrt run --rm --read", {"--read-only"}),
        ("pyrt run ol", {"old:1"}),
        ("pyrt run --name x ol", {"old:1"}),
        ("pyrt run old:1 ol", set()),
        ("pyrt rmi old:1 registry", {"registry.example:5000/team/new:latest"}),
        ("pyrt help ru", {"run"}),
    ],
)
def test_completion(two_images: Pyrt, program: Program, root: Path, words: str, expected: set[str]) -> None:
    typed = words.split()
    more = {"_PYRT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(typed) - 1)}
    argv = [sys.executable, "-m", "pyrt"]
    env = environ(PYRT_ROOT=str(root), **more)
    told = subprocess.run(argv, env=env, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    found = {line.partition(",")[2] for line in told.stdout.splitlines() if line}
    assert told.stderr == ""
    assert expected <= found if expected else not found & {"old:1"}
    assert all(word.startswith(typed[-1]) for word in found)


def test_completion_scripts(program: Program) -> None:
    for shell in ("bash", "zsh", "fish"):
        told = program(env=environ(_PYRT_COMPLETE=f"{shell}_source"))
        assert told.returncode == 0
        assert b"_PYRT_COMPLETE" in told.stdout


@pytest.mark.parametrize("words", [["run", "--help"], ["run", "-m", "1"], ["run", "-v", "/a:/b", "Bad"], ["version"]])
def test_only_what_is_used_is_imported(words: list[str], tmp_path: Path) -> None:
    code = "import sys; from pyrt.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    argv = [sys.executable, "-c", code, "--root", str(tmp_path), *words]
    told = subprocess.run(argv, capture_output=True, text=True, cwd=REPOSITORY, check=True)
    loaded = set(told.stderr.splitlines()[-1].split())
    assert not loaded & {"httpx", "rich", "ssl", "subprocess", "logging", "pathlib", "pyrt.cli.images", "email"}
