"""An image with one layer of any size, written without ever being in memory."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import BinaryIO

from isal import igzip

from pyrt.oci import media_types
from tests.support import images

MEGABYTE = 1 << 20
FILE_SIZE = 256 * MEGABYTE


class _Hashed(io.RawIOBase):
    """Passes on what is written, and knows its sha256."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:  # type: ignore[no-untyped-def]
        self.sha256.update(data)
        self._target.write(data)
        return len(data)


class _Repeated(io.RawIOBase):
    """A file of ``block`` again and again."""

    def __init__(self, block: bytes) -> None:
        self._block = block

    def read(self, size: int = -1) -> bytes:
        return (self._block * (size // len(self._block) + 1))[:size]


def write_layout(directory: Path, name: str, megabytes: int) -> None:
    """Makes ``directory`` an OCI image layout with the image ``name``, whose one gzip layer unpacks to ``megabytes``."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    unnamed = blobs / "unnamed"
    with unnamed.open("wb") as file:
        packed = _Hashed(file)
        with igzip.open(packed, "wb", compresslevel=0) as stream:  # type: ignore[no-untyped-call]
            tar = _Hashed(stream)
            _write_tar(tar, megabytes)
    digest = packed.sha256.hexdigest()
    unnamed.rename(blobs / digest)
    layer = {
        "mediaType": media_types.OCI_LAYER_GZIP,
        "digest": f"sha256:{digest}",
        "size": (blobs / digest).stat().st_size,
    }
    _write_documents(directory, name, layer, f"sha256:{tar.sha256.hexdigest()}")


def _write_tar(target: _Hashed, megabytes: int) -> None:
    content = _Repeated(os.urandom(MEGABYTE // 2).hex().encode())  # deflate halves it
    with tarfile.open(fileobj=target, mode="w|") as archive:
        left = megabytes * MEGABYTE
        while left:
            info = tarfile.TarInfo(f"file{left // MEGABYTE}")
            info.size = min(left, FILE_SIZE)
            archive.addfile(info, content)
            left -= info.size


def _write_documents(directory: Path, name: str, layer: dict[str, object], diff_id: str) -> None:
    """The image's configuration, manifest and index, as tests/support/images.py makes them for a layer in memory."""
    blank = images.image([images.Blob(media_type=media_types.OCI_LAYER_GZIP, content=b"", diff_id=diff_id)])
    config = blank.blobs[1]
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": config.descriptor(),
        "layers": [layer],
    }
    top = images.Blob(media_type=media_types.OCI_MANIFEST, content=images.encode(manifest))
    images.write_layout(directory, {name: images.BuiltImage(top=top, blobs=(top, config))})
