"""Empty environments to install the wheel and the sdist into."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.built import Built, run

__all__ = ["Built", "empty_venv", "install", "run"]


def empty_venv(directory: Path, interpreter: str = sys.executable) -> Path:
    """A new virtual environment; returns its bin directory."""
    run(interpreter, "-m", "venv", directory)
    return directory / "bin"


def install(bin_directory: Path, *what: str | Path) -> None:
    run(bin_directory / "python", "-m", "pip", "install", "-qq", "--disable-pip-version-check", *what)
