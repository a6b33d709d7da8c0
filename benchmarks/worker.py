"""A process that measures on demand: a line with a count goes in, a line with that many durations in ns comes out."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


class Worker:
    """The measuring process, from ``running``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, count: int) -> list[float]:
        """The seconds of ``count`` runs in a row. Raises RuntimeError where the process has ended instead."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().split()
        if len(answer) != count:
            raise RuntimeError(f"{self._process.args!r} ended, see its message above")
        return [int(nanoseconds) / 1e9 for nanoseconds in answer]


@contextmanager
def running(argv: Sequence[str], environ: Mapping[str, str]) -> Iterator[Worker]:
    """Starts a worker in the repository; it ends with the block, at the end of its stdin."""
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=dict(environ)
    ) as process:
        yield Worker(process)
