"""OCI image layouts, as a directory (``oci:DIR[:REF]``) or as a tar of one (``oci-archive:FILE[:REF]``).

Source: OCI image-spec, image-layout.md. ``REF`` is the annotation org.opencontainers.image.ref.name of an entry of
index.json; without it the layout has to hold exactly one image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyrt.errors import ImageNotFound, InvalidManifest, SizeMismatch
from pyrt.oci import limits
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.oci.document import parse_json
from pyrt.oci.manifest import Index, parse_document
from pyrt.oci.media_types import OCI_INDEX
from pyrt.oci.shown import printable
from pyrt.registry.members import Members, read
from pyrt.registry.source import verified

REF_NAME = "org.opencontainers.image.ref.name"
_SHOWN = 10  # names that an error lists


class LayoutSource:
    """One image of a layout; a ``Source``. ``name`` is its REF, "" for the only image that there is."""

    def __init__(self, members: Members, name: str = "") -> None:
        self._members = members
        self._entries = read_index(members)
        self._chosen = _choose(self._entries, name, members.where)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the layout gives to its images: claims of whoever made it."""
        return _names(self._entries)

    def manifest(self, which: str | Digest | None) -> tuple[bytes, str]:
        if which is None:
            entry = self._chosen
        elif isinstance(which, str):
            entry = _choose(self._entries, which, self._members.where)
        else:
            known = (entry for entry in self._entries if entry.digest == which)
            entry = next(known, Descriptor(media_type="", digest=which, size=None))
        raw = read(self._members, blob_name(entry.digest), limits.JSON_BYTES)
        return verified(raw, entry.digest, f"{self._members.where}: manifest"), entry.media_type

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        name = blob_name(descriptor.digest)
        size = self._members.size(name)
        if descriptor.size is not None and size != descriptor.size:
            message = f"{self._members.where}: {name} has {size} bytes, the manifest says {descriptor.size}"
            raise SizeMismatch(message, expected=descriptor.size, actual=size)
        return self._members.stream(name, offset)

    def close(self) -> None:
        self._members.close()


def read_index(members: Members) -> tuple[Descriptor, ...]:
    """The entries of the layout's index.json, after a look at its version."""
    try:
        marker = parse_json(read(members, "oci-layout", 4096), "oci-layout")
    except ImageNotFound as error:
        hint = "an archive of docker save is named docker-archive:FILE"
        raise ImageNotFound(
            f"{members.where}: not an OCI image layout: it has no oci-layout file", hint=hint
        ) from error
    version = marker.text("imageLayoutVersion")
    if version.partition(".")[0] != "1":
        raise InvalidManifest(f"{members.where}: image layout version {version[:20]!r}, this reads version 1")
    index = parse_document(read(members, "index.json", limits.JSON_BYTES), OCI_INDEX)
    if not isinstance(index, Index):
        raise InvalidManifest(f"{members.where}: index.json is not an index")
    return index.manifests


def blob_name(digest: Digest) -> str:
    """Where a layout has the blob with ``digest``."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _choose(entries: Sequence[Descriptor], name: str, where: str) -> Descriptor:
    if not name and len(entries) == 1:
        return entries[0]
    found = [entry for entry in entries if name and entry.annotation(REF_NAME) == name]
    if len({entry.digest for entry in found}) == 1:
        return found[0]
    names = _names(entries)
    shown = [printable(name, 100) for name in names[:_SHOWN]] + (["..."] if len(names) > _SHOWN else [])
    there = ", ".join(shown) or "no name at all"
    if found:
        raise InvalidManifest(f"{where}: several images are named {name!r}")
    if name:
        raise ImageNotFound(f"{where}: no image is named {name[:200]!r}: there is {there}")
    if not entries:
        raise ImageNotFound(f"{where}: the layout holds no image")
    raise ImageNotFound(
        f"{where}: the layout holds {len(entries)} images: {there}", hint=f"name one of them: {where}:REF"
    )


def _names(entries: Sequence[Descriptor]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for entry in entries if (name := entry.annotation(REF_NAME))))
