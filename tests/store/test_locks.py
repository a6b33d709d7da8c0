"""Locks that die with their holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pyrt.store.locks import LockHeld, hold

HOLDER = """
import sys, time
from pyrt.store.locks import hold
with hold(sys.argv[1], remove=True):
    print("held", flush=True)
    time.sleep(60)
"""


def waits_for(path: str) -> bool:
    """Whether somebody waits for a lock of this file (proc_locks(5))."""
    inode = f":{os.stat(path).st_ino} "
    return any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def test_threads_take_turns(tmp_path: Path) -> None:
    path, inside, most = str(tmp_path / "lock"), [0], [0]

    def work() -> None:
        for _ in range(20):
            with hold(path, remove=True):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.0005)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    assert os.listdir(tmp_path) == []


def test_shared_holds_exclude_an_exclusive_one(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with hold(path, shared=True), hold(path, shared=True), pytest.raises(LockHeld):
        hold(path, blocking=False).__enter__()
    with hold(path, blocking=False), pytest.raises(LockHeld):
        hold(path, shared=True, blocking=False).__enter__()


def test_st_15_a_killed_holder_lets_go_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(LockHeld):
            hold(path, blocking=False).__enter__()
        holder.send_signal(signal.SIGKILL)
        before = time.monotonic()
        with hold(path, remove=True):
            assert time.monotonic() - before < 1


def test_a_check_ends_the_wait(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    deadline = time.monotonic() + 0.1

    def check() -> None:
        if time.monotonic() > deadline:
            raise TimeoutError

    with hold(path), pytest.raises(TimeoutError):
        hold(path, check=check).__enter__()


def test_no_descriptor_stays(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with hold(str(tmp_path / "lock")), pytest.raises(LockHeld):
        hold(str(tmp_path / "lock"), blocking=False).__enter__()
    assert len(os.listdir("/proc/self/fd")) == before


def test_st_15_an_exclusive_holder_gets_his_turn_among_shared_ones(tmp_path: Path) -> None:
    """Many who hold it shared in turns that overlap, for ever: without a turnstile nobody else ever gets in."""
    path, stop, rounds = str(tmp_path / "lock"), threading.Event(), [0] * 32

    def share(number: int) -> None:
        while not stop.is_set():
            with hold(path, shared=True):
                rounds[number] += 1
                time.sleep(0.01)

    threads = [threading.Thread(target=share, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    watchdog = threading.Timer(20, stop.set)
    watchdog.start()
    try:
        for _ in range(20):
            with hold(path):
                pass
        assert not stop.is_set(), "it took 20 s"
        before = sum(rounds)
        time.sleep(0.1)
        assert sum(rounds) > before, "and the others go on"
    finally:
        watchdog.cancel()
        stop.set()
        for thread in threads:
            thread.join()


def test_st_15_a_holder_killed_in_the_turnstile_blocks_nobody(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with hold(path, shared=True), subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE) as waiter:
        deadline = time.monotonic() + 20
        while not waits_for(path):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        waiter.send_signal(signal.SIGKILL)
        waiter.wait()
        with hold(path, shared=True):
            pass
