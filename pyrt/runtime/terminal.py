"""The caller's terminal during ``-t``: raw mode, the window's size, bytes both ways, and everything as it was at the end."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import struct
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pyrt.runtime.process import Process

_CHUNK = 1 << 14
_END_OF_TRANSMISSION = b"\x04"


def size(fd: int) -> tuple[int, int]:
    """Rows and columns of a terminal, (0, 0) where it is none (ioctl_tty(2))."""
    try:
        rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
    except OSError:
        return 0, 0
    return rows, columns


def copy_size(source: int, master: int) -> None:
    """Gives the pty the size that the caller's window has."""
    rows, columns = size(source)
    if rows and columns:
        with suppress(OSError):
            fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@contextmanager
def raw(fd: int) -> Iterator[None]:
    """The terminal in raw mode (termios(3), cfmakeraw), restored however the block ends. Nothing for an fd that is none."""
    if fd < 0 or not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    mode = [*before[:6], [*before[6]]]
    mode[0] &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR | termios.IGNCR
        | termios.ICRNL | termios.IXON
    )  # fmt: skip
    mode[1] &= ~termios.OPOST
    mode[2] = (mode[2] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
    mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
    termios.tcsetattr(fd, termios.TCSADRAIN, mode)
    try:
        yield
    finally:
        with suppress(termios.error):  # it has been hung up
            termios.tcsetattr(fd, termios.TCSADRAIN, before)


@contextmanager
def follow_window(source: int, master: int) -> Iterator[None]:
    """Passes every change of the window's size on (SIGWINCH). Main thread only, as signal handlers are."""
    before = signal.signal(signal.SIGWINCH, lambda *_: copy_size(source, master))
    copy_size(source, master)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


def relay(
    process: Process, master: int, stdin: int, stdout: int, patience: Callable[[], float | None] = lambda: None
) -> None:
    """Copies stdin (-1 for none) to the pty and the pty to stdout until PID 1 has ended and the pty is empty. The end of
    stdin becomes Ctrl-D; a reader that has gone away ends the output, not the container. ``patience`` says how long (ms)
    to sleep at most before it is asked again."""
    os.set_blocking(master, False)
    poller = select.poll()
    poller.register(process.pidfd, select.POLLIN)
    poller.register(master, select.POLLIN)
    if stdin >= 0:
        poller.register(stdin, select.POLLIN)
    typed = b""  # read from stdin, and not yet taken by the pty
    line_ended = True
    ended = drained = False
    while not (ended and drained):
        events = poller.poll(0 if ended else patience())
        if ended and not events:
            break
        for fd, event in events:
            if fd == process.pidfd:
                process.wait()
                poller.unregister(fd)
                ended = True
            elif fd == stdin:
                typed, more = _read_typed(stdin)
                if not more:
                    # In the middle of a line the first one only hands over what there is of it (termios(3), VEOF).
                    typed = _END_OF_TRANSMISSION * (1 if line_ended else 2)
                line_ended = typed.endswith((b"\n", b"\r"))
                # One piece at a time: a program that does not read must not make us hold what is typed ahead.
                poller.unregister(stdin)
                stdin = stdin if more else -1
                poller.modify(master, select.POLLIN | select.POLLOUT)
            else:
                if event & select.POLLOUT:
                    typed = _type(master, typed)
                    if not typed:
                        poller.modify(master, select.POLLIN)
                        if stdin >= 0:
                            poller.register(stdin, select.POLLIN)
                if event & ~select.POLLOUT:
                    drained = not _show(master, stdout)
                    if drained:
                        poller.unregister(master)
                        if stdin >= 0 and not typed:
                            poller.unregister(stdin)
                        stdin = -1


def _read_typed(stdin: int) -> tuple[bytes, bool]:
    """What was typed, and whether there may be more."""
    try:
        data = os.read(stdin, _CHUNK)
    except OSError:
        data = b""
    return data, bool(data)


def _type(master: int, data: bytes) -> bytes:
    """Gives the pty what it takes, and returns the rest."""
    try:
        return data[os.write(master, data) :]
    except BlockingIOError:
        return data
    except OSError:  # the container has closed its side
        return b""


def _show(master: int, stdout: int) -> bool:
    """Copies a piece of output; false when the last slave has been closed (EIO)."""
    try:
        data = os.read(master, _CHUNK)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno == errno.EIO:
            return False
        raise
    _write(stdout, data)
    return bool(data)


def _write(stdout: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(stdout, data) :]
        except BlockingIOError:  # whoever shares it with us has made it so (O_NONBLOCK is of the open file, not of the fd)
            select.select([], [stdout], [])
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.EIO):  # the reader has gone away, or the terminal
                return
            raise OSError(error.errno, os.strerror(error.errno or 0), "standard output") from error
