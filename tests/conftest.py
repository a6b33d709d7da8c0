"""For all tests."""

from __future__ import annotations

import signal

# A shell starts its background jobs with SIGINT and SIGQUIT ignored, and whatever such a job starts inherits that. The
# tests send these signals.
for number in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
