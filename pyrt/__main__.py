"""``python -m pyrt``: the command line."""

from __future__ import annotations

from pyrt.cli.main import entry

if __name__ == "__main__":
    entry()
