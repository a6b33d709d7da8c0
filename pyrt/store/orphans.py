"""Containers that have outlived their owner.

PID 1 gets SIGKILL when its owner dies, unless it has changed its ids: that clears the parent-death signal (prctl(2)), and
gosu, su and many servers do it. Whoever finds the record without a holder ends what still runs, before he removes anything.
"""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress

from pyrt.host import start_time

PATIENCE = 5000  # milliseconds that the kernel gets to take a pid namespace down


def end(pid: int, birth: int) -> None:
    """SIGKILL for the process of this pid that was started at ``birth`` (pyrt.host.start_time), and with it for everything
    in its pid namespace; waits until it is gone. Nothing where it has ended, whoever has the number now."""
    import signal

    try:
        process = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if birth and start_time(pid) == birth:
            if _is_keeper(pid):  # it ends everything by itself when its owner dies; killed, it would leave the rest
                _gone(process)
            signal.pidfd_send_signal(process, signal.SIGKILL)
            _gone(process)
    except ProcessLookupError:
        return
    finally:
        os.close(process)


def end_in_root(root: str) -> None:
    """SIGKILL for every process whose root directory this is: what a container in a chroot has left when its keeper, which
    would have ended it, was killed itself. Processes of other containers have other roots, and those with a mount namespace
    "/". What forks meanwhile is found by the next look."""
    import signal

    deadline = time.monotonic() + PATIENCE / 1000
    while found := [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _root_of(pid) == root]:
        for pid in found:
            with suppress(OSError):
                process = os.pidfd_open(pid)
                try:
                    if _root_of(pid) == root:  # the number may have become somebody else's
                        signal.pidfd_send_signal(process, signal.SIGKILL)
                finally:
                    os.close(process)
        if time.monotonic() > deadline:
            return
        time.sleep(0.005)


def _root_of(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/root")
    except OSError:
        return ""


def _gone(process: int) -> None:
    poller = select.poll()
    poller.register(process, select.POLLIN)
    poller.poll(PATIENCE)


def _is_keeper(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read() == "pyrt-keeper\n"
    except OSError:
        return False
