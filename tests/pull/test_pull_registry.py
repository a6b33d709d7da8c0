"""Pulls from a real registry: what is asked, what is stored, what stays after a failure."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pyrt.errors import DigestMismatch, ImageNotFound, RegistryError
from pyrt.image_pull import pull
from pyrt.oci.digest import Digest
from pyrt.oci.reference import Reference
from pyrt.store.content import partial_name
from pyrt.store.progress import PullEvent
from pyrt.store.store import Store
from tests.pull.leftovers import is_clean, is_empty
from tests.support import images, schema1
from tests.support.fault_registry import FaultRegistry, Reply, noise
from tests.support.fault_registry import image as served
from tests.support.images import Entry
from tests.support.registries import RunningRegistry


def push(registry: RunningRegistry, tmp_path: Path, image: images.BuiltImage, name: str, *options: str) -> str:
    directory = tmp_path / f"layout-{len(os.listdir(tmp_path))}"
    directory.mkdir()
    images.write_layout(directory, {"latest": image})
    registry.push(directory, name, *options)
    return f"{registry.host}/{name}"


def test_an_image_by_tag(
    store: Store, registry: RunningRegistry, tmp_path: Path, environ: dict[str, str]
) -> None:
    built = images.busybox(entries=[Entry(name="etc/motd", content=b"hello")])
    text = push(registry, tmp_path, built, "tagged:v1")
    image = pull(text, store=store, environ=environ)
    assert str(image.digest) == built.digest
    assert [record.name for record in store.images.list()] == [text]
    assert Path(store.layers.path(image.diff_ids[1]), "etc", "motd").read_bytes() == b"hello"
    assert is_clean(store)
    before = len(registry.requests())
    assert pull(text, store=store, environ=environ) == image
    assert pull(Reference.parse(text), store=store, environ=environ) == image
    assert len(registry.requests()) == before, "a cached image asked the registry"


def test_always_asks_for_the_manifest_only(
    store: Store, registry: RunningRegistry, tmp_path: Path, environ: dict[str, str]
) -> None:
    text = push(registry, tmp_path, images.busybox(), "always")
    first = pull(text, store=store, environ=environ)
    before = len(registry.requests())
    assert pull(text, store=store, environ=environ, policy="always") == first
    assert not [line for line in registry.requests()[before:] if "/blobs/" in line]
    push(registry, tmp_path, images.busybox(entries=[Entry(name="new")]), "always")
    before = len(registry.requests())
    second = pull(text, store=store, environ=environ, policy="always")
    assert second.digest != first.digest
    fetched = [line for line in registry.requests()[before:] if line.startswith("GET") and "/blobs/" in line]
    assert len(fetched) == 2, "the configuration and the new layer"
    assert [record.name for record in store.images.list()] == ["<none>", f"{text}:latest"]


def test_an_image_by_digest(
    store: Store, registry: RunningRegistry, tmp_path: Path, environ: dict[str, str]
) -> None:
    index = images.index([images.busybox(), images.busybox(platform="linux/arm64")])
    push(registry, tmp_path, index, "digest", "--all")
    text = f"{registry.host}/digest@{index.digest}"
    image = pull(text, store=store, environ=environ)
    record = store.images.find(text)
    assert record.name == text
    assert str(record.resolved) == index.digest
    assert record.descriptor.digest == image.digest
    assert pull(text, store=store, environ=environ, policy="never") == image
    with pytest.raises(ImageNotFound):
        pull(f"{registry.host}/digest@{Digest.of(b'x')}", store=store, environ=environ)


def test_a_tag_that_is_not_there_leaves_nothing(
    store: Store, registry: RunningRegistry, environ: dict[str, str]
) -> None:
    with pytest.raises(ImageNotFound, match="nothing"):
        pull(f"{registry.host}/nothing:v9", store=store, environ=environ)
    assert is_empty(store)


@pytest.mark.parametrize("signed", [False, True])
def test_im_18_schema_1_becomes_an_oci_image(store: Store, environ: dict[str, str], signed: bool) -> None:
    layers = [images.layer(images.tar([Entry(name=f"f{number}")])) for number in range(3)]
    made = schema1.steps(layers, empty_after=(1,))
    raw = schema1.signed(schema1.unsigned(made)) if signed else schema1.unsigned(made)
    with FaultRegistry() as registry:
        media_type = f"application/vnd.docker.distribution.manifest.v1+{'prettyjws' if signed else 'json'}"
        registry.manifest("library/old", "latest", raw, media_type)
        for layer in layers:
            registry.blob("library/old", layer.content)
        text = f"{registry.host}/library/old"
        image = pull(text, store=store, environ=environ)
        assert [str(diff_id) for diff_id in image.diff_ids] == [layer.diff_id for layer in layers]
        assert [layer.size for layer in image.layers] == [len(layer.content) for layer in layers]
        assert image.config.env == (images.PATH, "A=b")
        assert len(image.config.history) == 4
        record = store.images.find(text)
        assert record.resolved == Digest.of(schema1.unsigned(made))
        assert record.descriptor.digest == image.digest != record.resolved
        assert store.images.load(record) == image
        fetched = len(registry.requests())
        assert pull(text, store=store, environ=environ, policy="always") == image
        assert len(registry.requests()) == fetched + 1, "only the manifest was asked for"
    assert is_clean(store)


def test_a_blob_that_stays_wrong_is_an_error(store: Store, environ: dict[str, str]) -> None:
    data = images.tar([Entry(name="f", content=noise(3 << 20))])
    wrong = bytearray(data)
    wrong[2 << 20] ^= 1
    with FaultRegistry() as registry:
        _, layer = served(registry, "x", "latest", data, Reply(body=bytes(wrong)))
        with pytest.raises(DigestMismatch) as caught:
            pull(f"{registry.host}/x", store=store, environ=environ)
        assert caught.value.expected == str(layer.digest)
        assert is_empty(store)
        pull(f"{registry.host}/x", store=store, environ=environ)  # the registry has come to its senses


def test_rg_29_a_killed_download_goes_on_where_it_was(store: Store, environ: dict[str, str]) -> None:
    data = images.tar([Entry(name="f", content=noise(3 << 20))])
    with FaultRegistry() as registry:
        _, layer = served(registry, "x", "latest", data)
        partial = Path(store.layout.tmp, partial_name(layer.digest))
        partial.write_bytes(data[: 2 << 20])
        pull(f"{registry.host}/x", store=store, environ=environ)
        asked = [seen.headers.get("range") for seen in registry.requests(f"/v2/x/blobs/{layer.digest}")]
    assert asked == [f"bytes={2 << 20}-"]
    assert store.content.read(layer.digest, limit=10 << 20) == data
    assert is_clean(store)


def test_a_part_that_is_damaged_is_fetched_anew(store: Store, environ: dict[str, str]) -> None:
    """After a power cut a part may have the right length and wrong bytes."""
    data = images.tar([Entry(name="f", content=noise(3 << 20))])
    with FaultRegistry() as registry:
        _, layer = served(registry, "x", "latest", data)
        Path(store.layout.tmp, partial_name(layer.digest)).write_bytes(bytes(2 << 20))
        pull(f"{registry.host}/x", store=store, environ=environ)
    assert store.content.read(layer.digest, limit=10 << 20) == data


def test_a_registry_that_breaks_off_for_good(store: Store, environ: dict[str, str]) -> None:
    data = images.tar([Entry(name="f", content=noise(3 << 20))])
    with FaultRegistry() as registry:
        _, layer = served(registry, "x", "latest", data)
        gone = Reply(status=404, body=b"{}")
        registry.script(f"/v2/x/blobs/{layer.digest}", Reply(body=data, cut=1 << 20), gone)
        with pytest.raises((RegistryError, ImageNotFound)):
            pull(f"{registry.host}/x", store=store, environ=environ)
    assert is_empty(store)


def test_rg_44_layers_come_three_at_once(store: Store, environ: dict[str, str]) -> None:
    with FaultRegistry() as registry:
        layers = [images.layer(images.tar([Entry(name=f"f{n}", content=noise(2 << 20, n))]), "") for n in range(6)]
        built = images.image(layers)
        for blob in built.blobs:
            registry.blob("many", blob.content)
        for layer in layers:
            registry.script(f"/v2/many/blobs/{layer.digest}", Reply(body=layer.content, drip=(256 << 10, 0.02)))
        registry.manifest("many", "latest", built.top.content)
        events: list[PullEvent] = []
        pull(f"{registry.host}/many", store=store, environ=environ, progress=events.append)
    running, most = 0, 0
    for event in events:
        running += {"start": 1, "done": -1}.get(event.kind, 0)
        most = max(most, running)
    assert most == 3


def test_what_is_stored_are_the_bytes_that_came(
    store: Store, registry: RunningRegistry, tmp_path: Path, environ: dict[str, str]
) -> None:
    built = images.busybox()
    image = pull(push(registry, tmp_path, built, "raw"), store=store, environ=environ)
    for blob in built.blobs:
        assert Path(store.layout.root, "blobs", *blob.digest.split(":")).read_bytes() == blob.content
    assert image.manifest.raw == built.top.content
    index = json.loads(Path(store.layout.index).read_text())
    assert index["manifests"][0]["mediaType"] == built.top.media_type


def test_an_alias_of_registries_conf(
    store: Store, registry: RunningRegistry, tmp_path: Path, environ: dict[str, str]
) -> None:
    text = push(registry, tmp_path, images.busybox(), "behind/alias")
    conf = Path(environ["HOME"], ".config", "containers", "registries.conf")
    conf.parent.mkdir(parents=True)
    conf.write_text(f'[aliases]\n"short" = "{text}"\n')
    image = pull("short", store=store, environ=environ)
    assert [record.name for record in store.images.list()] == [f"{text}:latest"]
    before = len(registry.requests())
    assert pull("short", store=store, environ=environ) == image
    assert pull("short", store=store, environ=environ, policy="never") == image
    assert len(registry.requests()) == before


def test_rg_44_fifty_layers_need_three_connections(store: Store, environ: dict[str, str]) -> None:
    with FaultRegistry() as registry:
        layers = [images.layer(images.tar([Entry(name=f"f{n}", content=noise(50_000, n))]), "") for n in range(50)]
        built = images.image(layers)
        for blob in built.blobs:
            registry.blob("many", blob.content, Reply(body=blob.content, delay=0.01))
        registry.manifest("many", "latest", built.top.content)
        image = pull(f"{registry.host}/many", store=store, environ=environ)
        assert registry.most_at_once <= 3
    assert len(image.layers) == len(store.layers.names()) == 50
