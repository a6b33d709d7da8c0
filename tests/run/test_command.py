"""``pyrt run`` as it is typed: streams, signals, terminal, exit codes, records."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.terminal import Terminal

REPOSITORY = Path(__file__).parents[2]


def argv(store_root: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "pyrt", "--root", str(store_root), *words]


@pytest.fixture
def start(store, store_root) -> Iterator[object]:
    """Starts ``pyrt run --rm`` with pipes, and ends what a test has left running."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*words: str, **options: object) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen(argv(store_root, "run", "--rm", *words), cwd=REPOSITORY, **pipes)  # type: ignore[call-overload]
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"


def test_the_first_command_of_the_readme(pyrt):
    result = pyrt("run", "busybox", "sh", "-c", "echo $$")
    assert (result.returncode, result.stdout, result.stderr) == (0, "1\n", "")
    listed = pyrt("ps", "-aq", "--no-trunc").stdout.split()
    assert len(listed) == 1
    assert pyrt("rm", listed[0]).returncode == 0


@pytest.mark.parametrize("code", [0, 1, 125, 126, 127, 255])
def test_exit_code_is_the_programs(pyrt, code):
    assert pyrt("run", "--rm", "busybox", "sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("busybox", "nosuch"), 127, "nosuch"),
        (("busybox", "/etc"), 126, "/etc"),
        (("--user", "nobody-here", "busybox", "true"), 125, "nobody-here"),
        (("-v", "relative", "busybox", "true"), 125, "relative"),
        (("--memory", "1g", "busybox", "true"), 125, "--memory"),
        (("--no-such-flag", "busybox", "true"), 125, "--no-such-flag"),
        (("--pull", "never", "not-here", "true"), 125, "not-here"),
        (("UPPER", "true"), 125, "UPPER"),
        (("--hostname", "-x", "busybox", "true"), 125, "-x"),
        (("--mount", "type=bind,source=/not/there,target=/x", "busybox", "true"), 125, "/not/there"),
        (("--workdir", "relative", "busybox", "true"), 125, "relative"),
        (("--ulimit", "nofile=x", "busybox", "true"), 125, "nofile"),
        (("--network", "bridge", "busybox", "true"), 125, "bridge"),
        (("--rootfs", "/not/there", "true"), 125, "/not/there"),
        ((), 125, "run"),
    ],
)
def test_mistakes_get_one_line_and_the_right_code(pyrt, words, code, text):
    result = pyrt("run", "--rm", *words)
    assert result.returncode == code
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("pyrt: ") and text in lines[0], result.stderr


def test_streams_stay_apart_and_clean(start):
    content = bytes(range(256)) * 1000
    process = start("-i", "busybox", "sh", "-c", "cat; echo err >&2")
    out, err = process.communicate(content, timeout=30)
    assert (out, err, process.returncode) == (content, b"err\n", 0)


def test_without_i_stdin_is_empty(start):
    out, _ = start("busybox", "cat").communicate(b"nobody reads this", timeout=30)
    assert out == b""


@pytest.mark.parametrize("name", ["TERM", "HUP", "USR1", "USR2", "INT", "QUIT", "RTMIN"])
def test_lc_02_signals_reach_pid_1(start, name):
    number = signal.SIGRTMIN if name == "RTMIN" else signal.Signals[f"SIG{name}"]
    trap = 34 if name == "RTMIN" else name
    process = start("busybox", "sh", "-c", f"trap 'echo got; exit 42' {trap}; echo ready; while :; do sleep 0.05; done")
    ready(process)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert (out, process.returncode) == (b"got\n", 42)


def test_lc_31_second_interrupt_kills(start):
    process = start("busybox", "sh", "-c", "trap '' INT; echo ready; sleep 60")
    ready(process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 137


def test_lc_07_killed_caller_takes_the_container_along(start, store, pyrt):
    process = start("busybox", "sh", "-c", "echo ready; sleep 3217 & sleep 3217")
    ready(process)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 5
    while _processes("3217"):
        assert time.monotonic() < deadline, "the container outlives its caller"
        time.sleep(0.01)
    assert pyrt("run", "--rm", "busybox", "true").returncode == 0
    assert os.listdir(store.layout.containers) == [], "the next command sweeps what was left"


def test_lc_07_container_that_outlives_its_caller_ends_with_the_next_command(start, pyrt):
    """A change of ids clears the parent-death signal (prctl(2)): su, gosu, and servers that start as root."""
    process = start("busybox", "busybox", "su", "-s", "/bin/sh", "app", "-c", "echo ready; exec sleep 3218")
    ready(process)
    process.kill()
    process.wait()
    assert pyrt("run", "--rm", "busybox", "true").returncode == 0
    assert _processes("3218") == []


def _processes(argument: str) -> list[str]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if argument.encode() in words:
            found.append(pid)
    return found


def test_timeout_ends_it_with_137(pyrt):
    result = pyrt("run", "--rm", "--timeout", "1", "busybox", "sh", "-c", "echo early; sleep 60")
    assert (result.returncode, result.stdout) == (137, "early\n")
    assert "1 s" in result.stderr


def test_xc_14_reader_that_goes_away(store_root, store):
    command = " ".join(argv(store_root, "run", "--rm", "busybox", "sh", "-c", "'yes; true'")) + " | head -n 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, cwd=REPOSITORY)
    assert (result.stdout, result.stderr) == (b"y\n", b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_lc_27_closed_streams_are_no_error(store_root, store, closed):
    command = " ".join(argv(store_root, "run", "--rm", "-i", "busybox", "sh", "-c", "'exit 5'")) + f" {closed}"
    assert subprocess.run(["bash", "-c", command], timeout=60, cwd=REPOSITORY).returncode == 5


def test_environment_options(pyrt, tmp_path):
    (tmp_path / "env").write_text("# comment\nFROM_FILE=a b\nPASSED\n\n")
    result = pyrt(
        "run", "--rm", "-e", "A=1", "--env", "PASSED_TOO", "-e", "NOT_SET", "--env-file", str(tmp_path / "env"),
        "busybox", "env", env={**os.environ, "PASSED": "yes", "PASSED_TOO": "too", "SECRET": "no"},
    )  # fmt: skip
    lines = result.stdout.splitlines()
    assert {"A=1", "FROM_FILE=a b", "PASSED=yes", "PASSED_TOO=too"} <= set(lines)
    assert not any(line.startswith(("SECRET", "NOT_SET")) for line in lines)


def test_options_that_shape_the_container(pyrt, tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "f").write_text("host file")
    result = pyrt(
        "run", "--rm", "-w", "/made", "-u", "app", "--hostname", "shaped", "--add-host", "far:192.0.2.7", "--dns", "192.0.2.1",
        "-v", f"{tmp_path}:/v:ro", "--tmpfs", "/t:size=1m", "--read-only", "--shm-size", "2m", "--entrypoint", "sh",
        "--label", "a=b", "--ulimit", "nofile=99:99", "--cap-drop", "all", "--network", "none", "--init", "busybox", "-c",
        "pwd; id -un; hostname; grep far /etc/hosts; cat /etc/resolv.conf; cat /v/f; echo; ulimit -n; df -m /dev/shm | tail -1",
    )  # fmt: skip
    lines = result.stdout.splitlines()
    assert lines[:4] == ["/made", "app", "shaped", "192.0.2.7\tfar"], result.stderr
    assert "nameserver 192.0.2.1" in lines and "host file" in lines and "99" in lines
    assert lines[-1].split()[1] == "2"


def test_working_directory_that_a_read_only_root_lacks(pyrt):
    assert pyrt("run", "--rm", "--read-only", "-w", "/new/dir", "busybox", "pwd").stdout == "/new/dir\n"


def test_containers_that_stay(pyrt, tmp_path):
    cid = tmp_path / "cid"
    options = ("--name", "kept", "--cidfile", str(cid), "--label", "l=1", "--stop-signal", "INT", "--stop-timeout", "3")
    options += ("--annotation", "org.example.a=b")
    result = pyrt("run", *options, "busybox", "sh", "-c", "echo x > /f; exit 4")
    assert result.returncode == 4
    assert len(cid.read_text()) == 64
    assert "kept" not in pyrt("ps").stdout
    row = pyrt("ps", "-a", "--format", "{{.ID}} {{.Image}} {{.Names}} {{.State}} {{.Status}}").stdout.split()
    assert row[:4] == [cid.read_text()[:12], "busybox", "kept", "exited"] and "(4)" in row[5]
    inspected = json.loads(pyrt("inspect", "kept").stdout)[0]
    assert inspected["Id"] == cid.read_text() and inspected["State"]["ExitCode"] == 4
    assert inspected["Config"]["Labels"] == {"l": "1"} and inspected["Path"] == "sh"
    assert (inspected["Config"]["StopSignal"], inspected["Config"]["StopTimeout"]) == ("INT", 3)
    assert inspected["HostConfig"]["Annotations"] == {"org.example.a": "b"}
    again = pyrt("run", "--name", "kept", "busybox", "true")
    assert again.returncode == 125 and "kept" in again.stderr
    assert pyrt("run", "--cidfile", str(cid), "--rm", "busybox", "true").returncode == 125
    assert pyrt("rm", "kept").stdout == "kept\n"
    gone = pyrt("rm", "kept")
    assert (gone.returncode, gone.stderr.count("\n")) == (1, 1)
    assert pyrt("inspect", "kept").returncode != 0


def test_a_running_container_is_listed_and_removed_by_force(start, pyrt):
    process = start("--name", "busy", "busybox", "sh", "-c", "echo ready; sleep 600")
    ready(process)
    assert pyrt("ps", "--format", "{{.Names}} {{.State}}").stdout == "busy running\n"
    refused = pyrt("rm", "busy")
    assert refused.returncode == 1 and "running" in refused.stderr
    assert pyrt("rm", "-f", "busy").returncode == 0
    assert process.wait(timeout=10) == 137


def test_dry_run_starts_nothing(pyrt, store):
    result = pyrt("run", "--dry-run", "busybox", "echo", "hello")
    document = json.loads(result.stdout)
    assert document["spec"]["process"]["args"] == ["echo", "hello"]
    assert document["plan"]["operations"][-1] == {"op": "pivot"}
    assert os.listdir(store.layout.containers) == []


def test_lc_05_caller_that_ignores_its_children(store_root, store):
    script = "import os,signal,sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execvp(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", script, *argv(store_root, "run", "--rm", "busybox", "sh", "-c", "exit 6")]
    assert subprocess.run(command, timeout=60, cwd=REPOSITORY).returncode == 6


@pytest.mark.parametrize("name", ["HUP", "INT"])
def test_lc_05_a_signal_that_was_ignored_stays_ignored(start, name):
    """nohup, and what a shell without job control does for a job in the background."""
    number = signal.Signals[f"SIG{name}"]
    script = f"trap 'echo got' {name}; trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    process = start("busybox", "sh", "-c", script, preexec_fn=lambda: signal.signal(number, signal.SIG_IGN))
    ready(process)
    process.send_signal(number)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert (out, process.returncode) == (b"", 3)


def test_names_that_are_no_names(pyrt):
    assert pyrt("run", "--name", "pyrt-ab", "busybox", "true").returncode == 0
    listed = pyrt("ps", "-aq").stdout.split()
    assert pyrt("inspect", "pyrt-").returncode == 1, "the beginning of every automatic name is nobody's"
    assert pyrt("inspect", "--format", "{{.Name}}", "pyrt-ab").stdout.endswith("pyrt-ab\n")
    assert pyrt("rm", *listed).returncode == 0


@pytest.fixture
def terminal(store, store_root) -> Iterator[object]:
    opened: list[Terminal] = []

    def on_terminal(*words: str, **options: int) -> Terminal:
        opened.append(Terminal(argv(store_root, "run", "--rm", *words), **options))
        return opened[-1]

    os.environ["PYTHONPATH"] = str(REPOSITORY)
    yield on_terminal
    for one in opened:
        one.close()


def test_terminal_of_its_own(terminal):
    shown = terminal("-it", "busybox", "sh", rows=31, columns=97)
    shown.type("stty size; tty; ls -l /dev/console; echo $TERM $((40+2))\n")
    text = shown.read_until("42\r\n")
    assert "31 97" in text and "/dev/pts/0" in text and "xterm" in text and "/dev/console" in text
    shown.type("exit 11\n")
    assert shown.wait() == 11
    assert shown.is_as_before()


def test_xc_12_window_changes_are_passed_on(terminal):
    shown = terminal("-it", "busybox", "sh", "-c", "trap 'stty size' WINCH; echo up; while :; do sleep 0.05; done")
    shown.read_until("up")
    shown.resize(40, 120)
    shown.read_until("40 120")
    shown.type("\x03")
    assert shown.wait() == 130
    assert shown.is_as_before()


def test_interrupt_on_a_terminal_reaches_the_foreground_job_only(terminal):
    shown = terminal("-it", "busybox", "sh")
    shown.read_until("/ # ")
    shown.type("sleep 60; echo after=$?\n")
    time.sleep(0.5)
    shown.type("\x03")
    shown.type("echo still-$((1+1))\n")
    shown.read_until("still-2")
    shown.type("\x04")
    assert shown.wait() == 0


def test_xc_11_terminal_is_restored_when_the_container_is_killed(terminal, pyrt):
    shown = terminal("-it", "--name", "victim", "busybox", "sh")
    shown.type("echo up-$((1+1))\n")
    shown.read_until("up-2")
    assert pyrt("rm", "-f", "victim").returncode == 0
    assert shown.wait() == 137
    assert shown.is_as_before()


def test_terminal_that_is_hung_up_does_not_spoil_the_record(terminal, pyrt, store):
    shown = Terminal(argv(Path(store.layout.root), "run", "--name", "hung", "-it", "busybox", "sh", "-c",
                          "trap 'echo gone; exit 4' HUP; echo up; while :; do sleep 0.05; done"))  # fmt: skip
    shown.read_until("up")
    os.close(shown.master)
    shown.process.wait(timeout=20)
    os.close(shown._slave)
    assert pyrt("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "hung").stdout == "exited 4\n"
    assert pyrt("rm", "hung").returncode == 0


def test_no_controlling_terminal_without_t(terminal):
    """A container that is given the caller's terminal as stdin may not push keystrokes into it (TIOCSTI)."""
    shown = terminal("-i", "busybox", "sh", "-c", "(: </dev/tty) 2>/dev/null && echo has-one || echo has-none")
    shown.read_until("has-none")
    assert shown.wait() == 0


def test_t_without_a_terminal_says_so_and_works(pyrt):
    result = pyrt("run", "--rm", "-t", "busybox", "sh", "-c", "test -t 1 && echo terminal", text=False)
    assert (result.returncode, result.stdout) == (0, b"terminal\r\n")


def test_end_of_input_with_t_is_passed_on(start):
    process = start("-it", "busybox", "cat")
    out, err = process.communicate(b"typed\n", timeout=30)
    assert process.returncode == 0 and b"typed" in out
    assert b"not a terminal" in err


def test_end_of_input_in_the_middle_of_a_line(start):
    process = start("-it", "busybox", "cat")
    out, _ = process.communicate(b"half a line", timeout=30)
    assert (process.returncode, out.count(b"half a line")) == (0, 2), "once by the echo, once by cat"


def test_output_that_takes_no_more_for_now(start):
    """A pipe that somebody has made non-blocking, as Node does with its own."""
    process = start("-t", "busybox", "sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x; exit 7", preexec_fn=_do_not_block)
    time.sleep(1)
    out, err = process.communicate(timeout=30)
    assert (len(out), process.returncode) == (300000, 7), err


def _do_not_block() -> None:
    os.set_blocking(1, False)


def test_full_output_has_a_reason(store_root, store):
    with open("/dev/full", "wb") as full:
        command = argv(store_root, "run", "--rm", "-t", "busybox", "echo", "x")
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, cwd=REPOSITORY)
    assert (result.returncode, result.stderr) == (125, "pyrt: standard output: No space left on device\n")
