"""PYRT_STRICT=1: what is a note otherwise is an error, and nothing of what it was about is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyrt.errors import NoteError, UsageError
from pyrt.image_pull import pull
from pyrt.notes import note
from pyrt.store.store import Store
from tests.cli.conftest import Program, Pyrt, environ
from tests.support import images

FOREIGN = "docker.io/library/foreign:1"
SAID = "the image is for linux/s390x, this machine is "
STRICT = "; an error because PYRT_STRICT=1\n"

@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image without an index, for another machine: its pull has something to note."""
    folder = tmp_path_factory.mktemp("foreign") / "layout"
    layer = images.layer(images.tar([images.Entry(name="file", content=b"x")]))
    images.write_layout(folder, {FOREIGN: images.image([layer], platform="linux/s390x")})
    return folder


@pytest.mark.parametrize("quiet", [(), ("-q",)])
def test_a_pull(pyrt: Pyrt, foreign: Path, quiet: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with --quiet, where nobody would have seen the note."""
    words = ["pull", *quiet, f"oci:{foreign}:{FOREIGN}"]
    monkeypatch.setenv("PYRT_STRICT", "1")
    told = pyrt(*words)
    assert (told.code, told.out) == (125, "")
    assert told.err.splitlines(keepends=True)[-1].startswith(f"pyrt: {SAID}")
    assert told.err.endswith(STRICT)
    assert pyrt("images", "-q").out == ""
    for lenient in ("0", ""):
        monkeypatch.setenv("PYRT_STRICT", lenient)
        told = pyrt(*words)
        assert (told.code, told.out) == (0, f"{FOREIGN}\n")
        assert (f"pyrt: note: {SAID}" in told.err) is not bool(quiet)


def test_a_run_that_pulls(pyrt: Pyrt, foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYRT_STRICT", "1")
    told = pyrt("run", f"oci:{foreign}:{FOREIGN}", "true")
    assert told.code == 125
    assert told.err.endswith(STRICT)
    assert pyrt("ps", "-aq").out == ""


def test_a_terminal_that_is_none(program: Program) -> None:
    """Before anything is looked at, let alone started: the lenient one goes on, to what is wrong next."""
    words = ("run", "-it", "--pull", "never", "nothing", "true")
    told = program(*words, env=environ(PYRT_STRICT="1"))
    assert (told.returncode, told.stderr.decode()) == (125, f"pyrt: the input is not a terminal{STRICT}")
    told = program(*words, env=environ(PYRT_STRICT=""))
    assert told.stderr.startswith(b"pyrt: the input is not a terminal\npyrt: ")
    assert told.stderr.count(b"\n") == 2


def test_a_password_that_others_can_see(pyrt: Pyrt, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("login", "-u", "anna", "-p", "secret", "127.0.0.1:9")
    monkeypatch.setenv("PYRT_STRICT", "1")
    told = pyrt(*words)
    assert told.code == 125
    assert told.err == (
        "pyrt: --password can be seen by other users in the list of processes; --password-stdin cannot"
        "; an error because PYRT_STRICT=1\n"
    )
    monkeypatch.delenv("PYRT_STRICT")
    told = pyrt(*words)
    assert told.code == 1
    assert told.err.count("\n") == 2


def test_from_python(store: Store, foreign: Path) -> None:
    """By the environment that the caller hands over."""
    with pytest.raises(NoteError, match=SAID):
        pull(f"oci:{foreign}:{FOREIGN}", store=store, environ={"PYRT_STRICT": "1"})
    assert store.images.list() == ()
    assert pull(f"oci:{foreign}:{FOREIGN}", store=store, environ={})


def test_a_wrong_value(pyrt: Pyrt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYRT_STRICT", "yes")
    told = pyrt("images")
    assert (told.code, told.err) == (125, "pyrt: PYRT_STRICT=yes: neither 0 nor 1\n")
    with pytest.raises(UsageError):
        note("x", None, {"PYRT_STRICT": "2"})


def test_a_note_that_nobody_hears() -> None:
    heard: list[str] = []
    note("x", None, {})
    note("y", heard.append, {})
    assert heard == ["y"]
