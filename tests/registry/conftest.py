"""Fixtures of the registry tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.registry_client import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A machine without configuration; nothing of the real home or of /etc is read."""
    return World.below(tmp_path / "world")
