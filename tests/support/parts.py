"""Programs that a test needs from the distribution: missing, they skip it; where everything must work, they fail it."""

from __future__ import annotations

import os
import shutil

import pytest


def need(*programs: str) -> None:
    """Skips the calling test unless all programs are on PATH; where PYRT_TEST_MUST_WORK is set, fails it."""
    for program in programs:
        if shutil.which(program) is None:
            missing(f"{program} is not installed")


def machine(what: str) -> None:
    """What no package brings: this kernel or this hardware is another one. A skip everywhere; ``make vm-test`` has a machine
    with the other half."""
    pytest.skip(what)


def missing(what: str) -> None:
    """A part that this test needs is missing: a skip, or a failure where PYRT_TEST_MUST_WORK is set."""
    if os.environ.get("PYRT_TEST_MUST_WORK"):
        pytest.fail(f"{what}, and PYRT_TEST_MUST_WORK is set")
    pytest.skip(what)
