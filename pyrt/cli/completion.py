"""Words for the shell's completion: names of images and containers.

``eval "$(_PYRT_COMPLETE=bash_source pyrt)"`` in ~/.bashrc switches it on; ``zsh_source`` and ``fish_source`` likewise.
Completion never fails and never makes a store: what cannot be read has no names.
"""

from __future__ import annotations

import click

from pyrt.cli.settings import settings_of
from pyrt.errors import PyrtError


def image_names(ctx: click.Context, incomplete: str) -> list[str]:
    """The names of the images in the store, as docker writes them."""
    try:
        records = settings_of(ctx).open_store().images.list()
    except (PyrtError, OSError):
        return []
    return sorted(record.reference.familiar() for record in records if record.reference is not None)


def container_names(ctx: click.Context, incomplete: str) -> list[str]:
    """The names of the containers in the store."""
    try:
        records = settings_of(ctx).open_store().containers.list()
    except (PyrtError, OSError):
        return []
    return sorted(record.name for record in records if record.name)
