"""For all tests."""

from __future__ import annotations

import os
import signal

import pytest

from pyrt.host import SYS_ADMIN, Host
from tests.support import chance
from tests.support.built import built

__all__ = ["built"]  # a fixture

# A shell starts background jobs with SIGINT and SIGQUIT ignored, nohup(1) ignores SIGHUP, and what they start inherits it. The
# tests send these signals.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

chance.load()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "full: the test itself, or what it expects, takes root of the machine")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("full") is None:
        return
    host = Host.probe()
    if os.geteuid() != 0 or not host.initial or not host.holds(SYS_ADMIN):
        pytest.skip("takes root of the machine")
