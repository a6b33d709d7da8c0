"""From a source to the documents of one platform's image: indexes are followed, every digest on the way is checked."""

from __future__ import annotations

from pyrt.errors import DigestMismatch, InvalidManifest, SizeMismatch
from pyrt.oci import limits
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.oci.manifest import Index, Manifest, parse_document
from pyrt.oci.platform import Platform, choose
from pyrt.oci.schema1 import Schema1
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.registry.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a name leads to: a platform's manifest. ``digest`` is the first document's, which the name stands for."""

    document: Manifest | Schema1
    digest: Digest


def resolve(source: Source, pinned: Digest | None, wanted: Platform) -> Resolved:
    """Follow indexes to one platform's manifest; ``pinned`` is the digest that the user asked for.

    Raises PlatformNotFound, InvalidManifest, DigestMismatch, SizeMismatch, and what the source raises.
    """
    raw, content_type = source.manifest(None)
    document = parse_document(raw, content_type)
    first = document.digest
    if pinned is not None and pinned.algorithm == first.algorithm and pinned != first:
        raise DigestMismatch(f"manifest: digest {first}, wanted {pinned}", expected=str(pinned), actual=str(first))
    for _ in range(limits.INDEX_DEPTH):
        if not isinstance(document, Index):
            break
        entry = choose(wanted, document.manifests)
        raw, content_type = source.manifest(entry.digest)
        verify(raw, entry, "manifest")
        document = parse_document(raw, content_type or entry.media_type)
    if isinstance(document, Index):
        raise InvalidManifest(f"an index inside {limits.INDEX_DEPTH} others")
    return Resolved(document=document, digest=first)


def read_config(source: Source, descriptor: Descriptor) -> bytes:
    """The raw image configuration, verified; raises InvalidManifest (too large), SizeMismatch, DigestMismatch."""
    size = descriptor.size
    if size is None or size > limits.JSON_BYTES:
        raise InvalidManifest(f"an image configuration of {size} bytes, more than {limits.JSON_BYTES}")
    raw = bytearray()
    for chunk in source.blob(descriptor):
        raw += chunk
        if len(raw) > size:
            break
    verify(raw, descriptor, "image configuration")
    return bytes(raw)


def verify(raw: bytes | bytearray, descriptor: Descriptor, what: str) -> None:
    """Raises SizeMismatch or DigestMismatch unless ``raw`` is what ``descriptor`` says; ``what`` names it in errors."""
    digest, size = descriptor.digest, descriptor.size
    if size is not None and len(raw) != size:
        message = f"{what} {digest}: {len(raw)} bytes, its descriptor says {size}"
        raise SizeMismatch(message, expected=size, actual=len(raw))
    hasher = digest.hasher()
    hasher.update(raw)
    if not digest.matches(hasher):
        actual = f"{digest.algorithm}:{hasher.hexdigest()}"
        message = f"{what} {digest}: the bytes have digest {actual}"
        raise DigestMismatch(message, expected=str(digest), actual=actual)
