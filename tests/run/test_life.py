"""The life of a container between odd callers, odd machines and odd moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyrt.container_run import run
from pyrt.errors import CommandNotExecutable, PyrtError, UsageError
from pyrt.host import start_time
from pyrt.request import Mount
from pyrt.store import orphans
from tests.support.terminal import Terminal

REPOSITORY = Path(__file__).parents[2]
DAEMON = "/bin/busybox sleep 98765"  # by its path, or the shell would do it itself, under its own name


def argv(store_root: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "pyrt", "--root", str(store_root), *words]


def running(command: str) -> int:
    """How many processes of the machine have these words as their command line."""
    found = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found += Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").strip() == command.encode()
        except OSError:
            continue
    return found


def test_lc_09_daemons_end_with_pid_1(busybox):
    start = f"for i in 1 2 3; do (setsid {DAEMON} >/dev/null 2>&1 &) ; done; sleep 0.5"
    script = f"{start}; ps -o args | grep -c '^{DAEMON}'; exit 3"
    result = busybox(script)
    assert (result.returncode, result.stdout) == (3, b"3\n")
    assert running(DAEMON) == 0


def test_lc_09_daemons_end_with_a_timeout_too(store):
    with pytest.raises(PyrtError, match="killed"):
        run("busybox", ["sh", "-c", f"setsid {DAEMON} & sleep 1000"], store=store, timeout=0.5)
    assert running(DAEMON) == 0


def test_lc_24_a_program_that_ends_at_once_on_a_terminal(store_root, store):
    for code in range(10):
        terminal = Terminal(argv(store_root, "run", "--rm", "-it", "busybox", "sh", "-c", f"echo quick; exit {code}"))
        try:
            terminal.read_until("quick")
            assert terminal.wait() == code
            assert terminal.is_as_before()
        finally:
            terminal.close()


def test_lc_23_xc_18_a_pid_that_is_somebody_elses_now_is_left_alone():
    process = subprocess.Popen(["sleep", "100"])
    try:
        birth = start_time(process.pid)
        for wrong in (birth + 1, birth - 1, 0):
            orphans.end(process.pid, wrong)
        assert process.poll() is None
        orphans.end(process.pid, birth)
        assert process.wait(10) == -signal.SIGKILL
        orphans.end(process.pid, birth)  # and one that is gone is no error
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "shape",
    [
        "mount -t tmpfs none /sys/fs/cgroup",
        "mount --bind -o ro /sys/fs/cgroup /sys/fs/cgroup; mount -o remount,bind,ro /sys/fs/cgroup",
        "mount -t tmpfs none /dev/pts",
        "mount -o remount,hidepid=2 /proc",
        "umount -l /sys || mount -t tmpfs none /sys",
        "mount -o remount,ro,bind /proc || mount --bind /proc /proc && mount -o remount,ro,bind /proc",
    ],
    ids=["no cgroups", "cgroups read-only", "no devpts", "hidepid", "no sysfs", "proc read-only"],
)
def test_lc_25_machines_of_odd_shapes(store, store_root, shape):
    command = " ".join(argv(store_root, "run", "--rm", "busybox", "echo", "works"))
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"({shape}) 2>/dev/null; exec {command}"]
    result = subprocess.run(words, capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
    assert (result.stdout, result.stderr, result.returncode) == ("works\n", "", 0)


def test_lc_25_without_procfs_there_is_one_clear_line(store, store_root):
    command = " ".join(argv(store_root, "run", "--rm", "busybox", "true"))
    words = ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs none /proc; exec {command}"]
    result = subprocess.run(words, capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
    assert result.returncode == 125 and result.stdout == ""
    assert result.stderr.splitlines()[0].startswith("pyrt: /proc: no procfs")
    assert "Traceback" not in result.stderr


def test_lc_27_no_environment_at_all(store, store_root):
    words = ["env", "-i", f"PYTHONPATH={REPOSITORY}", *argv(store_root, "run", "--rm", "busybox", "env")]
    result = subprocess.run(words, capture_output=True, text=True, cwd="/", timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    assert "PYTHONPATH" not in result.stdout and "HOME=/root" in result.stdout


def test_lc_29_many_arguments_and_a_large_environment(busybox, store):
    words = [str(number) for number in range(100_000)]
    assert run("busybox", ["sh", "-c", "echo $#", "sh", *words], store=store).stdout == b"100000\n"
    large = {f"V{number}": "x" * 100_000 for number in range(10)}
    assert busybox("env | wc -c", env=large).stdout.strip() > b"1000000"
    with pytest.raises(CommandNotExecutable, match="larger than the kernel takes|too long"):
        busybox("true", env={"V": "x" * 200_000})


def test_lc_32_bytes_are_bytes(store_root, store, tmp_path):
    source = os.fsencode(tmp_path) + b"/\xff dir"
    os.mkdir(source)
    Path(os.fsdecode(source), "file").write_bytes(b"there")
    mounts = [Mount(kind="bind", source=os.fsdecode(source), target=os.fsdecode(b"/\xfe"))]
    shown = run(
        "busybox", ["sh", "-c", "cat /*/file; printf %s \"$V$1\"", "sh", os.fsdecode(b"\xfd")],
        env={"V": os.fsdecode(b"\xfc")}, mounts=mounts, store=store,
    )  # fmt: skip
    assert shown.stdout == b"there\xfc\xfd"


def test_lc_32_the_c_locale(store_root, store):
    words = argv(store_root, "run", "--rm", "-e", "V=\u00fc", "busybox", "sh", "-c", 'printf "%s %s" "$V" "$1"', "sh", "\u20ac")
    env = {**os.environ, "LC_ALL": "C"}
    result = subprocess.run([word.encode() for word in words], capture_output=True, cwd=REPOSITORY, env=env, timeout=60)
    assert (result.stdout, result.stderr) == ("\u00fc \u20ac".encode(), b"")


def test_lc_32_text_that_the_kernel_cannot_be_told(store):
    for wrong in ({"argv": ["echo", "a\0b"]}, {"argv": ["echo", "\ud800"]}, {"argv": ["true"], "env": {"A": "\ud800"}}):
        with pytest.raises(UsageError):
            run("busybox", **wrong, store=store)  # type: ignore[arg-type]


def test_lc_31_ctrl_c_at_any_moment(store, store_root):
    """In front of a person: whatever the moment, the exit code is that of an interrupt, and nothing is left."""
    rounds = int(os.environ.get("PYRT_TEST_ROUNDS", "20"))
    dice = random.Random(31)
    for _ in range(rounds):
        process = subprocess.Popen(
            argv(store_root, "run", "--rm", "busybox", "sh", "-c", "trap 'exit 130' INT; while :; do sleep 0.01; done"),
            cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        time.sleep(dice.uniform(0, 0.4))
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=3)
        except subprocess.TimeoutExpired:  # it came before the shell had its trap: PID 1 is spared
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
        # The interpreter had not come to pyrt.__main__.entry yet: it dies of the signal as any Python does.
        early = process.returncode in (1, -signal.SIGINT) and b"in entry" not in errors
        assert early or (process.returncode in (130, 137) and b"Traceback" not in errors), errors
        assert os.listdir(store.layout.containers) == []
