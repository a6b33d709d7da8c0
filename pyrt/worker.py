"""A function's call in the containers' user namespace: by a worker, a Python of its own that ends with the call.

What a user's container has written belongs to ids that only root of that namespace may use. A process with threads cannot enter
one, and a caller's process shall stay what it is; so the call travels: function, arguments, result, error and every event on
the way are pickled through pipes. Both ends are pyrt of the same version, on the same machine, and of the same user.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from pyrt.errors import PyrtError, StartError
from pyrt.host import Host
from pyrt.ids import Ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, Any

_EVENT, _RESULT, _ERROR = "event", "result", "error"
_SERVE = "import sys; sys.path[:] = {path!r}; from pyrt.worker import serve; serve()"


def call(ids: Ids, function: Callable[..., Any], *arguments: Any, events: Callable[[Any], None] | None = None) -> Any:
    """``function(*arguments)`` in the user namespace with these ids, or ``function(*arguments, report)`` with ``events``:
    whatever is given to ``report`` there comes out of ``events`` here.

    ``function`` is one of a module's own. Raises what it raises; StartError where the worker ends without a word. Ctrl-C
    reaches it as it does us, and is waited for.
    """
    import pickle
    import subprocess

    from pyrt._native.userns import enter

    argv, fd = enter(ids, [sys.executable, "-c", _SERVE.format(path=sys.path)])
    order = pickle.dumps((function, arguments, events is not None))
    try:
        begun = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(fd,))
    finally:
        os.close(fd)
    with begun as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            with suppress(BrokenPipeError):  # what it answers says why
                process.stdin.write(order)
            with suppress(BrokenPipeError):
                process.stdin.close()
            return _answer(process, process.stdout, events)
        except KeyboardInterrupt:
            _interrupted(process)
            raise
        except BaseException:
            process.terminate()
            raise


def can_call() -> bool:
    """Whether there is an interpreter that a worker can execute: not in a program that has Python inside, or where only root
    may read it."""
    return os.access(sys.executable or "", os.X_OK)


def _answer(process: Any, stdout: IO[bytes], events: Callable[[Any], None] | None) -> Any:
    import pickle

    while True:
        try:
            kind, value = pickle.load(stdout)
        except (EOFError, pickle.UnpicklingError):
            code = process.wait()
            raise StartError(
                f"worker in the user namespace: ended without an answer, exit code {code}",
                hint=f"every user of pyrt has to be able to execute {sys.executable}",
                step="worker",
                errno=0,
                subject="",
            ) from None
        if kind == _RESULT:
            return value
        if kind == _ERROR:
            raise _error(*value)
        if events is not None:
            events(value)


def _interrupted(process: Any) -> None:
    """The terminal tells the worker too; a signal to us alone is passed on."""
    import signal
    import subprocess

    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)


def serve() -> None:
    """The worker's side. It ends with its parent: the kernel sees to that (PR_SET_PDEATHSIG)."""
    import ctypes
    import pickle
    import signal

    parent = os.getppid()
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints is not an answer
    Host.enter()
    function, arguments, with_events = pickle.load(sys.stdin.buffer)

    def say(kind: str, value: Any) -> None:
        pickle.dump((kind, value), answers)
        answers.flush()

    extra = [lambda event: say(_EVENT, event)] if with_events else []
    try:
        result = function(*arguments, *extra)
    except BaseException as error:
        say(_ERROR, (type(error), error.args, error.__dict__, str(error)))
    else:
        say(_RESULT, result)


def _error(kind: type[BaseException], arguments: tuple[Any, ...], fields: dict[str, Any], text: str) -> BaseException:
    """The worker's exception: our own have more than their message."""
    if not issubclass(kind, (PyrtError, OSError, KeyboardInterrupt)):
        return StartError(f"worker in the user namespace: {kind.__name__}: {text}", step="worker", errno=0, subject="")
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(fields)
    return error
