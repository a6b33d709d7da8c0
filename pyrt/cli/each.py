"""One command on several things: what fails is said, and the others are done nevertheless, as docker does."""

from __future__ import annotations

import sys

from pyrt.cli.command import FAILED
from pyrt.cli.message import failure
from pyrt.errors import PyrtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def each(names: Iterable[str], act: Callable[[str], None]) -> int:
    """Calls ``act`` with every name; the exit code is 1 where one failed, else 0."""
    code = 0
    for name in names:
        try:
            act(name)
        except PyrtError as error:
            sys.stdout.flush()
            print(failure(error), file=sys.stderr, flush=True)
            code = FAILED
    return code
