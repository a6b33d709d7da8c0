"""An image made whole again: what is missing of it is fetched from where it came, by digest, so nothing else can come.

What an archive or a schema 1 manifest was made into has no place where it could be fetched; neither has an image that lost
its name.
"""

from __future__ import annotations

from contextlib import suppress

from pyrt.errors import ImageError, ImageNotFound
from pyrt.image_pull import open_source
from pyrt.local_image import layers_of, needs
from pyrt.oci.image import Image, ImageConfig
from pyrt.oci.manifest import Manifest, parse_document
from pyrt.resolution import read_config, verify
from pyrt.store.ingest import ingest
from pyrt.store.leases import lease
from pyrt.store.staging import sync_file_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyrt.oci.descriptor import Descriptor
    from pyrt.registry.source import Source
    from pyrt.store.images import ImageRecord
    from pyrt.store.store import Store


def restore(record: ImageRecord, store: Store, environ: Mapping[str, str]) -> None:
    """Fetches the blobs of an image that are not in the store. Raises ImageError, RegistryError, StoreError."""
    if record.reference is None:
        raise ImageNotFound(f"image {record.descriptor.digest}: has no name to fetch it by")
    source, _ = open_source(f"{record.reference.name}@{record.descriptor.digest}", store, environ)
    try:
        with lease(store.layout) as held:
            held.add([record.descriptor.digest])
            manifest = _manifest(record.descriptor, source, store)
            held.add([manifest.config.digest, *(layer.digest for layer in manifest.layers)])
            config = _config(manifest.config, source, store)
            held.add(needs(manifest, config))
            layers = layers_of(Image(manifest=manifest, config=config))
            missing = [layer for layer in layers if not store.content.has(layer.blob.digest)]
            ingest(missing, source.blob, store, held, None, getattr(source, "reject", None))
            sync_file_system(store.layout.root)
    finally:
        source.close()


def _manifest(descriptor: Descriptor, source: Source, store: Store) -> Manifest:
    raw = _kept(descriptor, store)
    if raw is None:
        raw, _ = source.manifest(descriptor.digest)
        verify(raw, descriptor, "manifest")
        store.content.keep(descriptor, raw)
    document = parse_document(raw, descriptor.media_type, descriptor.digest)
    if not isinstance(document, Manifest):
        raise ImageNotFound(f"manifest {descriptor.digest}: not one image's")
    return document


def _config(descriptor: Descriptor, source: Source, store: Store) -> ImageConfig:
    raw = _kept(descriptor, store)
    if raw is None:
        raw = read_config(source, descriptor)
        store.content.keep(descriptor, raw)
    return ImageConfig.parse(raw, descriptor.digest)


def _kept(descriptor: Descriptor, store: Store) -> bytes | None:
    """A document that is here and whole."""
    with suppress(ImageError):
        raw = store.content.read(descriptor.digest)
        verify(raw, descriptor, "document")
        return raw
    return None
