"""Descriptors: how one document points at another piece of content.

Source: OCI image-spec, descriptor.md.
"""

from __future__ import annotations

import re

from pyrt.errors import InvalidManifest, UsageError
from pyrt.oci.digest import Digest
from pyrt.oci.platform import Platform
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.oci.document import JsonObject

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
_MAX_SIZE = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """Some content by type, digest and size in bytes.

    ``size`` is None only for the layers of a schema 1 manifest, which does not say it. ``platform`` is None where the
    document names none. ``urls`` are kept and never followed.
    """

    media_type: str
    digest: Digest
    size: int | None
    annotations: tuple[tuple[str, str], ...] = ()
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    artifact_type: str = ""

    @classmethod
    def from_json(cls, value: JsonObject) -> Descriptor:
        """The descriptor that an object of a document spells; InvalidManifest where it is none."""
        media_type = value.text("mediaType")
        if _MEDIA_TYPE.fullmatch(media_type) is None:
            raise InvalidManifest(f"{value.where}.mediaType is not a media type: {media_type[:100]!r}")
        size = value.integer("size")
        if not 0 <= size <= _MAX_SIZE:
            raise InvalidManifest(f"{value.where}.size is out of range: {size}")
        descriptor = cls(
            media_type=media_type,
            digest=digest_field(value, "digest"),
            size=size,
            annotations=value.pairs("annotations"),
            platform=_platform(value.optional("platform")),
            urls=value.texts("urls"),
            artifact_type=value.text("artifactType", ""),
        )
        _check_data(value, descriptor)
        return descriptor

    def annotation(self, name: str) -> str | None:
        """The value of the annotation ``name``, None where there is none."""
        return dict(self.annotations).get(name)

    def to_json(self) -> dict[str, object]:
        """This descriptor as a JSON object, in the order in which image-spec lists the fields."""
        value: dict[str, object] = {"mediaType": self.media_type, "digest": str(self.digest)}
        if self.size is not None:
            value["size"] = self.size
        if self.urls:
            value["urls"] = list(self.urls)
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        if self.platform is not None:
            platform = {"architecture": self.platform.architecture, "os": self.platform.os}
            value["platform"] = platform | ({"variant": self.platform.variant} if self.platform.variant else {})
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        return value


def digest_field(value: JsonObject, name: str) -> Digest:
    """The digest in the field ``name``; InvalidManifest where it is none."""
    try:
        return Digest.parse(value.text(name))
    except UsageError as error:
        raise InvalidManifest(f"{value.where}.{name}: {error}") from error


def _platform(value: JsonObject | None) -> Platform | None:
    if value is None:
        return None
    system, architecture = value.text("os", ""), value.text("architecture", "")
    if not system and not architecture:
        return None
    return Platform(os=system, architecture=architecture, variant=value.text("variant", ""))


def _check_data(value: JsonObject, descriptor: Descriptor) -> None:
    """An embedded copy of the content has to be that content (descriptor.md, "data"). It is not used further."""
    if not value.has("data"):
        return
    import base64
    import binascii

    try:
        data = base64.b64decode(value.text("data"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidManifest(f"{value.where}.data is not base64: {error}") from error
    hasher = descriptor.digest.hasher()
    hasher.update(data)
    if len(data) != descriptor.size or not descriptor.digest.matches(hasher):
        raise InvalidManifest(f"{value.where}.data does not have the size and digest of its descriptor")
