"""Blobs by digest: the ``blobs`` directory of the OCI image layout (image-spec, image-layout.md).

A blob that is there was verified while it was written and never changes. Writers of one digest take turns, in all
processes; what a killed writer left is taken up by the next one that wants the same blob.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from pyrt.errors import DigestMismatch, ImageNotFound, SizeMismatch
from pyrt.oci import limits, media_types
from pyrt.oci.decompress import GZIP, SKIPPABLE, ZSTD
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.store.layout import is_there, own, refused
from pyrt.store.staging import discard, named_entry, replace, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from hashlib import _Hash

    from pyrt.store.layout import StoreLayout

READ = 1 << 18  # bytes at once, where a blob is read as a stream
_WRITE_OUT_STEP = 4 << 20  # bytes, after which the kernel is told to begin with what is written: less is left for the end


class Content:
    """The blobs of one store."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout

    def path(self, digest: Digest) -> str:
        """Where the blob is or would be."""
        return self._layout.blob(digest)

    def has(self, digest: Digest) -> bool:
        return is_there(self._layout.blob(digest))

    def size(self, digest: Digest) -> int:
        """In bytes; raises ImageNotFound."""
        fd = self.open(digest)
        try:
            return os.fstat(fd).st_size
        finally:
            os.close(fd)

    def open(self, digest: Digest) -> int:
        """A descriptor for reading, which the caller closes; raises ImageNotFound."""
        path = self._layout.blob(digest)
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise ImageNotFound(f"blob {digest}: not in the store", hint="pull the image again") from None
        except OSError as error:
            raise refused(path, error) from error

    def read(self, digest: Digest, limit: int = limits.JSON_BYTES) -> bytes:
        """A whole small blob; raises ImageNotFound, and SizeMismatch where it has more than ``limit`` bytes."""
        fd = self.open(digest)
        with open(fd, "rb", buffering=0) as file:
            size = os.fstat(fd).st_size
            if size > limit:
                raise SizeMismatch(f"blob {digest}: {size} bytes, at most {limit} here", expected=limit, actual=size)
            return file.readall()

    def holds(self, digest: Digest, data: bytes) -> bool:
        """Whether the blob is here and is exactly ``data``: a small one, which may have been damaged."""
        try:
            return self.read(digest, limit=len(data)) == data
        except (ImageNotFound, SizeMismatch):
            return False

    def keep(self, descriptor: Descriptor, data: bytes) -> None:
        """Makes sure that a small blob is here, and is exactly ``data``. Raises DigestMismatch, SizeMismatch, NoSpace."""
        with self.writer(descriptor) as writer:
            if not self.holds(descriptor.digest, data):
                writer.write(data)
                writer.commit()

    def stream(self, digest: Digest) -> Iterator[bytes]:
        """The blob in buffers; raises ImageNotFound."""
        yield from read_chunks(self.open(digest))

    def layer_type(self, digest: Digest) -> str:
        """The media type of a layer by its content, for a manifest that is written here."""
        head = next(self.stream(digest), b"")
        if head.startswith(GZIP):
            return media_types.OCI_LAYER_GZIP
        if head.startswith((ZSTD, *SKIPPABLE)):
            return media_types.OCI_LAYER_ZSTD
        return media_types.OCI_LAYER

    def put(self, data: bytes, media_type: str) -> Descriptor:
        """Store a small document and describe it. Nothing is synced: the pull syncs once, before it names the image."""
        descriptor = Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data))
        if not self.has(descriptor.digest):
            replace(self._layout, self._layout.blob(descriptor.digest), data, durable=False)
        return descriptor

    def remove(self, digest: Digest) -> int:
        """Delete a blob; the number of bytes it had, 0 where it was not there."""
        path = self._layout.blob(digest)
        try:
            size = os.stat(path, follow_symlinks=False).st_size
            os.unlink(path)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise refused(path, error) from error
        return size

    def digests(self) -> list[Digest]:
        """All blobs. Files whose names are no digests are not ours and are left out."""
        found = []
        for algorithm in ("sha256", "sha512"):
            directory = f"{self._layout.root}/blobs/{algorithm}"
            names = os.listdir(directory) if os.path.isdir(directory) else []
            found += [digest for name in names if (digest := parse_or_none(f"{algorithm}:{name}"))]
        return found

    @contextmanager
    def writer(self, descriptor: Descriptor, check: Callable[[], None] | None = None) -> Iterator[BlobWriter]:
        """The only writer of this blob on this machine; waits for another one, asking ``check`` meanwhile.

        Look with ``has`` after entering: the one before may have written it. What is not committed is removed at the
        end.
        """
        digest = descriptor.digest
        with named_entry(self._layout, partial_name(digest), check) as path:
            writer = BlobWriter(path, self._layout.blob(digest), descriptor)
            try:
                yield writer
            finally:
                writer.close()
                discard(path)


class BlobWriter:
    """Takes the bytes of one blob; digest and size are known to be right when ``commit`` makes it visible."""

    def __init__(self, path: str, final: str, descriptor: Descriptor) -> None:
        self.path = path
        self._final = final
        self._descriptor = descriptor
        self._fd = -1
        self._hasher: _Hash = descriptor.digest.hasher()
        self.offset = 0  # bytes taken so far

    @property
    def complete(self) -> bool:
        """True when as many bytes are here as the descriptor says."""
        return self.offset == self._descriptor.size

    def stored(self) -> Iterator[bytes]:
        """What a writer that was killed has left, read and hashed as if it had come now. Call it first.

        The file is not trusted: it was not synced, and the digest over all decides in the end.
        """
        self._open()
        size = self._descriptor.size
        if size is None or os.fstat(self._fd).st_size > size:
            os.ftruncate(self._fd, 0)
        for chunk in read_chunks(os.dup(self._fd)):
            self._hasher.update(chunk)
            self.offset += len(chunk)
            yield chunk

    def write(self, chunk: bytes) -> None:
        """Append and hash. Raises SizeMismatch as soon as there is too much, NoSpace, StoreError."""
        self._open()
        self.offset += len(chunk)
        size = self._descriptor.size
        if size is not None and self.offset > size:
            raise self._wrong_size(size, "more than")
        self._hasher.update(chunk)
        try:
            write_all(self._fd, chunk)
        except OSError as error:
            raise refused(self._final, error) from error
        if self.offset // _WRITE_OUT_STEP != (self.offset - len(chunk)) // _WRITE_OUT_STEP:
            from pyrt._native.file_system import start_write_out

            start_write_out(self._fd)

    def verify(self) -> None:
        """Raises SizeMismatch or DigestMismatch. Call it after the last byte."""
        digest, size = self._descriptor.digest, self._descriptor.size
        if size is not None and self.offset != size:
            raise self._wrong_size(size, "only")
        if not digest.matches(self._hasher):
            actual = f"{digest.algorithm}:{self._hasher.hexdigest()}"
            raise DigestMismatch(f"blob {digest}: the bytes have digest {actual}", expected=str(digest), actual=actual)

    def commit(self) -> None:
        """Verify, and make the blob visible."""
        self.verify()
        self._open()
        try:
            if self._descriptor.digest.algorithm != "sha256":
                own(os.path.dirname(self._final), parents=False)
            os.rename(self.path, self._final)
        except OSError as error:
            raise refused(self._final, error) from error

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        if self._fd < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            try:
                self._fd = os.open(self.path, flags, 0o600)
            except OSError as error:
                raise refused(self.path, error) from error

    def _wrong_size(self, size: int, word: str) -> SizeMismatch:
        got = f"{word} {size if word == 'more than' else self.offset} bytes"
        return SizeMismatch(
            f"blob {self._descriptor.digest}: {got}, the manifest says {size}", expected=size, actual=self.offset
        )


def partial_name(digest: Digest) -> str:
    """The entry of ``tmp/`` where a blob is written."""
    return f"blob-{digest.algorithm}-{digest.hex}"


def read_chunks(fd: int) -> Iterator[bytes]:
    """The rest of a file in buffers; closes ``fd``. A file that changes its size meanwhile is read as it is."""
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        while chunk := os.read(fd, READ):
            yield chunk
    finally:
        os.close(fd)


def parse_or_none(text: str) -> Digest | None:
    from pyrt.errors import UsageError

    try:
        return Digest.parse(text)
    except UsageError:
        return None
