"""Take images away: ``rmi`` and ``image prune``, with docker's rules for names, ids and containers."""

from __future__ import annotations

from contextlib import suppress

from pyrt.errors import InvalidReference, NoSpace, PyrtError, UsageError
from pyrt.oci.reference import Reference
from pyrt.store.garbage import Garbage, collect, reachable
from pyrt.store.leases import STORE_LOCK, lease
from pyrt.store.locks import hold
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyrt.store.images import ImageRecord
    from pyrt.store.leases import Lease
    from pyrt.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What has gone: names as docker prints them, digests of images (their ids) and layers, bytes of blobs."""

    untagged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    reclaimed: int = 0

    def lines(self) -> tuple[str, ...]:
        """As ``docker rmi`` says it."""
        return (*(f"Untagged: {name}" for name in self.untagged), *(f"Deleted: {digest}" for digest in self.deleted))


def remove_image(store: Store, text: str, *, force: bool = False) -> Removed:
    """``rmi``: one name of several is only untagged; with its last name, or by id, the image goes.

    By id an image with several names goes only with ``force``; so does one that a container uses, whose layers stay as
    long as the container. Raises ImageNotFound, UsageError, StoreError.
    """
    with lease(store.layout) as held:
        record, identifier, entries = _unlisted(store, text, force, held)
        if not held.digests:
            return Removed(untagged=(familiar(record),))
        garbage = collect(store.layout, store.content, store.layers, only=held.digests, lease=held.path)
    return removed([(record, identifier)], entries, garbage)


def _unlisted(
    store: Store, text: str, force: bool, held: Lease
) -> tuple[ImageRecord, str, tuple[ImageRecord, ...]]:
    """Takes an image, or one of its names, out of the index: the image, its id, its entries. What can go now is in ``held``,
    nothing where only a name went."""
    with hold(store.layout.lock(STORE_LOCK)):
        record = store.images.find(text)
        entries = store.images.matching(record)
        names = [entry.name for entry in entries if entry.reference is not None]
        if is_name_of(text, record) and len(names) > 1:
            store.images.remove(record)
            return record, "", (record,)
        if not force:
            if len(names) > 1:
                raise UsageError(f"image {text}: has several names: {', '.join(names)}", hint="name one, or --force")
            refuse_used(store, record, text)
        identifier = image_id(store, record)
        going = reachable(store.content, {str(record.descriptor.digest)})
        with suppress(NoSpace):  # a full disk is no reason to remove nothing
            held.record(going)
        store.images.remove(*entries)
    return record, identifier, entries


def prune_images(
    store: Store, *, everything: bool = False, accept: Callable[[ImageRecord], bool] | None = None
) -> Removed:
    """``image prune``: images that lost their name, with ``everything`` all that no container uses; and all blobs and
    layers that nothing needs. ``accept`` may spare images (docker's ``--filter``). Raises StoreError.
    """
    with hold(store.layout.lock(STORE_LOCK)):
        used = {record.image_digest for record in store.containers.list()}
        going = [
            record
            for record in store.images.list()
            if (everything or record.reference is None)
            and str(record.descriptor.digest) not in used
            and (accept is None or accept(record))
        ]
        identified = [(record, image_id(store, record)) for record in going]
        if going:
            store.images.remove(*going)
    return removed(identified, going, collect(store.layout, store.content, store.layers))


def removed(
    identified: Iterable[tuple[ImageRecord, str]], entries: Iterable[ImageRecord], garbage: Garbage
) -> Removed:
    """The report: an image counts as deleted when its manifest has gone."""
    gone = set(garbage.blobs)
    images = [identifier for record, identifier in identified if str(record.descriptor.digest) in gone]
    return Removed(
        untagged=tuple(familiar(entry) for entry in entries if entry.reference is not None),
        deleted=(*dict.fromkeys(images), *garbage.layers),
        reclaimed=garbage.reclaimed,
    )


def is_name_of(text: str, record: ImageRecord) -> bool:
    """Whether ``text`` is a name of the image, not its id."""
    try:
        typed = Reference.parse(text)
    except InvalidReference:
        return False
    return record.reference is not None and record.reference.name == typed.name


def refuse_used(store: Store, record: ImageRecord, text: str) -> None:
    """Raises UsageError where a container uses the image."""
    for container in store.containers.list():
        if container.image_digest == str(record.descriptor.digest):
            name = container.name or container.id[:12]
            raise UsageError(f"image {text}: container {name} uses it", hint=f"pyrt rm {name}, or --force")


def image_id(store: Store, record: ImageRecord) -> str:
    """Docker's id of an image, the digest of its configuration; of its manifest where that cannot be read."""
    with suppress(PyrtError):
        return str(store.images.manifest(record).config.digest)
    return str(record.descriptor.digest)


def familiar(record: ImageRecord) -> str:
    return "" if record.reference is None else record.reference.familiar()
