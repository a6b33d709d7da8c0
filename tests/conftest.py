"""For all tests."""

from __future__ import annotations

import signal

from tests.support import chance
from tests.support.built import built

__all__ = ["built"]  # a fixture

# A shell starts background jobs with SIGINT and SIGQUIT ignored, nohup(1) ignores SIGHUP, and what they start inherits it. The
# tests send these signals.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

chance.load()
