"""The suites once more, on a kernel that lacks what newer ones have: the same answers, by the other ways."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.enosys import NEWER

REPOSITORY = Path(__file__).parents[2]
INSIDE = "PYRT_TEST_OLDER_KERNEL"


@pytest.mark.skipif(INSIDE in os.environ, reason="this is the inner run")
@pytest.mark.parametrize("calls", ["newer", "openat2", "clone3", "open_tree", "mount_setattr", "pivot_root"])
def test_runs_without(calls):
    suites = ["tests/run/test_api.py", "tests/run/test_devices.py"]
    if calls == "newer":
        suites.append("tests/run/test_leaks.py")
    if calls in ("newer", "openat2"):
        suites.append("tests/unpack")
    if calls == "clone3":
        suites.append("tests/run/test_device_rules.py")  # no start in a cgroup v2
    assert calls in ("newer", "pivot_root", *NEWER)  # docker refuses pivot_root to all its containers
    command = [sys.executable, "-m", "tests.support.enosys", calls, "--", sys.executable, "-m", "pytest", "-q", "-x", *suites]
    environment = {**os.environ, INSIDE: calls}
    result = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment, timeout=900)
    assert result.returncode == 0, result.stdout[-3000:]
    assert " passed" in result.stdout
