"""Blobs: verified while they are written, visible when they are right, written once."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from pyrt.errors import DigestMismatch, ImageNotFound, NoSpace, SizeMismatch
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.store.content import partial_name
from pyrt.store.store import Store

DATA = b"some bytes " * 1000


def describe(data: bytes, size: int | None = -1) -> Descriptor:
    return Descriptor(media_type="x/y", digest=Digest.of(data), size=len(data) if size == -1 else size)


def test_what_is_written_can_be_read(store: Store) -> None:
    blob = describe(DATA)
    with store.content.writer(blob) as writer:
        writer.write(DATA[:100])
        writer.write(DATA[100:])
        assert not store.content.has(blob.digest)
        writer.commit()
    assert store.content.has(blob.digest)
    assert store.content.size(blob.digest) == len(DATA)
    assert store.content.read(blob.digest) == DATA
    assert b"".join(store.content.stream(blob.digest)) == DATA
    assert store.content.digests() == [blob.digest]
    assert os.listdir(store.layout.tmp) == []


def test_a_sha512_blob_has_its_place(store: Store) -> None:
    digest = Digest(algorithm="sha512", hex=hashlib.sha512(DATA).hexdigest())
    with store.content.writer(Descriptor(media_type="x/y", digest=digest, size=len(DATA))) as writer:
        writer.write(DATA)
        writer.commit()
    assert Path(store.layout.root, "blobs", "sha512", digest.hex).read_bytes() == DATA
    assert store.content.digests() == [digest]


@pytest.mark.parametrize(
    ("written", "size", "error"),
    [
        (DATA + b"x", len(DATA), SizeMismatch),
        (DATA[:-1], len(DATA), SizeMismatch),
        (DATA[:-1] + b"x", len(DATA), DigestMismatch),
        (DATA[:-1] + b"x", None, DigestMismatch),
    ],
)
def test_wrong_bytes_are_never_visible(
    store: Store, written: bytes, size: int | None, error: type[Exception]
) -> None:
    blob = describe(DATA, size)
    with pytest.raises(error), store.content.writer(blob) as writer:
        writer.write(written)
        writer.commit()
    assert not store.content.has(blob.digest)
    assert os.listdir(store.layout.tmp) == []


def test_too_much_is_noticed_at_once(store: Store) -> None:
    with store.content.writer(describe(DATA, 10)) as writer, pytest.raises(SizeMismatch) as caught:
        writer.write(DATA)
    assert (caught.value.expected, caught.value.actual) == (10, len(DATA))


def test_what_a_killed_writer_left_is_used(store: Store) -> None:
    blob = describe(DATA)
    Path(store.layout.tmp, partial_name(blob.digest)).write_bytes(DATA[:5000])
    with store.content.writer(blob) as writer:
        assert b"".join(writer.stored()) == DATA[:5000]
        assert writer.offset == 5000
        writer.write(DATA[5000:])
        writer.commit()
    assert store.content.read(blob.digest) == DATA


def test_more_than_the_whole_cannot_be_a_part(store: Store) -> None:
    blob = describe(DATA)
    Path(store.layout.tmp, partial_name(blob.digest)).write_bytes(DATA + b"!")
    with store.content.writer(blob) as writer:
        assert b"".join(writer.stored()) == b""
        writer.write(DATA)
        writer.commit()


def test_one_writer_of_a_blob_at_a_time(store: Store) -> None:
    blob, writes = describe(DATA), []

    def work() -> None:
        with store.content.writer(blob) as writer:
            if not store.content.has(blob.digest):
                writes.append(1)
                writer.write(DATA)
                writer.commit()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writes == [1]


def test_a_missing_blob(store: Store) -> None:
    with pytest.raises(ImageNotFound, match="not in the store"):
        store.content.read(Digest.of(b"nothing"))
    assert store.content.remove(Digest.of(b"nothing")) == 0


def test_a_document_has_a_limit(store: Store) -> None:
    blob = store.content.put(DATA, "x/y")
    assert blob == describe(DATA)
    with pytest.raises(SizeMismatch, match="at most 100"):
        store.content.read(blob.digest, limit=100)
    assert store.content.remove(blob.digest) == len(DATA)


def test_a_full_disk_is_named(store: Store) -> None:
    with store.content.writer(describe(DATA)) as writer:
        writer._fd = os.open("/dev/full", os.O_WRONLY)
        with pytest.raises(NoSpace, match="No space left on device") as caught:
            writer.write(DATA)
    assert "PYRT_ROOT" in caught.value.hint
