"""Archives of ``docker save`` (``docker-archive:FILE[:REF]``), old and new form.

Their manifest.json names a configuration and the layers by member, without digests or sizes: the OCI manifest is built
here. Uncompressed layers have the digests that the configuration lists, and whoever unpacks them checks that; a
compressed one is read once to know its own. Source: moby's image/spec, "Combined Image JSON + Filesystem Changeset
Format".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from pyrt.errors import ImageNotFound, InvalidManifest, InvalidReference, SizeMismatch
from pyrt.oci import limits
from pyrt.oci.decompress import GZIP, ZSTD
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.oci.document import JsonObject, parse_value
from pyrt.oci.image import ImageConfig
from pyrt.oci.manifest import Manifest
from pyrt.oci.media_types import OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from pyrt.oci.reference import Reference
from pyrt.oci.shown import printable
from pyrt.registry.members import read
from pyrt.registry.tar_members import TarMembers

_COMPRESSED = ((GZIP, OCI_LAYER_GZIP), (ZSTD, OCI_LAYER_ZSTD))


class DockerArchiveSource:
    """One image of a docker-archive; a ``Source``.

    ``name`` is one of the archive's RepoTags, ``@N`` its N-th image from 0, or "" for the only one.
    """

    def __init__(self, members: TarMembers, name: str = "") -> None:
        self._members = members
        images = _images(members)
        self._names = tuple(tag for image in images for tag in image.texts("RepoTags"))
        chosen = _choose(images, name, members.where)
        self._blobs: dict[Digest, str] = {}
        self._sums: dict[tuple[int, int], Digest] = {}
        self._manifest = self._build(chosen)

    @property
    def names(self) -> tuple[str, ...]:
        """The RepoTags of all images in the archive: claims of whoever made it."""
        return self._names

    def manifest(self, which: str | Digest | None) -> tuple[bytes, str]:
        if which is not None and which != self._manifest.digest:
            raise ImageNotFound(f"{self._members.where}: no manifest {which} in the archive")
        return self._manifest.raw, self._manifest.media_type

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        name = self._blobs.get(descriptor.digest)
        if name is None:
            raise ImageNotFound(f"{self._members.where}: no blob {descriptor.digest} in the archive")
        size = self._members.size(name)
        if descriptor.size is not None and size != descriptor.size:
            message = f"{self._members.where}: {name} has {size} bytes, wanted {descriptor.size}"
            raise SizeMismatch(message, expected=descriptor.size, actual=size)
        return self._members.stream(name, offset)

    def close(self) -> None:
        self._members.close()

    def _build(self, image: JsonObject) -> Manifest:
        config_name, layer_names = _member(image.text("Config")), image.texts("Layers")
        if len(layer_names) > limits.LAYERS:
            raise InvalidManifest(f"an image of {len(layer_names)} layers, more than {limits.LAYERS}")
        raw = read(self._members, config_name, limits.JSON_BYTES)
        config = ImageConfig.parse(raw)
        if len(config.diff_ids) != len(layer_names):
            raise InvalidManifest(f"{len(layer_names)} layers in manifest.json, {len(config.diff_ids)} diff ids")
        self._blobs[config.digest] = config_name
        layers = tuple(map(self._layer, map(_member, layer_names), config.diff_ids))
        return Manifest.build(Descriptor(media_type=OCI_CONFIG, digest=config.digest, size=len(raw)), layers)

    def _layer(self, name: str, diff_id: Digest) -> Descriptor:
        head = self._members.head(name, 4)
        packed = next((kind for magic, kind in _COMPRESSED if head.startswith(magic)), None)
        digest = self._sum(name) if packed else diff_id
        self._blobs[digest] = name
        return Descriptor(media_type=packed or OCI_LAYER, digest=digest, size=self._members.size(name))

    def _sum(self, name: str) -> Digest:
        """Once for each stretch of the archive: 500 layers may be one member of a gigabyte, by 500 names."""
        place = self._members.place(name)
        if place not in self._sums:
            self._sums[place] = self._hash(name)
        return self._sums[place]

    def _hash(self, name: str) -> Digest:
        hasher = hashlib.sha256()
        for chunk in self._members.stream(name):
            hasher.update(chunk)
        return Digest(algorithm="sha256", hex=hasher.hexdigest())


def _member(name: str) -> str:
    """A member as the table of the archive spells it; what is not in that table does not exist."""
    return name.removeprefix("./")


def _images(members: TarMembers) -> tuple[JsonObject, ...]:
    if not members.has("manifest.json"):
        hint = "a tar of an OCI image layout is named oci-archive:FILE" if members.has("oci-layout") else ""
        raise ImageNotFound(f"{members.where}: not an archive of docker save: it has no manifest.json", hint=hint)
    raw = read(members, "manifest.json", limits.ARCHIVE_MANIFEST_BYTES)
    document = JsonObject(members.where, {"manifest.json": parse_value(raw, "manifest.json")})
    return document.children("manifest.json")


def _choose(images: tuple[JsonObject, ...], name: str, where: str) -> JsonObject:
    if name.startswith("@"):
        number = name[1:]
        if not (number.isascii() and number.isdigit() and len(number) < 6 and int(number) < len(images)):
            raise ImageNotFound(f"{where}: no image {name[:20]}: the archive holds {len(images)}")
        return images[int(number)]
    if not name:
        if len(images) != 1:
            hint = f"name one of them: {where}:REF, or {where}:@0 for the first"
            raise ImageNotFound(f"{where}: the archive holds {len(images)} images: {_tags(images)}", hint=hint)
        return images[0]
    wanted = _normal(name)
    for image in images:
        if wanted in map(_normal, image.texts("RepoTags")):
            return image
    raise ImageNotFound(f"{where}: no image is named {name[:200]!r}: there is {_tags(images)}")


def _normal(tag: str) -> str:
    try:
        return str(Reference.parse(tag))
    except InvalidReference:
        return tag


def _tags(images: tuple[JsonObject, ...]) -> str:
    tags = [tag for image in images for tag in image.texts("RepoTags")]
    return ", ".join(printable(tag, 100) for tag in tags[:10]) or "no name at all"
