"""Layers into the store: each blob is fetched, verified, kept and unpacked once on this machine, several at once.

Whoever holds the writer of a blob does the whole layer; other threads and processes that want it wait, and find it
done.
"""

from __future__ import annotations

import errno
import threading
from collections import deque
from contextlib import closing, contextmanager, suppress

from pyrt.errors import DigestMismatch, ImageError, LayerError, NoSpace, SizeMismatch, StoreError
from pyrt.oci import limits
from pyrt.store.channel import Cancelled, Scope
from pyrt.store.expansion import Expansion
from pyrt.store.garbage import named
from pyrt.store.progress import PullEvent
from pyrt.store.staging import discard, sync_file_system
from pyrt.store.unpack import unpack
from pyrt.values import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from pyrt.oci.descriptor import Descriptor
    from pyrt.oci.digest import Digest
    from pyrt.store.channel import Stage
    from pyrt.store.content import BlobWriter
    from pyrt.store.leases import Lease
    from pyrt.store.progress import Progress
    from pyrt.store.store import Store
    from pyrt.store.unpack import Unpacker

    Reject = Callable[[Descriptor, DigestMismatch | SizeMismatch], None]
    Fetch = Callable[[Descriptor, int], Iterator[bytes]]

PATIENCE = 1.0  # seconds for threads to end after Ctrl-C; one that waits for the network ends later


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
    wrong digest or size: it raises the error, or returns where another fetch may do better. When this returns or raises, its
    threads have ended and nothing unfinished is left. Raises the first error of any layer: ImageError, RegistryError,
    StoreError.
    """
    work = Work(fetch, reject, store, lease, progress)
    jobs = deque(sorted(dict.fromkeys(layers), key=lambda layer: -(layer.blob.size or 0)))  # the longest first
    done: dict[Layer, Layer] = {}

    def take() -> None:
        while jobs:
            try:
                layer = jobs.popleft()
            except IndexError:  # another thread took the last one
                return
            work.scope.check()
            done[layer] = work.layer(layer)

    stages: list[Stage] = []
    try:
        for number in range(min(limits.PARALLEL_BLOBS, len(jobs))):
            stages.append(work.scope.spawn(take, f"layer {number}"))
        for stage in stages:
            stage.wait()
    except BaseException as error:  # Ctrl-C: only the main thread gets it
        work.scope.cancel(error)
        try:
            for stage in stages:
                stage.wait(PATIENCE)
        finally:  # a second Ctrl-C ends the waiting only
            work.abandon()
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
        self._expansion = Expansion.of_image()
        self._pairs: set[tuple[Digest, Digest]] | None = None  # blob and tree of the images of the index
        self._named: set[str] | None = None  # what the images of the index consist of, once somebody wants to know
        self._places: set[str] = set()
        self._one_at_a_time = threading.Lock()

    def abandon(self) -> None:
        """Free the disk from what threads hold that still wait for the network; they find it gone, and end."""
        for path in tuple(self._places):
            discard(path)

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
            except SizeMismatch as error:
                if self._reject is None:
                    raise
                self._reject(layer.blob, error)

    def _once(self, layer: Layer, scope: Scope) -> Layer:
        blob, content = layer.blob, self._store.content
        with content.writer(blob, scope.check) as writer, self._place(writer.path):
            here = content.has(blob.digest)
            unpacked = layer.diff_id is not None and self._store.layers.has(layer.diff_id)
            if here and unpacked and self._belong_together(layer):
                self.report("exists", blob)
                return layer
            with closing(self._kept(blob) if here else self._fetched(writer, blob, scope)) as chunks:
                if unpacked:  # the same tree in another compression; the blob is missing for the OCI layout
                    self._compare(layer, chunks, scope)
                    scope.check()
                    self._sync_a_repair(blob.digest)
                    if not here:
                        writer.commit()
                    complete = layer
                else:
                    complete = self._unpack(layer, chunks, None if here else writer, scope)
        self.report("done", blob)
        return complete

    def _belong_together(self, layer: Layer) -> bool:
        """Whether an image of the index has this blob for this tree: then it was unpacked from it, or compared. Else the
        configuration may only claim it, because a tree that is here is found by that claim."""
        with self._one_at_a_time:
            if self._pairs is None:
                self._pairs = set()
                for record in self._store.images.list():
                    with suppress(ImageError, StoreError):  # a damaged image vouches for nothing
                        image = self._store.images.load(record)
                        blobs = (one.digest for one in image.layers)
                        self._pairs.update(zip(blobs, image.diff_ids, strict=True))
        return (layer.blob.digest, layer.diff_id) in self._pairs

    def _compare(self, layer: Layer, chunks: Iterator[bytes], scope: Scope) -> None:
        """The blob's tar has to be that of the tree that is here; it is hashed and not unpacked again."""
        try:
            result = unpack(
                chunks,
                NoUnpacker,
                scope,
                label=f"layer {layer.blob.digest}",
                expansion=Expansion.of_layer(self._expansion),
                watch=lambda size: None,
            )
        except Cancelled:
            self.scope.check()
            raise scope.error or Cancelled() from None
        if layer.diff_id != result.diff_id:
            raise wrong_diff_id(layer, result.diff_id)

    def _unpack(self, layer: Layer, chunks: Iterator[bytes], writer: BlobWriter | None, scope: Scope) -> Layer:
        """Unpack into a place of its own; blob and tree become visible when everything about them is right."""
        blob, count = layer.blob, Counter()
        with self._store.layers.staging() as staged, self._place(staged.path):
            try:
                result = unpack(
                    count.counted(chunks),
                    lambda: extractor(staged.fd),
                    scope,
                    label=f"layer {blob.digest}",
                    expansion=Expansion.of_layer(self._expansion),
                    watch=lambda size: self.report("unpack", blob, size),
                )
            except Cancelled:
                self.scope.check()
                raise self._placed(scope.error or Cancelled()) from None
            if layer.diff_id is None:
                self._lease.add([result.diff_id])
            elif layer.diff_id != result.diff_id:
                raise wrong_diff_id(layer, result.diff_id)
            scope.check()
            staged.seal()
            self._sync_a_repair(blob.digest, result.diff_id)
            if writer is not None:
                writer.commit()
            staged.commit(result.diff_id)
        return Layer(blob=replace(blob, size=count.size), diff_id=result.diff_id)

    @contextmanager
    def _place(self, path: str) -> Iterator[None]:
        """Something unfinished lies at ``path``."""
        self._places.add(path)
        try:
            yield
        finally:
            self._places.discard(path)

    def _sync_a_repair(self, *digests: Digest) -> None:
        """What an image of the index lacks becomes a part of it by its own rename: its data has to be safe before."""
        with self._one_at_a_time:
            if self._named is None:
                self._named = named(self._store.layout, self._store.content)
        if not self._named.isdisjoint(map(str, digests)):
            sync_file_system(self._store.layout.root)

    def _placed(self, error: BaseException) -> BaseException:
        """The extractor knows no paths: say which file system is full, or cannot hold what images have."""
        if isinstance(error, LayerError) and error.errno in (errno.EPERM, errno.ENOTSUP):
            root = self._store.layout.root
            hint = f"the file system at {root} cannot hold it: move the store with --root or PYRT_ROOT"
            return LayerError(str(error), entry=error.entry, step=error.step, errno=error.errno, hint=hint)
        if isinstance(error, NoSpace):
            root = self._store.layout.root
            return NoSpace(f"store {root}: {error}", hint=f"free some space at {root}, or move the store with PYRT_ROOT")
        return error

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


class NoUnpacker:
    """For a tar that is only hashed."""

    def feed(self, data: bytes) -> None: ...
    def finish(self) -> None: ...
    def close(self) -> None: ...


def extractor(root: int) -> Unpacker:
    """The extractor of a thread that was started for it, with a umask of its own.

    Without root every file is the caller's: only root may give files away, to ids that there are. Extended attributes of the
    class "trusted" are for root with CAP_SYS_ADMIN, not of a user namespace (xattr(7)).
    """
    from pyrt._native.extract import Extractor, private_umask
    from pyrt.host import CHOWN, MKNOD, SYS_ADMIN, Host

    host = Host.probe()
    xattr = "both" if host.initial and host.holds(SYS_ADMIN) else "user"
    chown = host.uid == 0 and host.holds(CHOWN) and not host.alone
    devices = host.initial and host.holds(MKNOD)
    return Extractor(root, overlay_xattr=xattr, chown=chown, devices=devices, umask_is_zero=private_umask())


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
