"""What belongs to what: for each blob and layer the images that need it, and how to make a layer again."""

from __future__ import annotations

import os
from contextlib import suppress

from pyrt.errors import PyrtError
from pyrt.oci import media_types
from pyrt.oci.digest import Digest
from pyrt.oci.image import Image, ImageConfig
from pyrt.oci.manifest import Manifest, parse_document
from pyrt.store.garbage import reachable
from pyrt.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.oci.descriptor import Descriptor
    from pyrt.store.images import ImageRecord
    from pyrt.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """By the text of a digest: ``users`` are the images that need it, ``blobs`` the blobs that unpack to a layer (by its diff
    id). ``unreadable`` are images whose documents cannot be read, with the reason."""

    records: tuple[ImageRecord, ...] = ()
    users: dict[str, list[ImageRecord]] = field(default_factory=dict)
    blobs: dict[str, list[Descriptor]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)  # by the digest of the manifest

    def names(self, digest: str) -> tuple[str, ...]:
        """What the images that need a blob or a layer are called."""
        return tuple(dict.fromkeys(record.name for record in self.users.get(digest, ())))


def take(store: Store, damaged: frozenset[str] = frozenset()) -> Inventory:
    """The inventory of a store; documents among the ``damaged`` digests are not believed. Raises StoreError where there is no
    index."""
    inventory = Inventory(records=store.images.list())
    for record in inventory.records:
        if record.descriptor.media_type in media_types.MANIFESTS:
            _add(inventory, store, record, damaged)
        else:  # what another tool keeps here: an index of several images
            for digest in reachable(store.content, {str(record.descriptor.digest)}):
                inventory.users.setdefault(digest, []).append(record)
    for container in store.containers.list():
        if container.image_digest not in inventory.users:
            with suppress(PyrtError):
                _add_removed(inventory, store, container.image_digest, damaged)
    return inventory


def _add_removed(inventory: Inventory, store: Store, text: str, damaged: frozenset[str]) -> None:
    """The layers of an image that is in no index any more, but that a container was made of."""
    digest = Digest.parse(text)
    if text in damaged or not store.content.has(digest):
        return
    manifest = parse_document(store.content.read(digest), None, digest)
    if isinstance(manifest, Manifest) and str(manifest.config.digest) not in damaged:
        config = ImageConfig.parse(store.content.read(manifest.config.digest), manifest.config.digest)
        _add_layers(inventory, Image(manifest=manifest, config=config))


def _add(inventory: Inventory, store: Store, record: ImageRecord, damaged: frozenset[str]) -> None:
    """One image, as far as its documents can be read."""
    needed: list[str] = [str(record.descriptor.digest)]
    try:
        if needed[0] not in damaged:
            manifest = store.images.manifest(record)
            needed += [str(entry.digest) for entry in (manifest.config, *manifest.layers)]
            if needed[1] not in damaged:
                image = store.images.load(record)
                needed += [str(diff_id) for diff_id in image.diff_ids]
                _add_layers(inventory, image)
    except PyrtError as error:
        inventory.unreadable[needed[0]] = str(error)
    for digest in dict.fromkeys(needed):
        inventory.users.setdefault(digest, []).append(record)


def _add_layers(inventory: Inventory, image: Image) -> None:
    for blob, diff_id in zip(image.layers, image.diff_ids, strict=True):
        inventory.blobs.setdefault(str(diff_id), []).append(blob)


@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """What running containers use: their layers (text of the diff id) and images (of the manifest), each with one of them."""

    layers: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)


def in_use(store: Store) -> InUse:
    """What must not be touched. It is true for as long as the caller holds the store lock exclusively."""
    used = InUse()
    for record in store.containers.list():
        if store.containers.is_held(record.id):
            used.images[record.image_digest] = record.name
            used.layers.update((f"sha256:{layer}", record.name) for layer in record.layers)
    return used


def is_writable(store: Store) -> bool:
    """Whether anything can be written into the store: a read-only one can be checked too."""
    return os.access(store.layout.tmp, os.W_OK) and os.access(store.layout.locks, os.W_OK)
