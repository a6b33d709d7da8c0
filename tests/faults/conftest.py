"""A store with busybox, and the command line on it under odd conditions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyrt.image_pull import pull
from pyrt.store.store import Store
from tests.support import images
from tests.support.parts import missing

BUSYBOX = "docker.io/library/busybox:latest"


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OCI layout with busybox."""
    directory = tmp_path_factory.mktemp("sources")
    images.write_layout(directory, {BUSYBOX: images.busybox()})
    return directory


@pytest.fixture
def root(tmp_path: Path, sources: Path) -> Path:
    """A store of one's own with busybox in it."""
    if os.geteuid() != 0:
        missing("not root")
    pull(f"oci:{sources}:{BUSYBOX}", store=Store.open(str(tmp_path / "store")))
    return tmp_path / "store"
