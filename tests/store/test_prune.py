"""rmi and image prune, with docker's rules."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pyrt.errors import ImageNotFound, UsageError
from pyrt.image_pull import pull
from pyrt.oci.digest import Digest
from pyrt.oci.image import Image
from pyrt.oci.reference import Reference
from pyrt.store.garbage import collect
from pyrt.store.leases import lease
from pyrt.store.prune import prune_images, remove_image
from pyrt.store.records import Record
from pyrt.store.store import Store
from pyrt.store_check import check
from tests.support import images

BASE = images.layer(images.tar([images.Entry(name="base", content=b"shared")]))


def own_layer(text: str, compression: str = "gzip") -> images.Blob:
    return images.layer(images.tar([images.Entry(name=text)]), compression)


@pytest.fixture
def one(store: Store, tmp_path: Path) -> Image:
    return bring(store, tmp_path, "one")


@pytest.fixture
def two(store: Store, tmp_path: Path) -> Image:
    return bring(store, tmp_path, "two")


def bring(store: Store, tmp_path: Path, name: str) -> Image:
    """An image of the shared layer and one of its own, called docker.io/library/NAME:latest."""
    layout = tmp_path / f"layout-{name}"
    layout.mkdir()
    full = f"docker.io/library/{name}:latest"
    images.write_layout(layout, {full: images.image([BASE, own_layer(name)], config={"Cmd": [name]})})
    return pull(f"oci:{layout}:{full}", store=store)


def tag(store: Store, name: str, new: str) -> None:
    store.images.set(Reference.parse(new), store.images.find(name).descriptor)


def container(store: Store, image: Image, name: str = "c1") -> Record:
    record = Record(
        id=os.urandom(32).hex(),
        name=name,
        image="x",
        image_digest=str(image.digest),
        layers=tuple(diff_id.hex for diff_id in image.diff_ids),
        command=("sh",),
        created="2026-01-01T00:00:00Z",
    )
    with store.using():
        store.containers.create(record).release()
    return record


def is_empty(store: Store) -> bool:
    return not (store.content.digests() or store.layers.names() or os.listdir(store.layout.tmp))


def test_the_last_name_takes_the_image_with_it(store: Store, one: Image) -> None:
    removed = remove_image(store, "one")
    assert removed.untagged == ("one:latest",)
    assert removed.deleted[0] == str(one.id)
    assert set(removed.deleted[1:]) == {str(diff_id) for diff_id in one.diff_ids}
    assert removed.lines()[:2] == ("Untagged: one:latest", f"Deleted: {one.id}")
    assert removed.reclaimed > 0
    assert is_empty(store)


def test_one_of_several_names_is_only_untagged(store: Store, one: Image) -> None:
    tag(store, "one", "other:v1")
    removed = remove_image(store, "one")
    assert removed.lines() == ("Untagged: one:latest",)
    assert store.images.present(store.images.load(store.images.find("other:v1")))
    with pytest.raises(ImageNotFound):
        store.images.find("one")


def test_by_id_several_names_need_force(store: Store, one: Image) -> None:
    tag(store, "one", "other:v1")
    with pytest.raises(UsageError, match="several names: docker.io/library/one:latest, docker.io/library/other:v1"):
        remove_image(store, one.id.hex[:12])
    removed = remove_image(store, one.id.hex[:12], force=True)
    assert removed.untagged == ("one:latest", "other:v1")
    assert is_empty(store)


def test_shared_layers_stay(store: Store, one: Image, two: Image) -> None:
    removed = remove_image(store, "one")
    assert str(Digest.parse(BASE.diff_id)) not in removed.deleted
    assert store.images.present(two)
    assert len(store.layers.names()) == 2
    remove_image(store, "two")
    assert is_empty(store)


def test_st_18_an_image_that_a_container_uses_stays(store: Store, one: Image) -> None:
    record = container(store, one)
    with pytest.raises(UsageError, match="image one: container c1 uses it") as caught:
        remove_image(store, "one")
    assert "pyrt rm c1" in caught.value.hint
    assert store.images.find("one")
    removed = remove_image(store, "one", force=True)
    assert removed.untagged == ("one:latest",)
    assert removed.deleted == ()
    assert store.images.present(one)
    store.containers.remove(record)
    assert prune_images(store).reclaimed > 0
    assert is_empty(store)


def test_a_second_name_may_go_while_a_container_uses_the_image(store: Store, one: Image) -> None:
    tag(store, "one", "other")
    container(store, one)
    assert remove_image(store, "other").lines() == ("Untagged: other:latest",)


def test_an_image_that_is_not_here(store: Store) -> None:
    with pytest.raises(ImageNotFound):
        remove_image(store, "nothing")


def test_prune_takes_what_lost_its_name(store: Store, one: Image, two: Image) -> None:
    tag(store, "two", "one")
    removed = prune_images(store)
    assert removed.untagged == ()
    assert removed.deleted[0] == str(one.id)
    assert {record.name for record in store.images.list()} == {
        "docker.io/library/one:latest", "docker.io/library/two:latest"
    }  # fmt: skip
    assert store.images.present(two)


def test_prune_of_everything_spares_what_containers_use(store: Store, one: Image, two: Image) -> None:
    container(store, two)
    removed = prune_images(store, everything=True)
    assert removed.untagged == ("one:latest",)
    assert removed.deleted[0] == str(one.id)
    assert store.images.find("two")
    assert store.images.present(two)


def test_prune_can_be_filtered(store: Store, one: Image, two: Image) -> None:
    prune_images(store, everything=True, accept=lambda record: "one" in record.name)
    assert [record.name for record in store.images.list()] == ["docker.io/library/two:latest"]


def test_prune_takes_blobs_and_layers_that_nothing_needs(store: Store, one: Image) -> None:
    stray = store.content.put(b"stray", "text/plain")
    os.mkdir(f"{store.layout.layers}/{'0' * 64}")
    removed = prune_images(store)
    assert removed.deleted == (f"sha256:{'0' * 64}",)
    assert removed.reclaimed == 5
    assert not store.content.has(stray.digest)
    assert store.images.present(one)


def test_what_a_pull_under_way_needs_stays(store: Store, one: Image) -> None:
    with lease(store.layout) as held:
        held.add([one.digest, *one.diff_ids, one.manifest.config.digest, *(layer.digest for layer in one.layers)])
        assert remove_image(store, "one").deleted == ()
        assert store.images.present(one)
    collect(store.layout, store.content, store.layers)
    assert is_empty(store)


def test_the_index_of_another_tool_keeps_what_it_names(store: Store, tmp_path: Path) -> None:
    index = images.index([images.busybox(), images.busybox(platform="linux/arm64")], attested=True)
    images.write_layout(store.layout.root, {"": index})
    before = set(store.content.digests())
    assert collect(store.layout, store.content, store.layers).blobs == ()
    assert set(store.content.digests()) == before
    assert len(before) > 6


def test_st_14_pulls_and_removals_at_once(store: Store, tmp_path: Path) -> None:
    """A pull that says that an image is here has it, whoever removes others meanwhile."""
    for name in ("one", "two"):
        bring(store, tmp_path, name)
    failures: list[BaseException] = []
    stop = threading.Event()

    def remove() -> None:
        while not stop.is_set():
            for name in ("one", "two"):
                try:
                    remove_image(store, name)
                except ImageNotFound:
                    pass
                except BaseException as error:
                    failures.append(error)
            prune_images(store)

    def bring_again(name: str) -> None:
        full = f"docker.io/library/{name}:latest"
        try:
            for _ in range(15):
                with lease(store.layout) as held:
                    image = pull(f"oci:{tmp_path}/layout-{name}:{full}", store=store)
                    held.add([image.digest, *image.diff_ids])
        except BaseException as error:
            failures.append(error)

    remover = threading.Thread(target=remove)
    pullers = [threading.Thread(target=bring_again, args=(name,)) for name in ("one", "two") * 2]
    for thread in (remover, *pullers):
        thread.start()
    for thread in pullers:
        thread.join()
    stop.set()
    remover.join()
    assert failures == []
    for name in ("one", "two"):
        full = f"docker.io/library/{name}:latest"
        image = pull(f"oci:{tmp_path}/layout-{name}:{full}", store=store)
        assert store.images.present(image)
        assert all(store.content.has(layer.digest) for layer in image.layers)
    assert os.listdir(store.layout.tmp) == []
    assert check(store).problems == ()
