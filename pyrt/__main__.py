"""The command line: ``python -m pyrt``, and the installed command ``pyrt``."""

from __future__ import annotations

import gc
import os
import sys

INTERRUPTED = 130  # 128 + SIGINT


def entry() -> None:
    """Runs one command and ends the process with its exit code.

    The collector stays off while modules are loaded, where it looks for garbage that is not there, and the interpreter is
    not taken down piece by piece at the end: together a fifth of what a cached ``pyrt run`` takes.
    """
    gc.disable()
    try:
        from pyrt.cli.main import process

        gc.freeze()
        gc.enable()
        code = process()
    except KeyboardInterrupt:  # while the rest of pyrt was still being read
        code = INTERRUPTED
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 1
    os._exit(code)


if __name__ == "__main__":
    entry()
