"""The image that is here already: found by name or id, whole, and for the platform that is asked for."""

from __future__ import annotations

from pyrt.errors import ImageError, ImageNotFound, InvalidReference, UsageError
from pyrt.oci.platform import matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyrt.oci.descriptor import Descriptor
    from pyrt.oci.digest import Digest
    from pyrt.oci.image import Image, ImageConfig
    from pyrt.oci.manifest import Manifest
    from pyrt.oci.platform import Platform
    from pyrt.oci.reference import Reference
    from pyrt.store.images import ImageRecord
    from pyrt.store.ingest import Layer
    from pyrt.store.progress import Progress
    from pyrt.store.store import Store


def local(
    text: str, wanted: Platform | None, store: Store, progress: Progress | None, environ: Mapping[str, str]
) -> Image | None:
    """The image where it is here for the platform asked for; unpacked anew where only its blobs are here."""
    record = lookup(text, store, environ)
    if record is None:
        return None
    try:
        image = store.images.load(record)
    except ImageError:  # a blob is gone or damaged, or another tool has put an index here
        return None
    if wanted is not None and not matches(wanted, image.config.platform):
        return None
    return image if store.images.present(image) or unpack_kept(image, store, progress) else None


def lookup(text: str, store: Store, environ: Mapping[str, str]) -> ImageRecord | None:
    """The image that a name or an id means here; a short name also by what registries.conf makes of it."""
    name = text.removeprefix("docker://")
    try:
        return store.images.find(name)
    except InvalidReference:
        raise
    except (UsageError, ImageNotFound):  # the abbreviation of several ids may still be a name at a registry
        records = (store.images.get(reference) for reference in meanings(name, environ))
        return next((record for record in records if record is not None), None)


def unpack_kept(image: Image, store: Store, progress: Progress | None) -> bool:
    """Unpack an image whose blobs are all here (another tool copied it into the layout); False where they are not."""
    from pyrt.store.ingest import ingest
    from pyrt.store.leases import lease

    with lease(store.layout) as held:
        held.add(needs(image.manifest, image.config))
        if not all(store.content.has(layer.digest) for layer in image.layers):
            return False
        try:
            ingest(layers_of(image), no_source, store, held, progress)
        except ImageNotFound:  # a blob was damaged
            return False
    return True


def no_source(descriptor: Descriptor, offset: int) -> Iterator[bytes]:
    """Where blobs come from that were all here a moment ago."""
    raise ImageNotFound(f"blob {descriptor.digest}: not in the store", hint="pull the image again")


def meanings(text: str, environ: Mapping[str, str]) -> tuple[Reference, ...]:
    """What a name can stand for, by the aliases and search registries of registries.conf; mostly one thing."""
    from pyrt.registry.config_paths import ConfigPaths
    from pyrt.registry.hosts import Hosts

    return Hosts.load(ConfigPaths.from_environ(environ)).candidates(text)


def needs(manifest: Manifest, config: ImageConfig) -> list[Digest]:
    """Everything that an image consists of."""
    return [manifest.digest, manifest.config.digest, *(layer.digest for layer in manifest.layers), *config.diff_ids]


def layers_of(image: Image) -> list[Layer]:
    """The layers with their diff ids (image-spec, config.md: in the same order)."""
    from pyrt.store.ingest import Layer

    return [Layer(blob=blob, diff_id=diff_id) for blob, diff_id in zip(image.layers, image.diff_ids, strict=True)]
