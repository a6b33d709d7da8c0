"""A layer once more, from its blob: to hold the tree that is there against it, or to put it in its place."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager

from pyrt.store.channel import Cancelled, Scope
from pyrt.store.compare import differences
from pyrt.store.expansion import Expansion
from pyrt.store.ingest import Layer, extractor, wrong_diff_id
from pyrt.store.inventory import in_use
from pyrt.store.leases import STORE_LOCK
from pyrt.store.locks import hold
from pyrt.store.staging import entry, sync_file_system
from pyrt.store.unpack import unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyrt.oci.descriptor import Descriptor
    from pyrt.oci.digest import Digest
    from pyrt.store.layers import StagedLayer
    from pyrt.store.store import Store

SHOWN_PATHS = 8  # that differ, of one layer
CLOCK = 1.0  # seconds: the times of files lag behind the clock by a tick


class Again:
    """A layer that has been unpacked anew and that nobody sees yet."""

    def __init__(self, store: Store, diff_id: Digest, staged: StagedLayer, since: float) -> None:
        self._store, self._diff_id, self._staged, self._since = store, diff_id, staged, since

    def differences(self) -> tuple[str, ...]:
        """How the tree that is there differs, path by path; nothing where there is none."""
        try:
            fd = os.open(self._store.layers.path(self._diff_id), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return ()
        try:
            return differences(self._staged.fd, fd, self._since, SHOWN_PATHS)
        except OSError as error:
            return (f"/{error.filename or ''}: {error.strerror}",)
        finally:
            os.close(fd)

    def place(self) -> str:
        """Take the place of the tree that is there. "" for done, else the container that uses that one: it is left alone."""
        store, layout = self._store, self._store.layout
        sync_file_system(layout.root)
        with ExitStack() as later, hold(layout.lock(STORE_LOCK)):
            user = in_use(store).layers.get(str(self._diff_id))
            if user is None:
                self._staged.exchange(self._diff_id, later.enter_context(entry(layout, "dead")))
        return user or ""


@contextmanager
def unpacked_again(store: Store, blob: Descriptor, diff_id: Digest) -> Iterator[Again]:
    """The layer of a blob that is here. Raises LayerError, DigestMismatch, ImageNotFound, StoreError."""
    scope, since = Scope(), time.time() - CLOCK
    with store.layers.staging() as staged:
        try:
            result = unpack(
                store.content.stream(blob.digest),
                lambda: extractor(staged.fd),
                scope,
                label=f"layer {blob.digest}",
                expansion=Expansion.of_layer(),
                watch=lambda size: None,
            )
        except Cancelled:
            raise scope.error or Cancelled() from None
        if result.diff_id != diff_id:
            raise wrong_diff_id(Layer(blob=blob, diff_id=diff_id), result.diff_id)
        staged.seal()
        yield Again(store, diff_id, staged, since)
