"""A store, and an environment in which no configuration of this machine's user is met."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrt.store.store import Store
from tests.support.registries import RunningRegistry, private_environ, running_registry


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "store"))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return private_environ(tmp_path / "home")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    with running_registry(tmp_path_factory.mktemp("registry") / "r") as running:
        yield running
