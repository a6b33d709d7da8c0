"""The end of a container without a pid namespace: everything of it is gone, whatever it has done to stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pyrt
from pyrt._native import landlock
from pyrt.errors import ContainerTimeout
from pyrt.store.store import Store
from tests.chroot.conftest import REPOSITORY, Run, command

pytestmark = pytest.mark.usefixtures("leakless")

# A daemon as they make it: another session, no parent of ours, all signals ignored.
DAEMON = (
    "(trap '' HUP INT TERM; setsid sh -c '(setsid sh -c \"trap \\\"\\\" HUP INT TERM; while :; do sleep 7; done\" &) &' ) & "
)


def test_exit_codes(run: Run) -> None:
    assert run("exit 7", check=False).returncode == 7
    assert run("kill -TERM $$", check=False).returncode == 143
    assert run("kill -KILL $$", check=False).returncode == 137
    assert run("true").returncode == 0


def test_126_and_127(store_root: Path) -> None:
    for program, code in (("/not/there", 127), ("nowhere", 127), ("/etc/passwd", 126), ("/tmp", 126)):
        done = subprocess.run(command(store_root, "run", "--rm", "busybox", program), cwd=REPOSITORY, capture_output=True)
        assert done.returncode == code, done.stderr


def test_daemons_end_with_the_program(run: Run) -> None:
    assert run(DAEMON * 3 + "sleep 0.3; ps | grep -c 'sleep 7'; exit 3", check=False).returncode == 3


def test_many_generations_end(run: Run) -> None:
    deep = "f() { if [ $1 -gt 0 ]; then (f $(($1 - 1))) & fi; sleep 1000; }; f 60 & sleep 0.5; exit 4"
    begun = time.monotonic()
    assert run(deep, check=False).returncode == 4
    assert time.monotonic() - begun < 20


def test_those_that_multiply_end(run: Run) -> None:
    """Five at any time, each of which starts the next one in another session before it ends."""
    script = "cat > /b <<'E'\nsleep 0.01; setsid sh /b &\nE\nfor i in 1 2 3 4 5; do setsid sh /b & done; sleep 0.3; exit 5"
    assert run(script, check=False).returncode == 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_reach_the_program(store_root: Path, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got; exit 9' {name}; echo ready; while :; do sleep 0.05; done"
    words = command(store_root, "run", "--rm", "busybox", "sh", "-c", script)
    with subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == "got\n"
        assert process.wait() == 9


def test_kill_9_of_pyrt_ends_everything(store_root: Path, tmp_path: Path) -> None:
    script = DAEMON + "echo $$; echo ready; sleep 1000"
    words = command(store_root, "run", "--rm", "busybox", "sh", "-c", script)
    process = subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # The next start removes what the dead one has left of its files.
    subprocess.run(command(store_root, "run", "--rm", "busybox", "true"), cwd=REPOSITORY, check=True)


def test_the_next_start_waits_for_a_keeper_that_is_at_work(store_root: Path) -> None:
    words = command(store_root, "run", "--rm", "busybox", "sh", "-c", DAEMON * 20 + "echo ready; sleep 1000")
    process = subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.kill()
    subprocess.run(command(store_root, "run", "--rm", "busybox", "true"), cwd=REPOSITORY, check=True)
    process.wait()
    process.stdout.close()


def test_a_timeout_ends_everything(store_root: Path) -> None:
    store = Store.open(str(store_root))
    with pytest.raises(ContainerTimeout) as caught:
        pyrt.run("busybox", ["sh", "-c", DAEMON + "echo out; sleep 1000"], store=store, isolation="chroot", timeout=0.7)
    assert caught.value.result.stdout == b"out\n" and caught.value.result.returncode == 137


def test_from_a_thread_that_ends(store_root: Path) -> None:
    """A keeper watches the process and no thread of it."""
    from threading import Thread

    store, results = Store.open(str(store_root)), []

    def body() -> None:
        results.append(pyrt.run("busybox", ["sh", "-c", "echo $PPID; exit 3"], store=store, isolation="chroot"))

    threads = [Thread(target=body) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.returncode for result in results] == [3, 3, 3]


def test_init_reaps_and_ends(run: Run) -> None:
    assert run("(sleep 0.1 &); sleep 0.2; ps | grep -c ' Z ' ; exit 6", "--init", check=False).returncode == 6


def test_fds_of_the_caller_do_not_leak(store_root: Path) -> None:
    store = Store.open(str(store_root))
    pyrt.run("busybox", ["true"], store=store, isolation="chroot")
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        pyrt.run("busybox", ["true"], store=store, isolation="chroot")
        with pytest.raises(pyrt.CommandNotFound):
            pyrt.run("busybox", ["missing"], store=store, isolation="chroot")
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_the_program_has_no_fds_but_its_three(run: Run) -> None:
    assert run("ls /proc/$$/fd | tr '\\n' ' '").stdout.split() == ["0", "1", "2"]


def test_what_a_killed_keeper_leaves_is_ended_by_pyrt(store_root: Path) -> None:
    words = command(store_root, "run", "--rm", "busybox", "sh", "-c", "echo $PPID; " + DAEMON * 3 + "echo ready; sleep 1000")
    process = subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    keeper = int(process.stdout.readline())
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    os.kill(keeper, signal.SIGKILL)
    assert process.wait() == 137
    process.stdout.close()


def test_what_is_left_of_both_is_ended_by_the_next_start(store_root: Path) -> None:
    words = command(store_root, "run", "--rm", "busybox", "sh", "-c", "echo $PPID; " + DAEMON * 3 + "echo ready; sleep 1000")
    process = subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    keeper = int(process.stdout.readline())
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGSTOP)
    os.kill(keeper, signal.SIGKILL)
    process.kill()
    process.wait()
    process.stdout.close()
    subprocess.run(command(store_root, "run", "--rm", "busybox", "true"), cwd=REPOSITORY, check=True)


def test_nobody_outside_can_be_signalled(run: Run) -> None:
    """Landlock's scope of signals (Linux 6.12): neither the keeper, nor anybody else of this machine."""
    if landlock.version() < 6:
        pytest.skip("this kernel's Landlock has no scopes")
    done = run(f"kill -9 $PPID; kill -0 {os.getpid()}; echo on", check=False, timeout=20)
    assert done.stdout == "on\n" and done.stderr.count("Operation not permitted") == 2


def test_terminal(store_root: Path) -> None:
    script = "tty; stty size; cat /proc/self/comm > /dev/tty; test -t 0 && readlink /proc/self/fd/0"
    words = command(store_root, "run", "--rm", "-t", "busybox", "sh", "-c", script)
    reader = "import pty,sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    done = subprocess.run(
        [sys.executable, "-c", reader, *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout.split()[0].startswith("/dev/pts/") and "cat" in done.stdout, done
