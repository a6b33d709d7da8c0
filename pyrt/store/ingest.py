"""Layers into the store: each blob is fetched, verified, kept and unpacked once on this machine, several at once.

Whoever holds the writer of a blob does the whole layer; other threads and processes that want it wait, and find it
done.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import closing, suppress
from dataclasses import dataclass, replace

from pyrt.errors import DigestMismatch
from pyrt.oci import limits
from pyrt.store.channel import Cancelled, Scope
from pyrt.store.progress import PullEvent
from pyrt.store.unpack import drain, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from pyrt.oci.descriptor import Descriptor
    from pyrt.oci.digest import Digest
    from pyrt.store.content import BlobWriter
    from pyrt.store.leases import Lease
    from pyrt.store.progress import Progress
    from pyrt.store.store import Store
    from pyrt.store.unpack import Unpacker

    Reject = Callable[[Descriptor, DigestMismatch], None]
    Fetch = Callable[[Descriptor, int], Iterator[bytes]]

PATIENCE = 5.0  # seconds for threads to end after Ctrl-C; one that reads from a silent network may take longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer by its blob and the digest of its tar. What schema 1 does not say is None until the layer is here."""

    blob: Descriptor
    diff_id: Digest | None


def ingest(
    layers: Sequence[Layer],
    fetch: Fetch,
    store: Store,
    lease: Lease,
    progress: Progress | None = None,
    reject: Reject | None = None,
) -> tuple[Layer, ...]:
    """Bring all layers in, in any order; the same ones in the same order, complete with size and diff id.

    ``fetch(descriptor, offset)`` gives the bytes of a blob. ``reject(descriptor, error)`` is told of a blob with a
    wrong digest: it raises the error, or returns where another fetch may do better. When this returns or raises, its
    threads have ended and nothing unfinished is left. Raises the first error of any layer: ImageError, RegistryError,
    StoreError.
    """
    work = Work(fetch, reject, store, lease, progress)
    jobs = deque(sorted(dict.fromkeys(layers), key=lambda layer: -(layer.blob.size or 0)))  # the longest first
    done: dict[Layer, Layer] = {}

    def take() -> None:
        with suppress(IndexError):
            while True:
                layer = jobs.popleft()
                work.scope.check()
                done[layer] = work.layer(layer)

    threads = [work.scope.spawn(take, f"layer {n}") for n in range(min(limits.PARALLEL_BLOBS, len(jobs)))]
    try:
        for thread in threads:
            thread.join()
    except BaseException as error:  # Ctrl-C: only the main thread gets it
        work.scope.cancel(error)
        for thread in threads:
            thread.join(PATIENCE)
        raise
    if work.scope.error is not None:
        raise work.scope.error
    return tuple(done[layer] for layer in layers)


class Damaged(DigestMismatch):
    """A blob of the store had changed since it was verified; it is removed now."""


class Work:
    """What the threads of one pull share."""

    def __init__(
        self, fetch: Fetch, reject: Reject | None, store: Store, lease: Lease, progress: Progress | None
    ) -> None:
        self.scope = Scope()
        self._fetch = fetch
        self._reject = reject
        self._store = store
        self._lease = lease
        self._progress = progress
        self._one_at_a_time = threading.Lock()

    def report(self, kind: str, blob: Descriptor, current: int = 0) -> None:
        if self._progress is not None:
            with self._one_at_a_time:
                self._progress(PullEvent(kind=kind, digest=str(blob.digest), current=current, total=blob.size))

    def layer(self, layer: Layer) -> Layer:
        """Bring one layer in; again where the source has another way to a blob that came damaged."""
        self.report("start", layer.blob)
        while True:
            try:
                return self._once(layer, Scope(self.scope))
            except Damaged:
                continue
            except DigestMismatch as error:
                if self._reject is None or error.expected != str(layer.blob.digest):
                    raise
                self._reject(layer.blob, error)

    def _once(self, layer: Layer, scope: Scope) -> Layer:
        blob, content = layer.blob, self._store.content
        with content.writer(blob, scope.check) as writer:
            here = content.has(blob.digest)
            unpacked = layer.diff_id is not None and self._store.layers.has(layer.diff_id)
            if here and unpacked:
                self.report("exists", blob)
                return layer
            with closing(self._kept(blob) if here else self._fetched(writer, blob, scope)) as chunks:
                if unpacked:  # the same tree in another compression; the blob is missing for the OCI layout
                    drain(chunks)
                    writer.commit()
                    complete = layer
                else:
                    complete = self._unpack(layer, chunks, None if here else writer, scope)
        self.report("done", blob)
        return complete

    def _unpack(self, layer: Layer, chunks: Iterator[bytes], writer: BlobWriter | None, scope: Scope) -> Layer:
        """Unpack into a place of its own; blob and tree become visible when everything about them is right."""
        blob, count = layer.blob, Counter()
        with self._store.layers.staging() as staged:
            try:
                result = unpack(
                    count.counted(chunks),
                    lambda: extractor(staged.fd),
                    scope,
                    label=f"layer {blob.digest}",
                    compressed_size=blob.size,
                    watch=lambda size: self.report("unpack", blob, size),
                )
            except Cancelled:
                self.scope.check()
                raise (scope.error or Cancelled()) from None
            if layer.diff_id is None:
                self._lease.add([result.diff_id])
            elif layer.diff_id != result.diff_id:
                raise wrong_diff_id(layer, result.diff_id)
            if writer is not None:
                writer.commit()
            scope.check()
            staged.commit(result.diff_id)
        return Layer(blob=replace(blob, size=count.size), diff_id=result.diff_id)

    def _fetched(self, writer: BlobWriter, blob: Descriptor, scope: Scope) -> Generator[bytes, None, None]:
        """The blob's bytes, kept on the way; the rest of one that a killed pull has begun. Verified at the end."""
        yield from writer.stored()
        if not writer.complete:
            for chunk in self._fetch(blob, writer.offset):
                scope.check()
                writer.write(chunk)
                self.report("download", blob, writer.offset)
                yield chunk
        writer.verify()

    def _kept(self, blob: Descriptor) -> Generator[bytes, None, None]:
        """The bytes of a blob that is here already; a damaged one is removed, to be fetched again."""
        hasher = blob.digest.hasher()
        for chunk in self._store.content.stream(blob.digest):
            hasher.update(chunk)
            yield chunk
        if not blob.digest.matches(hasher):
            self._store.content.remove(blob.digest)
            actual = f"{blob.digest.algorithm}:{hasher.hexdigest()}"
            raise Damaged(f"blob {blob.digest}: damaged in the store", expected=str(blob.digest), actual=actual)


def extractor(root: int) -> Unpacker:
    """The extractor of a thread that was started for it, with a umask of its own."""
    from pyrt._native.extract import Extractor, private_umask

    xattr = "trusted" if os.geteuid() == 0 else "user"
    return Extractor(root, overlay_xattr=xattr, umask_is_zero=private_umask())


class Counter:
    """Counts what passes."""

    def __init__(self) -> None:
        self.size = 0

    def counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.size += len(chunk)
            yield chunk


def wrong_diff_id(layer: Layer, actual: Digest) -> DigestMismatch:
    """The configuration promises another tree (image-spec, config.md, "Layer DiffID")."""
    return DigestMismatch(
        f"layer {layer.blob.digest}: the tar has digest {actual}, the image configuration says {layer.diff_id}",
        expected=str(layer.diff_id),
        actual=str(actual),
    )
