"""How hypothesis tries: the same examples each time, so that CI is stable, and untimed, because a busy machine is no failure.
``PYRT_TEST_EXAMPLES=20000`` tries that many of chance instead."""

from __future__ import annotations

import os

from hypothesis import settings

MANY = int(os.environ.get("PYRT_TEST_EXAMPLES", "0"))


def load() -> None:
    """For all tests without a number of their own."""
    settings.register_profile("stable", deadline=None, derandomize=True)
    settings.register_profile("chance", deadline=None, max_examples=MANY or 100, print_blob=True)
    settings.load_profile("chance" if MANY else "stable")


def examples(usual: int) -> settings:
    """Settings for a test that tries ``usual`` examples where no others are asked for."""
    return settings(max_examples=MANY or usual)
