"""Terminals: the caller's cannot be typed into, the container's is its own (CVE-2017-5226, CVE-2025-52565)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import images
from tests.support.terminal import Terminal

REPOSITORY = Path(__file__).parents[2]
Entry = images.Entry


@pytest.fixture
def terminal(store, security_root, monkeypatch) -> Iterator[Callable[..., Terminal]]:
    """``pyrt run --rm ...`` as the leader of a session with a terminal."""
    opened: list[Terminal] = []
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))

    def on_terminal(*words: str, **options: int) -> Terminal:
        argv = [sys.executable, "-m", "pyrt", "--root", str(security_root), "run", "--rm", *words]
        opened.append(Terminal(argv, **options))
        return opened[-1]

    yield on_terminal
    for one in opened:
        one.close()


def answers(shown: Terminal) -> dict[str, object]:
    text = shown.read_until("}\r\n}")
    return json.loads(text[text.index("{") :].replace("#", ""))  # type: ignore[no-any-return]  # "#" is what was typed


def test_ct_42_the_callers_terminal_is_not_typed_into(terminal):
    """On a kernel that still has TIOCSTI: the terminal is on 0, 1 and 2, and no keystroke gets in."""
    shown = terminal("-i", "prober", "terminal")
    found = answers(shown)["terminal"]
    assert found["is_one"] == 0
    for act in ("tiocsti", "tiocsti elsewhere", "tioclinux", "take", "take by force"):
        assert found[act] != 0, (act, found)
    assert shown.wait() == 0


def test_ct_42_a_terminal_of_its_own_can_do_what_it_wants(terminal):
    """The benign twin, and the attack that works where one has the terminal: legacy_tiocsti decides."""
    legacy = Path("/proc/sys/dev/tty/legacy_tiocsti")
    allowed = not legacy.exists() or legacy.read_text().strip() == "1"
    shown = terminal("-it", "prober", "terminal", rows=33, columns=99)
    found = answers(shown)["terminal"]
    assert (found["rows"], found["columns"]) == (33, 99)
    assert (found["tiocsti"] == 0) == allowed
    assert shown.wait() == 0


def test_ct_43_the_terminal_is_the_containers(terminal):
    shown = terminal("-it", "prober", "process", "fds", "devices")
    found = answers(shown)
    assert set(found["fds"].values()) == {"/dev/pts/0"} and found["controlling_tty"] == 0
    assert found["dev"]["/dev/console"].startswith("c 136:0 0620 ")
    assert found["dev"]["/dev/pts/0"] == found["dev"]["/dev/console"]
    assert {path for path in found["dev"] if path.startswith("/dev/pts/")} == {"/dev/pts/0", "/dev/pts/ptmx"}
    assert shown.wait() == 0


TRAPS = {
    "console-link": [Entry(name="dev/console", kind="sym", link="/etc/passwd")],
    "console-file": [Entry(name="dev/console", content=b"file")],
    "ptmx-link": [Entry(name="dev/ptmx", kind="sym", link="/proc/sysrq-trigger")],
    "pts-link": [Entry(name="dev/pts", kind="sym", link="../../../../dev/pts")],
    "pts-file": [Entry(name="dev/pts", kind="dir"), Entry(name="dev/pts/0", kind="sym", link="/proc/sys/kernel/core_pattern")],
}


@pytest.mark.parametrize("trap", TRAPS)
def test_ct_20_what_an_image_puts_into_dev_is_covered(make, command, trap):
    script = "tty; stat -c '%t:%T' /dev/console /dev/pts/0 | sort -u; readlink /dev/ptmx; cat /proc/self/mountinfo"
    result = command("-t", make(*TRAPS[trap]), "sh", "-c", script)
    lines = result.stdout.decode().split("\r\n")
    assert lines[:3] == ["/dev/pts/0", "88:0", "pts/ptmx"], result
    roots = {line.split()[3] for line in lines[3:] if " /dev" in line}
    assert roots <= {"/", "/0", "/null"}, roots


@pytest.mark.parametrize("kind", ["link", "file", "directory"])
def test_ct_20_a_volume_in_the_place_of_the_terminal(store, command, tmp_path, kind):
    """Refused, or the terminal is what it seems; never something of the host's."""
    place = tmp_path / "place"
    if kind == "link":
        place.symlink_to("/proc/sys/kernel/core_pattern")
    elif kind == "file":
        place.write_text("content")
    else:
        place.mkdir()
    for target in ("/dev/console", "/dev/pts", "/dev/pts/0", "/dev/ptmx"):
        result = command("-t", "-v", f"{place}:{target}", "busybox", "sh", "-c", "tty; cat /proc/self/mountinfo")
        if result.returncode == 0:
            assert result.stdout.startswith(b"/dev/pts/0\r\n"), result
        else:
            assert result.returncode == 125 and result.stderr.count(b"\n") == 1, result
    assert kind != "file" or place.read_text() == "content"


def test_ct_20_a_dev_of_the_callers_has_no_terminal(store, command, tmp_path):
    result = command("-t", "-v", f"{tmp_path}:/dev", "busybox", "true")
    assert result.returncode == 125 and b"/dev" in result.stderr and os.listdir(tmp_path) == []
