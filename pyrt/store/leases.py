"""What a pull under way needs, so that garbage collection leaves it alone although no image names it yet.

A lease is a file in ``tmp/`` with the digests, owned like every entry there: when its owner dies, the sweep finds it
and collects what it lists. So one also stands for what a removal under way has still to remove. Taking one, and
collecting, exclude each other by the store lock; the pull itself holds no lock, so ``rmi`` never waits for somebody's
download.
"""

from __future__ import annotations

import json
import os
from _thread import allocate_lock
from contextlib import contextmanager

from pyrt.store.layout import refused
from pyrt.store.locks import hold
from pyrt.store.staging import discard, named_entry, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyrt.oci.digest import Digest
    from pyrt.store.layout import StoreLayout

PREFIX = "lease-"
STORE_LOCK = "store"


class Lease:
    """The digests of blobs and layers that stay as long as this lease does."""

    def __init__(self, layout: StoreLayout, path: str) -> None:
        self._layout = layout
        self.path = path
        self.digests: frozenset[str] = frozenset()
        self._turn = allocate_lock()  # of the threads of one pull

    def add(self, digests: Iterable[Digest]) -> None:
        """Protect these too, from now on: look whether they are here only after this returns. Raises NoSpace."""
        with self._turn:
            more = self.digests | {str(digest) for digest in digests}
            if more == self.digests:
                return
            self.digests = more
            with hold(self._layout.lock(STORE_LOCK), shared=True):
                self._write()

    def record(self, digests: Iterable[str]) -> None:
        """As ``add``, for who holds the store lock himself."""
        self.digests |= set(digests)
        self._write()

    def _write(self) -> None:
        replace(self._layout, self.path, json.dumps(sorted(self.digests)).encode(), durable=False)


@contextmanager
def lease(layout: StoreLayout) -> Iterator[Lease]:
    """An empty lease, released at the end. After an error it stays without an owner, so that the next sweep collects."""
    with named_entry(layout, f"{PREFIX}{os.urandom(8).hex()}") as path:
        yield Lease(layout, path)
        discard(path)


def leased(layout: StoreLayout, but: str = "") -> set[str]:
    """All digests under lease, ``but`` for the one at that path. Call it with the store lock held exclusively."""
    found: set[str] = set()
    for name in os.listdir(layout.tmp):
        if name.startswith(PREFIX) and f"{layout.tmp}/{name}" != but:
            found |= read_lease(f"{layout.tmp}/{name}")
    return found


def read_lease(path: str) -> set[str]:
    """The digests in a lease; empty for one that is gone, or damaged (its owner is dead then). Raises StoreError."""
    try:
        with open(path, "rb") as file:
            digests = json.load(file)
    except (FileNotFoundError, ValueError):
        return set()
    except OSError as error:
        raise refused(path, error) from error
    return {item for item in digests if isinstance(item, str)} if isinstance(digests, list) else set()
