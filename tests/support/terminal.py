"""A command on a terminal of its own, typed at and read from by a test."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time


class Terminal:
    """Runs ``argv`` as the leader of a session with a pty, as a terminal emulator does."""

    def __init__(self, argv: list[str], *, rows: int = 24, columns: int = 80) -> None:
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.output = b""
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, preexec_fn=_take_terminal)
        self._slave = slave

    def resize(self, rows: int, columns: int) -> None:
        """Changes the window, as a person does; the foreground process group is told by the kernel."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def read_until(self, text: str, timeout: float = 20) -> str:
        """Everything shown from now on until ``text`` appears in it. Fails after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        shown = b""
        while text.encode() not in shown:
            ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"never saw {text!r} in {shown!r}"
            shown += os.read(self.master, 4096)
        return shown.decode(errors="replace")

    def wait(self, timeout: float = 20) -> int:
        """The exit code; what is still printed is read away meanwhile."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "it does not end"
            if select.select([self.master], [], [], 0.02)[0]:
                self.output += os.read(self.master, 4096)
        return self.process.returncode

    def is_as_before(self) -> bool:
        """Whether the terminal's modes are what they were at the start."""
        return termios.tcgetattr(self._slave) == self.before

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.master)
        os.close(self._slave)


def _take_terminal() -> None:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
