"""What a power cut may have torn: blobs and layers that had their names, but were never synced, because no image had come to
name them yet. The kernel that wrote them knows their content; after a reboot the disk may have zeros in its place (ext4 writes
a file's size before its data are there). So the first pull of each boot takes them for nothing.
"""

from __future__ import annotations

import os
from contextlib import suppress

from pyrt.host import boot_id
from pyrt.store.garbage import collect
from pyrt.store.leases import PREFIX
from pyrt.store.locks import LockHeld, hold
from pyrt.store.staging import discard, lock_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.store.store import Store


def distrust(store: Store) -> None:
    """Remove what no image, container or living pull names, once a boot. Call it before a pull takes its lease: from there on
    what it finds was written since the boot, or synced. Raises StoreError."""
    layout, current = store.layout, boot_id()
    marker = f"{layout.run}/boot"
    if not current or _read(marker) == current:
        return
    for name in os.listdir(layout.tmp):
        if name.startswith(PREFIX):
            with suppress(LockHeld), hold(lock_of(layout, name), blocking=False, remove=True):
                discard(f"{layout.tmp}/{name}")
    collect(layout, store.content, store.layers)
    with suppress(OSError), open(marker, "w") as file:  # torn or missing it says what is true: another boot
        file.write(current)


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except (OSError, ValueError):
        return ""
