"""Which images there are: the entries of ``index.json``, an OCI image index that any OCI tool reads.

An entry's name is the annotation ``org.opencontainers.image.ref.name`` (image-spec, annotations.md) with the canonical
reference, so ``skopeo inspect oci:ROOT:docker.io/library/busybox:latest`` works, and what skopeo copies here is found.
An entry without a name is an image whose name went to another one (docker's ``<none>``).
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress

from pyrt.errors import ImageNotFound, InvalidManifest, InvalidReference, PyrtError, StoreError, UsageError
from pyrt.oci import media_types
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.oci.document import JsonObject
from pyrt.oci.image import Image, ImageConfig
from pyrt.oci.manifest import Manifest, parse_document
from pyrt.oci.reference import Reference
from pyrt.store.layout import refused
from pyrt.store.locks import hold
from pyrt.store.staging import replace
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.store.content import Content
    from pyrt.store.layers import Layers
    from pyrt.store.layout import StoreLayout

REF_NAME = "org.opencontainers.image.ref.name"
RESOLVED = "io.pyrt.resolved"
KEPT_IMAGES = 256  # parsed, in memory
IDENTIFIER = re.compile(r"(?:sha256:)?[a-f0-9]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """One entry of the index.

    ``reference`` is None for an image that lost its name. ``descriptor`` is the manifest's. ``resolved`` is the digest
    that the registry has for the reference: an index's for most images, else the manifest's own.
    """

    reference: Reference | None
    descriptor: Descriptor
    resolved: Digest

    @property
    def name(self) -> str:
        """The canonical reference, "<none>" without one."""
        return "<none>" if self.reference is None else str(self.reference)


class Images:
    """The images of one store. Reading takes no lock: the index is replaced by rename."""

    def __init__(self, layout: StoreLayout, content: Content, layers: Layers) -> None:
        self._layout = layout
        self._content = content
        self._layers = layers
        self._listed: tuple[tuple[int, int, int] | None, tuple[ImageRecord, ...]] = (None, ())
        self._loaded: dict[Digest, Image] = {}  # never wrong: the key is the digest of all that is in it

    def list(self) -> tuple[ImageRecord, ...]:
        """All images in the order of the index; raises StoreError where the index is damaged."""
        version = version_of(self._layout.index)
        known, records = self._listed
        if version is None or version != known:
            records = tuple(record for item in read_index(self._layout.index) if (record := parse_entry(item)))
            self._listed = (version, records)
        return records

    def get(self, reference: Reference) -> ImageRecord | None:
        """The image with exactly this name; for ``name@digest`` also one that was pulled as that by its tag."""
        wanted = str(reference)
        records = self.list()
        for record in records:
            if record.reference is not None and str(record.reference) == wanted:
                return record
        for record in records:
            named = record.reference is not None and record.reference.name == reference.name
            if named and reference.digest in (record.descriptor.digest, record.resolved):
                return record
        return None

    def find(self, text: str) -> ImageRecord:
        """An image by name, or by id or digest, also abbreviated. Raises ImageNotFound, UsageError (ambiguous)."""
        try:
            record = self.get(Reference.parse(text))
        except InvalidReference:
            if not IDENTIFIER.fullmatch(text):
                raise
            record = None
        if record is None and IDENTIFIER.fullmatch(text):
            record = self._by_identifier(text)
        if record is None:
            raise ImageNotFound(f"image {text}: not in the store", hint=f"pyrt pull {text}")
        return record

    def matching(self, record: ImageRecord) -> tuple[ImageRecord, ...]:
        """All entries of the same image (the same manifest), this one included."""
        return tuple(other for other in self.list() if other.descriptor.digest == record.descriptor.digest)

    def load(self, record: ImageRecord) -> Image:
        """The manifest and configuration of an image; raises ImageNotFound where a blob is gone, InvalidManifest."""
        digest = record.descriptor.digest
        image = self._loaded.get(digest)
        if image is None:
            manifest = self.manifest(record)
            raw = self._content.read(manifest.config.digest)
            image = Image(manifest=manifest, config=ImageConfig.parse(raw, manifest.config.digest))
            if len(self._loaded) >= KEPT_IMAGES:
                self._loaded.clear()
            self._loaded[digest] = image
        return image

    def manifest(self, record: ImageRecord) -> Manifest:
        """The manifest of an image; raises as ``load``."""
        descriptor = record.descriptor
        document = parse_document(self._content.read(descriptor.digest), descriptor.media_type, descriptor.digest)
        if not isinstance(document, Manifest):
            raise InvalidManifest(f"image {record.name}: {descriptor.media_type} is not one image's manifest")
        return document

    def present(self, image: Image) -> bool:
        """Whether every layer is unpacked here, so that the image can run."""
        return all(self._layers.has(diff_id) for diff_id in image.diff_ids)

    def set(self, reference: Reference, descriptor: Descriptor, *, resolved: Digest | None = None) -> None:
        """Give ``reference`` to an image, durably. An image that loses its last name by this stays, without one."""
        with hold(self._layout.lock("index")):
            entries = read_index(self._layout.index)
            losing = [item for item in entries if name_of(item) == str(reference)]
            entries = [item for item in entries if name_of(item) != str(reference)]
            for item in losing:
                if not any(digest_of(other) == digest_of(item) for other in entries):
                    entries.append(without_name(item))
            digest = str(descriptor.digest)
            entries = [item for item in entries if name_of(item) or digest_of(item) != digest]
            entries.append(new_entry(reference, descriptor, resolved))
            write_index(self._layout, entries)

    def remove(self, *records: ImageRecord) -> None:
        """Take entries out of the index, all at once and durably. The blobs stay until they are collected."""
        going = {(record.reference and str(record.reference), str(record.descriptor.digest)) for record in records}
        with hold(self._layout.lock("index")):
            entries = read_index(self._layout.index)
            write_index(self._layout, [item for item in entries if (name_of(item), digest_of(item)) not in going])

    def _by_identifier(self, text: str) -> ImageRecord | None:
        """By a prefix of the image's id (its configuration's digest) or of its manifest's digest."""
        prefix = text.removeprefix("sha256:")
        found: dict[Digest, ImageRecord] = {}
        for record in self.list():
            digests = [record.descriptor.digest]
            with suppress(PyrtError):  # another tool's entry, or a damaged one, still has its own digest
                digests.append(self.manifest(record).config.digest)
            if any(digest.hex.startswith(prefix) for digest in digests):
                found.setdefault(record.descriptor.digest, record)
        if len(found) > 1:
            raise UsageError(f"image {text}: {len(found)} images begin with that", hint="give more digits")
        return next(iter(found.values()), None)


def version_of(path: str) -> tuple[int, int, int] | None:
    """What changes whenever the file is replaced, None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def read_index(path: str) -> list[dict[str, object]]:
    """The entries of an index as they are, with what other tools have written; raises StoreError where it is damaged.
    """
    try:
        with open(path, "rb") as file:
            document = json.load(file)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise refused(path, error) from error
    except (ValueError, RecursionError) as error:
        raise damaged(path) from error
    entries = document.get("manifests") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise damaged(path)
    return [item for item in entries if isinstance(item, dict)]


def damaged(path: str) -> StoreError:
    return StoreError(f"store {path}: not an OCI index", hint="pyrt check --repair makes it again of what is here")


def write_index(layout: StoreLayout, entries: list[dict[str, object]]) -> None:
    """Replace the index, durably."""
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}
    replace(layout, layout.index, json.dumps(document, separators=(",", ":")).encode())


def parse_entry(item: dict[str, object]) -> ImageRecord | None:
    """The record for an entry; None for one that cannot be read: it concerns that one image only."""
    try:
        descriptor = Descriptor.from_json(JsonObject("index entry", item))
        name, resolved = descriptor.annotation(REF_NAME), descriptor.annotation(RESOLVED)
        return ImageRecord(
            reference=Reference.parse(name) if name else None,
            descriptor=descriptor,
            resolved=Digest.parse(resolved) if resolved else descriptor.digest,
        )
    except PyrtError:
        return None


def annotations_of(item: dict[str, object]) -> dict[str, object]:
    found = item.get("annotations")
    return found if isinstance(found, dict) else {}


def name_of(item: dict[str, object]) -> str | None:
    """The canonical name of an entry, whatever tool wrote it; None without one."""
    name = annotations_of(item).get(REF_NAME)
    if not isinstance(name, str) or not name:
        return None
    try:
        return str(Reference.parse(name))
    except InvalidReference:
        return name


def digest_of(item: dict[str, object]) -> str:
    return str(item.get("digest", ""))


def without_name(item: dict[str, object]) -> dict[str, object]:
    """The same entry as one that lost its name."""
    kept = {key: value for key, value in annotations_of(item).items() if key != REF_NAME}
    rest = {key: value for key, value in item.items() if key != "annotations"}
    return rest | ({"annotations": kept} if kept else {})


def new_entry(reference: Reference, descriptor: Descriptor, resolved: Digest | None) -> dict[str, object]:
    names = {REF_NAME: str(reference)}
    if resolved is not None and resolved != descriptor.digest:
        names[RESOLVED] = str(resolved)
    annotations = {key: value for key, value in descriptor.annotations if key != RESOLVED} | names
    return descriptor.to_json() | {"annotations": annotations}
