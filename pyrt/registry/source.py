"""What every place that images come from can do, whether registry, directory or archive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pyrt.errors import DigestMismatch
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest


class Source(Protocol):
    """A place to get one image from. The methods may be called from several threads at once."""

    def manifest(self, which: str | Digest | None) -> tuple[bytes, str]:
        """The raw bytes and the content type ("" where nobody says) of a manifest or index.

        ``which`` is a tag, a digest, or None for the one that the source was opened for. Bytes that were asked for by
        digest have that digest. Raises ImageNotFound, DigestMismatch, InvalidManifest, RegistryError.
        """

    def blob(self, descriptor: Descriptor, offset: int = 0) -> Iterator[bytes]:
        """The stored bytes of a blob from ``offset`` on, in chunks. Size and digest are the reader's to check."""

    def close(self) -> None:
        """Gives back files and connections."""


def verified(raw: bytes, digest: Digest, what: str) -> bytes:
    """``raw``, if it has ``digest``; DigestMismatch otherwise."""
    hasher = digest.hasher()
    hasher.update(raw)
    if not digest.matches(hasher):
        actual = f"{digest.algorithm}:{hasher.hexdigest()}"
        raise DigestMismatch(f"{what} has digest {actual}, wanted {digest}", expected=str(digest), actual=actual)
    return raw
