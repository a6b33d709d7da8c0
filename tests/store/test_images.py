"""The index: names, ids, what other tools wrote, what is damaged."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from pyrt.errors import ImageNotFound, InvalidReference, StoreError, UsageError
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.oci.platform import Platform
from pyrt.oci.reference import Reference
from pyrt.store.store import Store
from tests.support import images
from tests.support.images import BuiltImage

BUSYBOX = Reference.parse("busybox")


def put(store: Store, image: BuiltImage) -> Descriptor:
    """The image's documents, not its layers."""
    for blob in image.blobs:
        store.content.put(blob.content, blob.media_type)
    return Descriptor(
        media_type=image.top.media_type, digest=Digest.parse(image.digest), size=len(image.top.content)
    )


def small(text: str) -> BuiltImage:
    return images.image([images.layer(images.tar([images.Entry(name=text)]))], config={"Cmd": [text]})


def test_a_name_is_given_and_found(store: Store) -> None:
    one = put(store, small("one"))
    store.images.set(BUSYBOX, one, resolved=Digest.of(b"index"))
    for text in ("busybox", "busybox:latest", "docker.io/library/busybox", f"busybox@{Digest.of(b'index')}"):
        record = store.images.find(text)
        assert record.name == "docker.io/library/busybox:latest"
        assert record.descriptor.digest == one.digest
        assert record.resolved == Digest.of(b"index")
    assert store.images.find(f"busybox@{one.digest}").descriptor.digest == one.digest
    assert store.images.load(record).config.cmd == ("one",)


def test_an_id_or_a_digest_may_be_abbreviated(store: Store) -> None:
    image = small("one")
    one = put(store, image)
    store.images.set(BUSYBOX, one)
    identifier = store.images.load(store.images.find("busybox")).id
    short = identifier.hex[:12]
    for text in (str(identifier), identifier.hex, short, f"sha256:{short}", one.digest.hex[:12]):
        assert store.images.find(text).descriptor.digest == one.digest


def test_an_abbreviation_of_two_ids_is_refused(store: Store) -> None:
    for number in range(40):
        store.images.set(Reference.parse(f"i{number}"), put(store, small(f"n{number}")))
    prefixes = [store.images.load(record).id.hex[0] for record in store.images.list()]
    twice = next(letter for letter in prefixes if prefixes.count(letter) > 1)
    with pytest.raises(UsageError, match="images begin with that"):
        store.images.find(twice)


@pytest.mark.parametrize("text", ["alpine", "deadbeef", f"busybox@{Digest.of(b'other')}", "0" * 64])
def test_what_is_not_here(store: Store, text: str) -> None:
    store.images.set(BUSYBOX, put(store, small("one")))
    with pytest.raises(ImageNotFound) as caught:
        store.images.find(text)
    assert caught.value.hint == f"pyrt pull {text}"


def test_an_impossible_name(store: Store) -> None:
    with pytest.raises(InvalidReference):
        store.images.find("Not/Allowed")


def test_an_image_that_loses_its_name_stays(store: Store) -> None:
    old, new = put(store, small("old")), put(store, small("new"))
    store.images.set(BUSYBOX, old)
    store.images.set(Reference.parse("keep"), old)
    store.images.set(BUSYBOX, new)
    assert [record.name for record in store.images.list()] == [
        "docker.io/library/keep:latest", "docker.io/library/busybox:latest"
    ]  # fmt: skip
    store.images.set(Reference.parse("keep"), new)
    names = {(record.name, record.descriptor.digest) for record in store.images.list()}
    assert ("<none>", old.digest) in names
    assert len(names) == 3
    store.images.set(Reference.parse("again"), old)
    assert "<none>" not in {record.name for record in store.images.list()}


def test_the_last_platform_wins(store: Store) -> None:
    one = put(store, small("one"))
    store.images.set(BUSYBOX, one)
    other = images.image([images.layer(images.tar([]))], platform="linux/arm64/v8")
    store.images.set(BUSYBOX, put(store, other))
    assert store.images.load(store.images.find("busybox")).config.platform == Platform(os="linux", architecture="arm64")


def test_removing_an_entry(store: Store) -> None:
    one = put(store, small("one"))
    store.images.set(BUSYBOX, one)
    store.images.set(Reference.parse("two"), one)
    store.images.remove(store.images.find("busybox"))
    assert [record.name for record in store.images.list()] == ["docker.io/library/two:latest"]


def test_what_other_tools_wrote_stays(store: Store) -> None:
    one = put(store, small("one"))
    foreign = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": str(Digest.of(b"artifact")),
        "size": 8,
        "annotations": {"org.example": "kept"},
        "data": "YXJ0aWZhY3Q=",
    }
    index = Path(store.layout.index)
    index.write_text(json.dumps({"schemaVersion": 2, "manifests": [foreign, {"digest": "odd"}]}))
    store.images.set(BUSYBOX, one)
    store.images.remove(store.images.find("busybox"))
    assert json.loads(index.read_text())["manifests"] == [foreign, {"digest": "odd"}]
    assert [record.name for record in store.images.list()] == ["<none>"]


@pytest.mark.parametrize("content", ["", "\0" * 100, '{"manifests": [', "[]", "{}", '{"manifests": {}}', "[" * 100_000])
def test_a_damaged_index_is_an_error_that_says_what_to_do(store: Store, content: str) -> None:
    Path(store.layout.index).write_text(content)
    with pytest.raises(StoreError, match="not an OCI index") as caught:
        store.images.list()
    assert "pyrt check --repair" in caught.value.hint


def test_a_damaged_document_concerns_one_image_only(store: Store) -> None:
    one, two = put(store, small("one")), put(store, small("two"))
    store.images.set(Reference.parse("one"), one)
    store.images.set(Reference.parse("two"), two)
    Path(store.content.path(one.digest)).write_bytes(b"")
    assert store.images.load(store.images.find("two")).config.cmd == ("two",)
    assert store.images.find(two.digest.hex[:12]).name.endswith("/two:latest")
    assert store.images.find(one.digest.hex[:12]).name.endswith("/one:latest")


def test_finding_and_loading_a_cached_image_takes_under_three_milliseconds(store: Store) -> None:
    store.images.set(BUSYBOX, put(store, small("one")))
    times = []
    for _ in range(30):
        before = time.perf_counter()
        store.images.load(store.images.find("busybox"))
        times.append(time.perf_counter() - before)
    assert min(times) < 0.003
