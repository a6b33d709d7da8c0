"""Clean up after those who died: what is left in ``tmp/`` without an owner. Cheap where there is nothing: two listings.
"""

from __future__ import annotations

import os
from contextlib import suppress

from pyrt.errors import StoreError
from pyrt.store.garbage import collect
from pyrt.store.leases import PREFIX, STORE_LOCK, read_lease
from pyrt.store.locks import LockHeld, hold
from pyrt.store.removal import remove_tree
from pyrt.store.staging import lock_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.store.store import Store


def sweep(store: Store, keep: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Remove what has no owner; entries named in ``keep`` stay. Warnings, one for each thing that cannot be removed.

    Never fatal: junk that another uid left, or that is mounted or immutable, must not stop every command after it.
    """
    layout = store.layout
    warnings: list[str] = []
    with hold(layout.lock(STORE_LOCK)):
        store.containers.sweep()
    for name in sorted(leftovers(layout.tmp, layout.locks) - keep):
        path = f"{layout.tmp}/{name}"
        try:
            with hold(lock_of(layout, name), blocking=False, remove=True):
                if name.startswith(PREFIX) and (digests := read_lease(path)):
                    collect(layout, store.content, store.layers, only=digests, lease=path)
                warnings += [f"{path}: cannot be removed: {reason}" for reason in delete(path)]
        except LockHeld:
            continue
        except (OSError, StoreError) as error:
            warnings.append(f"{path}: cannot be removed: {error}")
    for name in os.listdir(layout.locks):
        if name.startswith("volume-"):  # of somebody who was killed while he filled one
            with suppress(LockHeld, StoreError), hold(layout.lock(name), blocking=False, remove=True):
                pass
    return tuple(warnings)


def leftovers(tmp: str, locks: str) -> set[str]:
    """The names of all entries, owned or not, and of those of which only the lock is left."""
    entries = set(os.listdir(tmp))
    return entries | {name.removeprefix("tmp-") for name in os.listdir(locks) if name.startswith("tmp-")}


def delete(path: str) -> tuple[str, ...]:
    """Why ``path`` is not gone, nothing if it is."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return ()
    except IsADirectoryError:
        return remove_tree(path)
    except OSError as error:
        return (os.strerror(error.errno or 0),)
    return ()
