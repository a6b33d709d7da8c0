"""Containers that have outlived their owner.

PID 1 gets SIGKILL when its owner dies, unless it has changed its ids: that clears the parent-death signal (prctl(2)), and
gosu, su and many servers do it. Whoever finds the record without a holder ends what still runs, before he removes anything.
"""

from __future__ import annotations

import os
import select

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
            signal.pidfd_send_signal(process, signal.SIGKILL)
            poller = select.poll()
            poller.register(process, select.POLLIN)
            poller.poll(PATIENCE)
    except ProcessLookupError:
        return
    finally:
        os.close(process)
