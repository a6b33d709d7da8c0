"""What must not be left behind."""

from __future__ import annotations

import os

from pyrt.store.store import Store


def is_clean(store: Store) -> bool:
    """Nothing unfinished, nothing that no image needs, no lock but the two that stay."""
    return not os.listdir(store.layout.tmp) and set(os.listdir(store.layout.locks)) <= {"store", "index"}


def is_empty(store: Store) -> bool:
    """Clean, and without any image."""
    return is_clean(store) and not (store.content.digests() or store.layers.names() or store.images.list())
