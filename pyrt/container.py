"""What can be done to one container that exists."""

from __future__ import annotations

import time

from pyrt.errors import ContainerNotFound, ContainerRunning, StoreError
from pyrt.store import orphans
from pyrt.store.records import RUNNING, Record
from pyrt.store.store import Store

PATIENCE = 10.0  # seconds that the owner of a killed container gets to let go of it


def remove(name: str, *, store: Store, force: bool = False) -> None:
    """Removes a container (by name, id or the beginning of one) and everything that it wrote. One that runs is refused,
    or with ``force`` killed first; then one that is not there is no error either.

    Raises ContainerRunning, ContainerNotFound, UsageError (ambiguous), StoreError.
    """
    try:
        record = store.containers.find(name)
        if store.containers.is_held(record.id):
            if not force:
                raise ContainerRunning(f"container {name}: it is running", hint="stop it first, or use --force")
            kill(store, record)
        store.containers.remove(record)
    except ContainerNotFound:
        if not force:
            raise


def kill(store: Store, record: Record) -> None:
    """Kills everything in a running container and waits until its owner has let go of it. Raises StoreError when he does
    not."""
    deadline = time.monotonic() + PATIENCE
    while store.containers.is_held(record.id):
        current = store.containers.reload(record)
        if current is None:
            return
        if current.now.state == RUNNING:
            orphans.end(current.now.pid, current.now.birth)
        if time.monotonic() > deadline:
            raise StoreError(f"container {record.name}: killed, but the process that runs it does not let go")
        time.sleep(0.005)
