"""What of a store the embedded registry serves, and under which names.

Only what can be reached from a name in index.json. An image of Docker Hub is served as ``library/busybox`` (what a
mirror of docker.io is asked for), as ``busybox``, and by its full name ``docker.io/library/busybox``; an image of
another registry by its full name, ``ghcr.io/owner/name``. Where the registry has a port, which no repository name can
have, or is localhost, the repository alone is the name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pyrt.errors import ImageError, ImageNotFound, InvalidReference
from pyrt.oci import limits, media_types
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.oci.document import parse_json
from pyrt.oci.reference import DEFAULT_REGISTRY, Reference
from pyrt.registry.members import DirectoryMembers, read
from pyrt.registry.oci_layout import REF_NAME, blob_name, read_index
from pyrt.values import dataclass

_DOCUMENTS = media_types.INDEXES | media_types.MANIFESTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """The images under one name: by tag, and those that only a digest names."""

    tags: Mapping[str, Descriptor]
    untagged: tuple[Descriptor, ...] = ()

    def tops(self) -> tuple[Descriptor, ...]:
        return (*self.tags.values(), *self.untagged)


class ServedStore:
    """The store at ``root``, an OCI image layout, read anew for every request, because it changes meanwhile."""

    def __init__(self, root: str) -> None:
        self._members = DirectoryMembers(root)

    def repository(self, name: str) -> Repository | None:
        """The images under ``name``, None where there are none."""
        try:
            entries = read_index(self._members)
        except ImageNotFound:
            return None
        return catalog(entries).get(name)

    def find(self, repository: Repository, digest: Digest) -> Descriptor | None:
        """The descriptor of what has ``digest`` and belongs to an image of ``repository``."""
        for top in repository.tops():
            for descriptor in self._reachable(top, limits.INDEX_DEPTH):
                if descriptor.digest == digest:
                    return descriptor
        return None

    def open(self, digest: Digest) -> tuple[int, int]:
        """A file descriptor of a blob, and its size in bytes. ImageNotFound where the store does not have it."""
        return self._members.open(blob_name(digest))

    def close(self) -> None:
        self._members.close()

    def _reachable(self, top: Descriptor, depth: int) -> Iterator[Descriptor]:
        yield top
        if top.media_type not in _DOCUMENTS or depth < 0:
            return
        for child in self._children(top.digest):
            yield from self._reachable(child, depth - 1)

    def _children(self, digest: Digest) -> tuple[Descriptor, ...]:
        """What a document points at. An index names platforms that were never pulled: those have nothing below them."""
        try:
            document = parse_json(read(self._members, blob_name(digest), limits.JSON_BYTES), "manifest")
            parts = (*document.children("manifests"), *document.children("layers"))
            config = document.optional("config")
            return tuple(Descriptor.from_json(part) for part in ((config, *parts) if config else parts))
        except ImageError:
            return ()


def catalog(entries: tuple[Descriptor, ...]) -> dict[str, Repository]:
    """The repositories that the entries of an index.json make, by all their names."""
    found: dict[str, list[tuple[Reference, Descriptor]]] = {}
    for entry in entries:
        try:
            reference = Reference.parse(entry.annotation(REF_NAME) or "")
        except InvalidReference:
            continue
        for name in served_names(reference):
            found.setdefault(name, []).append((reference, entry))
    return {name: _repository(images) for name, images in found.items()}


def served_names(reference: Reference) -> tuple[str, ...]:
    """The repository names under which an image is served."""
    if reference.registry == DEFAULT_REGISTRY:
        return tuple(dict.fromkeys((reference.repository, reference.name, reference.familiar_name())))
    if ":" in reference.registry or reference.registry == "localhost":
        return (reference.repository,)
    return (reference.name.lower(),)


def _repository(images: list[tuple[Reference, Descriptor]]) -> Repository:
    """Where two registries have an image of one name, Docker Hub's is the one that is served."""
    images.sort(key=lambda image: image[0].registry == DEFAULT_REGISTRY)
    tags = {reference.tag: entry for reference, entry in images if reference.tag is not None}
    untagged = tuple(entry for reference, entry in images if reference.tag is None)
    return Repository(tags=dict(sorted(tags.items())), untagged=untagged)
