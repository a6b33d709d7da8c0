"""login, logout, pull and serve against real registries."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import REPOSITORY, Program, Pyrt, code_for, environ
from tests.support.parts import need
from tests.support.registries import RunningRegistry, running_registry

USER, PASSWORD = "anna", "pa55:wörd"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    with running_registry(tmp_path_factory.mktemp("guarded") / "registry", htpasswd=(USER, PASSWORD)) as registry:
        yield registry


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def kept(path: Path) -> dict[str, str]:
    """The user names and passwords in a config.json or auth.json, by registry."""
    auths = json.loads(path.read_text())["auths"] if path.exists() else {}
    return {host: base64.b64decode(entry["auth"]).decode() for host, entry in auths.items()}


def log_in(program: Program, home: Path, registry: RunningRegistry, *words: str, password: str = PASSWORD) -> object:
    return program(
        "login", *words, registry.host,
        input=password.encode() + b"\n", stdin=None, env=environ(HOME=str(home), XDG_RUNTIME_DIR=str(home / "run")),
    )  # fmt: skip


def test_login_pull_logout(program: Program, home: Path, guarded: RunningRegistry, layout: Path) -> None:
    home.mkdir()
    guarded.push(layout, "team/old:1", source="docker.io/library/old:1")
    env = environ(HOME=str(home), XDG_RUNTIME_DIR=str(home / "run"))
    refused = program("pull", f"{guarded.host}/team/old:1", env=env)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"login" in refused.stderr

    told = log_in(program, home, guarded, "-u", USER, "--password-stdin")
    assert (told.returncode, told.stdout) == (0, b"Login Succeeded\n"), told.stderr  # type: ignore[attr-defined]
    config = home / ".docker/config.json"
    assert kept(config) == {guarded.host: f"{USER}:{PASSWORD}"}
    assert config.stat().st_mode & 0o077 == 0

    told = program("pull", f"{guarded.host}/team/old:1", env=env)
    assert (told.returncode, told.stdout) == (0, f"{guarded.host}/team/old:1\n".encode())
    told = program("logout", guarded.host, env=env)
    assert told.returncode == 0
    assert f"Removing login credentials for {guarded.host}" in told.stdout.decode()
    assert kept(config) == {}
    assert program("logout", guarded.host, env=env).stdout == f"Not logged in to {guarded.host}\n".encode()


def test_a_wrong_password_is_not_kept_and_not_shown(program: Program, home: Path, guarded: RunningRegistry) -> None:
    home.mkdir()
    told = log_in(program, home, guarded, "-u", USER, "--password-stdin", password="secret-and-wrong")
    assert (told.returncode, told.stdout) == (1, b"")  # type: ignore[attr-defined]
    assert b"secret-and-wrong" not in told.stderr  # type: ignore[attr-defined]
    assert told.stderr.startswith(f"pyrt: {guarded.host}: ".encode())  # type: ignore[attr-defined]
    assert not (home / ".docker/config.json").exists()


def test_another_file_by_option(program: Program, home: Path, guarded: RunningRegistry, tmp_path: Path) -> None:
    home.mkdir()
    words = ("-u", USER, "-p", PASSWORD, "--authfile", f"{tmp_path}/auth.json")
    told = log_in(program, home, guarded, *words)
    assert told.returncode == 0  # type: ignore[attr-defined]
    assert b"--password-stdin" in told.stderr  # type: ignore[attr-defined]
    assert kept(tmp_path / "auth.json") == {guarded.host: f"{USER}:{PASSWORD}"}
    assert not (home / ".docker").exists()


def test_login_asks_on_a_terminal_and_shows_no_password(home: Path, guarded: RunningRegistry, root: Path) -> None:
    home.mkdir()
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(REPOSITORY)
        env = environ(HOME=str(home), XDG_RUNTIME_DIR=str(home / "run"))
        os.execve(sys.executable, [sys.executable, "-m", "pyrt", "--root", str(root), "login", guarded.host], env)
    shown = read_until(master, b"Username: ")
    os.write(master, f"{USER}\n".encode())
    shown += read_until(master, b"Password: ")
    os.write(master, f"{PASSWORD}\n".encode())
    shown += read_until(master, b"Login Succeeded")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(master)
    assert PASSWORD.encode() not in shown
    assert kept(home / ".docker/config.json") == {guarded.host: f"{USER}:{PASSWORD}"}


def read_until(fd: int, text: bytes) -> bytes:
    """What the terminal shows up to ``text``."""
    shown = b""
    while text not in shown:
        shown += os.read(fd, 1024)
    return shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["login", "-u", "x", "-p", "y", "--password-stdin"], "--password and --password-stdin exclude each other"),
        (["login", "--password-stdin"], "--password-stdin needs --username"),
        (["login"], "no terminal to ask on"),
        (["login", "-u", "x", "-p", ""], "must not be empty"),
        (["login", "a", "b"], "'pyrt login' requires at most 1 argument"),
        (["serve", "--listen", "nonsense"], "nonsense"),
        (["serve", "--listen", "127.0.0.1:99999"], "127.0.0.1:99999"),
        (["serve", "x"], "'pyrt serve' accepts no arguments"),
    ],
)
def test_bad_input(program: Program, home: Path, words: list[str], message: str) -> None:
    told = program(*words, env=environ(HOME=str(home)))
    assert (told.returncode, told.stdout) == (code_for(message), b"")
    assert message in told.stderr.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_hands_images_to_others(two_images: Pyrt, root: Path, tmp_path: Path, number: int) -> None:
    need("skopeo")
    argv = [sys.executable, "-m", "pyrt", "--root", str(root), "serve", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY, text=True) as server:
        assert server.stderr is not None
        match = re.fullmatch(r"pyrt: serving (.*) on (127\.0\.0\.1:\d+)\n", server.stderr.readline())
        assert match is not None
        assert match.group(1) == str(root)
        source = f"docker://{match.group(2)}/library/old:1"
        copied = [
            "skopeo",
            "copy",
            "-q",
            "--insecure-policy",
            "--src-tls-verify=false",
            source,
            f"oci:{tmp_path}/out:1",
        ]
        subprocess.run(copied, check=True)
        server.send_signal(number)
        out, err = server.communicate(timeout=30)
    assert out == ""
    assert "GET /v2/library/old/manifests/1" in err
    assert server.returncode == (0 if number == signal.SIGINT else 143)
