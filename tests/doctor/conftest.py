"""Fixtures of the tests of places."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.parts import missing, need


@pytest.fixture
def user_namespaces() -> None:
    """Where this machine gives no further ones, there is no place to be made."""
    need("unshare")
    if subprocess.run(["unshare", "-Ur", "true"], capture_output=True).returncode != 0:
        missing("no user namespace can be made here")
