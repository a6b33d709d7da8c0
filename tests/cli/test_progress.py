"""What a person sees of a pull: docker's words, plain lines in a log, moving lines on a terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import pytest

from pyrt.cli.progress import PullProgress, TerminalProgress, watcher
from pyrt.store.progress import PullEvent

COLOUR = r"\x1b\[[0-9;]*[39][0-7]m"
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64

EVENTS = [
    PullEvent(kind="resolved", digest="sha256:" + "a" * 64, text="docker.io/library/busybox:latest"),
    PullEvent(kind="exists", digest="sha256:" + "0" * 64),
    PullEvent(kind="start", digest=ONE, total=2_000_000),
    PullEvent(kind="start", digest=TWO),
    PullEvent(kind="download", digest=ONE, current=1_000_000, total=2_000_000),
    PullEvent(kind="note", text="a \x1b[31mnote [bold]x[/bold]"),
    PullEvent(kind="download", digest=TWO, current=1_500),
    PullEvent(kind="unpack", digest=ONE, current=3_000_000),
    PullEvent(kind="done", digest=ONE),
    PullEvent(kind="done", digest=TWO),
]


def test_one_plain_line_for_each_layer_in_a_log() -> None:
    stream = io.StringIO()
    display = watcher(stream)
    for event in EVENTS:
        display(event)
    display.finish()
    assert type(display) is PullProgress
    assert stream.getvalue().splitlines() == [
        "latest: Pulling from library/busybox",
        "000000000000: Already exists",
        "pyrt: note: a \\x1b[31mnote [bold]x[/bold]",
        "111111111111: Pull complete",
        "222222222222: Pull complete",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("ghcr.io/org/tool:2", "2: Pulling from org/tool"),
        (f"docker.io/library/x@{ONE}", f"{ONE}: Pulling from library/x"),
        ("what\x1bever", "Pulling from what\\x1bever"),
    ],
)
def test_where_from(text: str, line: str) -> None:
    stream = io.StringIO()
    watcher(stream)(PullEvent(kind="resolved", text=text))
    assert stream.getvalue() == f"{line}\n"


def on_a_terminal(events: list[PullEvent], monkeypatch: pytest.MonkeyPatch, **environ: str) -> str:
    """What a terminal of 80 columns gets."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with terminal() as (stream, shown):
        display = watcher(stream)
        assert isinstance(display, TerminalProgress)
        for event in events:
            display(event)
            if display.live is not None:
                display.live.refresh()
        assert display.live is None  # the last "done" has ended it
    return b"".join(shown).decode()


@contextmanager
def terminal() -> Iterator[tuple[TextIO, list[bytes]]]:
    """A stream to a terminal; at the end the list has what the terminal got."""
    master, slave = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # EIO: the other side is closed
            while data := os.read(master, 4096):
                shown.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(slave, "w") as stream:
        yield stream, shown
    reader.join()
    os.close(master)


def plain(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


def test_moving_lines_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = on_a_terminal(EVENTS, monkeypatch)
    assert "111111111111: Downloading" in plain(shown)
    assert "1MB/2MB" in plain(shown)
    assert "222222222222: Downloading" in plain(shown)
    assert "1.5kB" in plain(shown)
    assert "111111111111: Extracting" in plain(shown)
    assert "pyrt: note: a \\x1b[31mnote [bold]x[/bold]" in plain(shown)
    assert plain(shown).rstrip().endswith("222222222222: Pull complete")
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is there again


def test_no_colour_where_nobody_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.search(COLOUR, on_a_terminal(EVENTS, monkeypatch))
    assert not re.search(COLOUR, on_a_terminal(EVENTS, monkeypatch, NO_COLOR="1"))


def test_an_interrupted_pull_gives_the_terminal_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with terminal() as (stream, parts):
        display = watcher(stream)
        display(EVENTS[2])
        display.finish()
        display.finish()
    shown = b"".join(parts).decode()
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_rich_is_for_terminals_only() -> None:
    stream = io.StringIO()
    loaded = "rich" in sys.modules
    for event in EVENTS:
        watcher(stream)(event)
    assert ("rich" in sys.modules) == loaded
