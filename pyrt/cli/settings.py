"""The global options, ``pyrt --root DIR --debug COMMAND``, as the commands get them."""

from __future__ import annotations

import os
from typing import NamedTuple

import click

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyrt.store.store import Store


class Settings(NamedTuple):
    """``root`` moves the data and the run directory; None means the user's own (XDG, or PYRT_ROOT)."""

    root: str | None = None
    debug: bool = False

    def open_store(self, environ: Mapping[str, str] = os.environ) -> Store:
        """The store that the options name. Raises StoreError."""
        from pyrt.store.store import Store

        return Store.open(self.root, environ=environ)

    def open_swept_store(self) -> Store:
        """The same for a command that changes it: what dead processes have left is cleared first. Raises StoreError."""
        from pyrt.store.sweep import sweep

        store = self.open_store()
        sweep(store)
        return store


def settings_of(ctx: click.Context) -> Settings:
    """The settings of this command line; during completion, before the options were carried out, read from them."""
    found = ctx.find_root().obj
    if isinstance(found, Settings):
        return found
    params = ctx.find_root().params
    return Settings(root=params.get("root"), debug=bool(params.get("debug")))
