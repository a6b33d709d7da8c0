"""Manifests and indexes: what a registry or an archive answers for a name.

The raw bytes stay beside the parsed value, because the digest is of the bytes. Sources: OCI image-spec, manifest.md and
image-index.md; Docker image manifest version 2, schema 2 and its manifest list.
"""

from __future__ import annotations

from pyrt.errors import InvalidManifest, Unsupported
from pyrt.oci import limits, media_types
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.oci.document import JsonObject, parse_json, to_bytes
from pyrt.oci.shown import printable
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.oci.schema1 import Schema1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One image for one platform: the descriptors of its configuration and of its layers, the lowest layer first."""

    raw: bytes
    media_type: str
    digest: Digest
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: tuple[tuple[str, str], ...] = ()

    @classmethod
    def build(cls, config: Descriptor, layers: tuple[Descriptor, ...]) -> Manifest:
        """An OCI manifest for content that came without one (docker-archive, schema 1). All sizes have to be known."""
        if any(entry.size is None for entry in (config, *layers)):
            raise InvalidManifest("a manifest needs the size of every layer")
        raw = to_bytes(
            {
                "schemaVersion": 2,
                "mediaType": media_types.OCI_MANIFEST,
                "config": config.to_json(),
                "layers": [layer.to_json() for layer in layers],
            }
        )
        document = parse_document(raw, media_types.OCI_MANIFEST)
        assert isinstance(document, cls)
        return document

    def descriptor(self) -> Descriptor:
        """What an index says of this manifest."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=len(self.raw))


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A list of manifests, one for each platform; see ``pyrt.oci.platform.choose``. Entries may be indexes again."""

    raw: bytes
    media_type: str
    digest: Digest
    manifests: tuple[Descriptor, ...]
    annotations: tuple[tuple[str, str], ...] = ()


def parse_document(raw: bytes, content_type: str | None, digest: Digest | None = None) -> Manifest | Index | Schema1:
    """The manifest or index in ``raw``, which was served as ``content_type`` (None or "" where nobody said). A ``digest``
    that is given is taken for granted: it was verified when the document was stored.

    Raises InvalidManifest for what the specifications do not allow, for a document that could be read as two kinds
    (CVE-2021-41190), and for artifacts that are no image; Unsupported for layers that are not distributed.
    """
    document = parse_json(raw, "manifest")
    said = (content_type or "").partition(";")[0].strip().lower()
    said = "" if said in media_types.GENERIC else said
    version = document.integer("schemaVersion")
    if version == 1:
        if said and said not in media_types.SCHEMA1S:
            raise InvalidManifest(f"a schema 1 manifest that was served as {printable(said, 100)}")
        from pyrt.oci.schema1 import Schema1  # rare, and not for the start of a cached image to load

        return Schema1.parse(raw)
    if version != 2:
        raise InvalidManifest(f"manifest.schemaVersion is {version}, it has to be 1 or 2")
    media_type = _media_type(document, said)
    digest = digest or Digest.of(raw)
    if media_type in media_types.INDEXES:
        return _index(document, raw, media_type, digest)
    return _manifest(document, raw, media_type, digest)


def _media_type(document: JsonObject, said: str) -> str:
    """What the document is, by its own words, by the server's and by its fields: all have to agree."""
    written = document.text("mediaType", "")
    if written and said and written != said:
        raise InvalidManifest(f"a manifest that says {printable(written, 100)} was served as {printable(said, 100)}")
    is_index = "manifests" in document.fields
    if is_index and not document.fields.keys().isdisjoint({"config", "layers", "fsLayers"}):
        raise InvalidManifest("a manifest that is both an index and an image")
    media_type = written or said or (media_types.OCI_INDEX if is_index else media_types.OCI_MANIFEST)
    if media_type not in media_types.INDEXES | media_types.MANIFESTS:
        raise InvalidManifest(f"a manifest of type {printable(media_type, 100)}, which is none of an image or an index")
    if is_index != (media_type in media_types.INDEXES):
        raise InvalidManifest(f"a manifest of type {media_type} that has {'' if is_index else 'no '}manifests")
    return media_type


def _index(document: JsonObject, raw: bytes, media_type: str, digest: Digest) -> Index:
    entries = document.children("manifests")
    if len(entries) > limits.INDEX_ENTRIES:
        raise InvalidManifest(f"an index of {len(entries)} entries, more than {limits.INDEX_ENTRIES}")
    return Index(
        raw=raw,
        media_type=media_type,
        digest=digest,
        manifests=tuple(Descriptor.from_json(entry) for entry in entries),
        annotations=document.pairs("annotations"),
    )


def _manifest(document: JsonObject, raw: bytes, media_type: str, digest: Digest) -> Manifest:
    config = Descriptor.from_json(document.child("config"))
    if config.media_type not in media_types.CONFIGS:
        kind = document.text("artifactType", "") or config.media_type
        raise InvalidManifest(f"not an image: an artifact of type {printable(kind, 100)}")
    entries = document.children("layers")
    if len(entries) > limits.LAYERS:
        raise InvalidManifest(f"an image of {len(entries)} layers, more than {limits.LAYERS}")
    layers = tuple(Descriptor.from_json(entry) for entry in entries)
    for number, layer in enumerate(layers, 1):
        _check_layer(number, layer.media_type)
    return Manifest(
        raw=raw,
        media_type=media_type,
        digest=digest,
        config=config,
        layers=layers,
        annotations=document.pairs("annotations"),
    )


def _check_layer(number: int, media_type: str) -> None:
    if media_type in media_types.FOREIGN_LAYERS:
        raise Unsupported(f"layer {number} is not distributed by the registry ({media_type})")
    if media_type.endswith("+encrypted"):
        raise Unsupported(f"layer {number} is encrypted ({media_type})")
    if media_type not in media_types.LAYERS:
        raise InvalidManifest(f"layer {number} is of type {media_type}, which is no file system layer")
