"""Pulls from layouts and archives: names, policies, platforms, and images that are not what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrt._native import file_system
from pyrt.errors import (
    DigestMismatch,
    ImageError,
    ImageNotFound,
    InvalidManifest,
    InvalidReference,
    LayerError,
    PlatformNotFound,
    SizeMismatch,
    UsageError,
)
from pyrt.image_pull import file_name, pull
from pyrt.oci.digest import Digest
from pyrt.oci.image import Image
from pyrt.oci.reference import Reference
from pyrt.registry import transports
from pyrt.request import TRANSPORTS
from pyrt.store.progress import PullEvent
from pyrt.store.store import Store
from pyrt.values import replace
from tests.pull.leftovers import is_clean, is_empty
from tests.support import image_tools, images
from tests.support.images import Blob, BuiltImage, Entry

NAME = "docker.io/library/busybox:latest"
FILE = images.layer(images.tar([Entry(name="file", content=b"content")]))


def layout(tmp_path: Path, image: BuiltImage, name: str = NAME) -> str:
    """``image`` in a layout below ``tmp_path``; the text to pull it by."""
    directory = tmp_path / f"layout-{len(os.listdir(tmp_path))}"
    directory.mkdir()
    images.write_layout(directory, {name: image})
    return f"oci:{directory}:{name}"


def tree(store: Store, image: Image) -> dict[str, bytes]:
    """The regular files of all layers, upper ones over lower ones."""
    found = {}
    for diff_id in image.diff_ids:
        root = Path(store.layers.path(diff_id))
        found.update({str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()})
    return found


def spoiled(image: BuiltImage, old: Blob, content: bytes) -> BuiltImage:
    """The image with other bytes behind the digest of ``old``: what a broken disk or a liar serves."""
    return replace(image, blobs=tuple(blob for blob in image.blobs if blob != old))


def test_a_layout_of_one_image(store: Store, tmp_path: Path) -> None:
    built = images.busybox(entries=[Entry(name="etc/motd", content=b"hello")])
    image = pull(layout(tmp_path, built), store=store)
    assert str(image.digest) == built.digest
    assert tree(store, image)["etc/motd"] == b"hello"
    record = store.images.find("busybox")
    assert record.descriptor.digest == image.digest
    assert store.images.load(record) == image
    assert all(store.content.has(layer.digest) for layer in image.layers)
    assert is_clean(store)


@pytest.mark.parametrize("compression", images.COMPRESSIONS)
@pytest.mark.parametrize("docker", [False, True])
def test_bn_08_bn_14_every_compression_and_form(store: Store, tmp_path: Path, compression: str, docker: bool) -> None:
    image = pull(layout(tmp_path, images.busybox(compression, docker=docker)), store=store)
    assert tree(store, image)["etc/group"] == images.GROUP.encode()
    assert os.path.islink(f"{store.layers.path(image.diff_ids[0])}/bin/sh")


def test_the_same_tree_in_another_compression_is_unpacked_once(store: Store, tmp_path: Path) -> None:
    first = pull(layout(tmp_path, images.busybox("gzip"), "localhost/a:1"), store=store)
    inode = os.stat(store.layers.path(first.diff_ids[0])).st_ino
    events: list[PullEvent] = []
    second = pull(layout(tmp_path, images.busybox("zstd"), "localhost/a:2"), store=store, progress=events.append)
    assert first.diff_ids == second.diff_ids
    assert first.layers != second.layers
    assert "unpack" not in {event.kind for event in events}
    assert os.stat(store.layers.path(first.diff_ids[0])).st_ino == inode
    assert store.content.has(second.layers[0].digest)


def test_im_15_a_layer_that_is_there_three_times_comes_once(store: Store, tmp_path: Path) -> None:
    other = images.layer(images.tar([Entry(name="other")]))
    events: list[PullEvent] = []
    image = pull(
        layout(tmp_path, images.image([FILE, other, FILE, FILE])), store=store, progress=events.append
    )
    assert len(image.diff_ids) == 4
    assert [event.digest for event in events if event.kind == "done"].count(FILE.digest) == 1
    assert len(store.layers.names()) == 2


def test_im_14_an_image_without_layers(store: Store, tmp_path: Path) -> None:
    image = pull(layout(tmp_path, images.image([])), store=store)
    assert image.layers == ()
    assert store.images.find("busybox")


def test_events_tell_the_story(store: Store, tmp_path: Path) -> None:
    events: list[PullEvent] = []
    built = images.busybox()
    text = layout(tmp_path, built)
    pull(text, store=store, progress=events.append)
    kinds = list(dict.fromkeys(event.kind for event in events))
    assert kinds == ["resolved", "start", "download", "unpack", "done"]
    assert events[0] == PullEvent(kind="resolved", digest=built.digest, text=NAME)
    downloads = [event for event in events if event.kind == "download"]
    assert downloads[-1].current == downloads[-1].total == len(built.blobs[-1].content)
    events.clear()
    pull(text, store=store, progress=events.append)
    assert [event.kind for event in events] == ["resolved", "start", "exists"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("oci:/tmp/Some.Dir/lay", "localhost/tmp/some-dir/lay:latest"),
        ("oci:lay:v1.0", "localhost/lay:v1.0"),
        ("oci:./lay", "localhost/lay:latest"),
        ("docker-archive:/a/x.tar", "localhost/a/x-tar:latest"),
        ("docker-archive:/a/x.tar:not/a:tag", "localhost/a/x-tar:latest"),
        ("oci:/", "localhost/image:latest"),
        ("oci:/" + "d" * 300, f"localhost/{'d' * 200}:latest"),
    ],
)
def test_a_file_without_a_name_is_named_by_its_path(text: str, name: str) -> None:
    assert str(file_name(text)) == name


def test_the_prefixes_are_those_of_the_transports() -> None:
    assert all(transports.is_local(f"{prefix}/x") for prefix in TRANSPORTS)
    assert len(TRANSPORTS) == len(transports._OPENERS)


def test_im_28_an_archive_does_not_take_a_name_by_itself(store: Store, tmp_path: Path) -> None:
    trusted = pull(layout(tmp_path, images.busybox()), store=store)
    directory = tmp_path / "evil"
    directory.mkdir()
    images.write_layout(directory, {NAME: images.image([FILE])})
    image = pull(f"oci:{directory}", store=store)
    assert store.images.find("busybox").descriptor.digest == trusted.digest
    found = store.images.find(str(file_name(f"oci:{directory}")))
    assert found.descriptor.digest == image.digest
    notes: list[PullEvent] = []
    pull(f"oci:{directory}:{NAME}", store=store, progress=notes.append)  # the user says the name
    assert store.images.find("busybox").descriptor.digest == image.digest
    assert [event.text for event in notes if event.kind == "note"] == [f"{NAME} was {trusted.digest} until now"]


def test_policies(store: Store, tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(ImageNotFound, match="may not be pulled") as caught:
        pull("busybox", store=store, policy="never", environ=environ)
    assert caught.value.hint == "pyrt pull busybox"
    image = pull(layout(tmp_path, images.busybox()), store=store)
    for policy in ("never", "missing"):
        for text in ("busybox", "docker.io/library/busybox:latest", image.id.hex[:12], str(image.id)):
            assert pull(text, store=store, policy=policy, environ=environ) == image
        assert pull(Reference.parse("busybox"), store=store, policy=policy, environ=environ) == image
    with pytest.raises(UsageError, match="one of missing, always, never"):
        pull("busybox", store=store, policy="sometimes")
    with pytest.raises(InvalidReference):
        pull("Not/Allowed", store=store, policy="never", environ=environ)


def test_a_cached_image_needs_no_network_code(store: Store, tmp_path: Path) -> None:
    pull(layout(tmp_path, images.busybox()), store=store)
    code = (
        "import sys; from pyrt.image_pull import pull; from pyrt.store.store import Store; "
        "pull('busybox', store=Store.open(sys.argv[1])); "
        "print([name for name in ('httpx', 'pyrt.registry', 'threading', 'ctypes', 'tarfile', 'pathlib') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, store.layout.root], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_another_platform_takes_the_name(store: Store, tmp_path: Path) -> None:
    both = images.index([images.busybox(), images.busybox(platform="linux/arm64")], attested=True)
    text = layout(tmp_path, both)
    first = pull(text, store=store, platform="linux/amd64")
    other = pull(text, store=store, platform="linux/arm64/v8")
    assert (first.config.platform.architecture, other.config.platform.architecture) == ("amd64", "arm64")
    record = store.images.find("busybox")
    assert record.descriptor.digest == other.digest
    assert str(record.resolved) == both.digest
    with pytest.raises(PlatformNotFound) as caught:
        pull(text, store=store, platform="linux/s390x")
    assert caught.value.available == ("linux/amd64", "linux/arm64")
    assert pull("busybox", store=store, policy="never", platform="linux/arm64", environ={}) == other
    with pytest.raises(ImageNotFound):
        pull("busybox", store=store, policy="never", platform="linux/amd64", environ={"HOME": "/nowhere"})


def test_im_11_an_image_for_one_other_platform(store: Store, tmp_path: Path) -> None:
    text = layout(tmp_path, images.busybox(platform="linux/riscv64"))
    with pytest.raises(PlatformNotFound, match="it is for linux/riscv64"):
        pull(text, store=store, platform="linux/s390x")
    assert is_empty(store)
    notes: list[PullEvent] = []
    pull(text, store=store, progress=notes.append)
    assert [event.text for event in notes if event.kind == "note"][0].startswith("the image is for linux/riscv64, this")


def test_im_10_indexes_inside_indexes(store: Store, tmp_path: Path) -> None:
    built = images.busybox()
    nested = built
    for _ in range(4):
        nested = images.index([replace(nested, platform=built.platform)])
    assert str(pull(layout(tmp_path, nested), store=store).digest) == built.digest
    with pytest.raises(InvalidManifest, match="an index inside 4 others"):
        pull(layout(tmp_path, images.index([replace(nested, platform=built.platform)])), store=store)


def broken_layer(content: bytes, **changes: object) -> BuiltImage:
    """An image whose one layer is ``content``, with its descriptor changed after."""
    built = images.image([images.Blob(media_type=FILE.media_type, content=content, diff_id=FILE.diff_id)])
    manifest = json.loads(built.top.content)
    manifest["layers"][0].update(changes)
    top = images.Blob(media_type=built.top.media_type, content=images.encode(manifest))
    return replace(built, top=top, blobs=(top, *built.blobs[1:]))


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (broken_layer(FILE.content[:-1]), LayerError, "ends in the middle"),
        (broken_layer(FILE.content[:20] + b"\xff" * 20 + FILE.content[40:]), LayerError, "gzip: "),
        (broken_layer(b"no tar at all" * 100), LayerError, "checksum"),
        (broken_layer(FILE.content, size=len(FILE.content) + 1), SizeMismatch, "bytes"),
        (broken_layer(FILE.content, size=len(FILE.content) - 1), SizeMismatch, "bytes"),
        (broken_layer(images.layer(images.tar([])).content), DigestMismatch, "the image configuration says"),
        (images.image([FILE], more={"rootfs": {"type": "layers", "diff_ids": []}}), InvalidManifest, "diff ids"),
        (
            images.image([FILE], more={"rootfs": {"type": "layers", "diff_ids": [FILE.diff_id] * 2}}),
            InvalidManifest,
            "diff ids",
        ),
        (images.image([FILE], more={"rootfs": {"type": "foo", "diff_ids": []}}), InvalidManifest, "rootfs.type"),
    ],
)
def test_im_03_im_12_a_bad_image_leaves_nothing(
    store: Store, tmp_path: Path, image: BuiltImage, error: type[ImageError], words: str
) -> None:
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with pytest.raises(error, match=words):
        pull(layout(tmp_path, image), store=store)
    assert is_empty(store)
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_bad_layer_takes_the_good_ones_with_it(store: Store, tmp_path: Path) -> None:
    good = [images.layer(images.tar([Entry(name=str(number), content=bytes(100_000))])) for number in range(5)]
    bad = images.Blob(media_type=FILE.media_type, content=FILE.content[:-3], diff_id=FILE.diff_id)
    with pytest.raises(LayerError, match=f"layer {bad.digest}: gzip"):
        pull(layout(tmp_path, images.image([*good, bad])), store=store)
    assert is_empty(store)


def test_a_failed_pull_leaves_the_old_image(store: Store, tmp_path: Path) -> None:
    old = pull(layout(tmp_path, images.image([FILE])), store=store)
    bad = images.Blob(media_type=FILE.media_type, content=b"\x1f\x8b", diff_id=images.sha256(b"another tree"))
    with pytest.raises(LayerError):
        pull(layout(tmp_path, images.image([FILE, bad])), store=store)
    assert pull("busybox", store=store, policy="never", environ={"HOME": "/nowhere"}) == old
    assert tree(store, old) == {"file": b"content"}
    assert is_clean(store)


def test_im_03_flipped_bits_in_a_layout_are_a_wrong_digest(store: Store, tmp_path: Path) -> None:
    built = images.busybox()
    text = layout(tmp_path, built)
    path = Path(text.split(":")[1], "blobs", *built.blobs[-1].digest.split(":"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DigestMismatch) as caught:
        pull(text, store=store)
    assert caught.value.expected == built.blobs[-1].digest
    assert caught.value.actual == str(Digest.of(data))
    assert is_empty(store)


def test_a_missing_layer_is_unpacked_again_from_its_blob(store: Store, tmp_path: Path) -> None:
    image = pull(layout(tmp_path, images.image([FILE])), store=store)
    os.rename(store.layers.path(image.diff_ids[0]), tmp_path / "gone")
    assert pull("busybox", store=store, policy="never", environ={"HOME": "/nowhere"}) == image
    assert tree(store, image) == {"file": b"content"}


def test_data_is_safe_before_a_name_leads_to_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut whatever can be seen is whole: what was visible at each sync, and that there was one."""
    moments: list[tuple[int, int]] = []
    sync = file_system.sync_file_system

    def spy(fd: int) -> None:
        sync(fd)
        moments.append((len(store.layers.names()), len(store.images.list())))

    monkeypatch.setattr(file_system, "sync_file_system", spy)
    text = layout(tmp_path, images.image([FILE, images.layer(images.tar([Entry(name="two")]))]))
    image = pull(text, store=store)
    assert moments == [(2, 0)], "one sync for the whole pull, before the name"
    os.rename(store.layers.path(image.diff_ids[0]), tmp_path / "gone")
    pull("busybox", store=store, policy="never", environ={"HOME": "/nowhere"})
    assert moments[1:] == [(1, 1)], "the name was there already: before the layer"
    pull(text, store=store)
    assert len(moments) == 2


def test_a_damaged_blob_is_fetched_again(store: Store, tmp_path: Path) -> None:
    text = layout(tmp_path, images.image([FILE]))
    image = pull(text, store=store)
    os.rename(store.layers.path(image.diff_ids[0]), tmp_path / "gone")
    Path(store.content.path(image.layers[0].digest)).write_bytes(FILE.content[:-1] + b"x")
    with pytest.raises(ImageNotFound):
        pull("busybox", store=store, policy="never", environ={"HOME": "/nowhere"})
    assert pull(text, store=store) == image
    assert tree(store, image) == {"file": b"content"}
    assert store.content.read(image.layers[0].digest) == FILE.content


@pytest.mark.parametrize("damage", [b"", b"{}", b"\0" * 50, b"x" * 100_000])
def test_damaged_documents_are_replaced(store: Store, tmp_path: Path, damage: bytes) -> None:
    text = layout(tmp_path, images.image([FILE]))
    image = pull(text, store=store)
    documents = ((image.digest, image.manifest.raw), (image.id, image.config.raw))
    for digest, _ in documents:
        Path(store.content.path(digest)).write_bytes(damage)
    again = Store.open(store.layout.root)
    with pytest.raises(ImageNotFound):
        pull("busybox", store=again, policy="never", environ={"HOME": "/nowhere"})
    assert pull(text, store=again) == image
    for digest, raw in documents:
        assert store.content.read(digest) == raw


def test_im_14_more_layers_than_overlay_can_stack(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest, match="501 layers"):
        pull(layout(tmp_path, images.image([FILE] * 501)), store=store)
    assert len(pull(layout(tmp_path, images.image([FILE] * 500)), store=store).layers) == 500


@pytest.mark.parametrize("make", [image_tools.docker_archive, image_tools.oci_archive])
def test_archives_of_other_tools(store: Store, tmp_path: Path, make: Callable[..., Path]) -> None:
    built = images.busybox(entries=[Entry(name="etc/motd", content=b"hello")])
    prefix = "docker-archive" if make is image_tools.docker_archive else "oci-archive"
    image = pull(f"{prefix}:{make(tmp_path, built)}", store=store)
    assert tree(store, image)["etc/motd"] == b"hello"
    assert [str(diff_id) for diff_id in image.diff_ids] == [blob.diff_id for blob in built.blobs if blob.diff_id]
    assert store.images.list()[0].name.startswith("localhost/")
    assert is_clean(store)


UNPRIVILEGED = """
import os, sys, threading
import encodings.idna, isal.isal_zlib, pwd, ctypes, hashlib
import pyrt._native.extract, pyrt._native.file_system, pyrt.registry.transports, pyrt.resolution
import pyrt.store.garbage, pyrt.store.sweep
import pyrt.store.ingest
from pyrt.image_pull import pull
from pyrt.store.store import Store
os.setgroups([]); os.setgid(12345); os.setuid(12345)
store = Store.open(environ={"HOME": sys.argv[1]})
image = pull(f"oci:{sys.argv[1]}/layout", store=store)
status = os.stat(store.layers.path(image.diff_ids[0]) + "/home/app")
print(status.st_uid, store.layout.root)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_pull_without_root() -> None:
    with tempfile.TemporaryDirectory() as home:  # pytest's own directories are closed to others
        images.write_layout(f"{home}/layout", {"x": images.busybox()})
        os.chown(home, 12345, 12345)
        done = subprocess.run([sys.executable, "-c", UNPRIVILEGED, home], capture_output=True, text=True)
        assert done.stderr == ""
        assert done.stdout == f"12345 {home}/.local/share/pyrt\n"


def test_im_12_im_30_a_tree_is_not_found_by_a_claim(store: Store, tmp_path: Path) -> None:
    """Two images of one configuration: the second one's layer is another, and its tree is here under the promised
    digest. Whether the layer is new, or here with a tree of its own, it is compared."""
    honest = images.image([FILE])
    pull(layout(tmp_path, honest, "localhost/honest:1"), store=store)
    other = images.layer(images.tar([Entry(name="file", content=b"poison")]))
    claimed = images.image([replace(other, diff_id=FILE.diff_id)])
    assert claimed.blobs[1] == honest.blobs[1]  # the configurations
    for _ in range(2):
        with pytest.raises(DigestMismatch, match="the tar has digest"):
            pull(layout(tmp_path, claimed, "localhost/claimed:1"), store=store)
        with pytest.raises(ImageNotFound):
            store.images.find("localhost/claimed:1")
        pull(layout(tmp_path, images.image([other]), "localhost/other:1"), store=store)  # now its blob is here
    assert tree(store, pull("localhost/honest:1", store=store)) == {"file": b"content"}
    assert is_clean(store)


def test_im_30_what_was_compared_is_not_compared_again(store: Store, tmp_path: Path) -> None:
    """The twin: base layers that other images have are taken as they are."""
    pull(layout(tmp_path, images.image([FILE]), "localhost/base:1"), store=store)
    above = images.layer(images.tar([Entry(name="above")]))
    events: list[PullEvent] = []
    pull(layout(tmp_path, images.image([FILE, above]), "localhost/above:1"), store=store, progress=events.append)
    assert {event.digest for event in events if event.kind == "exists"} == {FILE.digest}


def test_tx_80_a_layer_that_failed_leaves_nothing_to_the_next(store: Store, tmp_path: Path) -> None:
    """CVE-2026-44517: what was unpacked before the error, a link to the outside among it, is met by nobody."""
    half = images.tar([Entry(name="leftover"), Entry(name="d", kind="sym", link="/tmp"), Entry(name="../x")])
    good = images.layer(images.tar([Entry(name="d/file", content=b"x")]))
    for image in (images.image([images.layer(half)]), images.image([good, images.layer(half)])):
        with pytest.raises(LayerError):
            pull(layout(tmp_path, image), store=store)
        assert is_empty(store)
    image = pull(layout(tmp_path, images.image([good])), store=store)
    assert tree(store, image) == {"d/file": b"x"}
    assert os.listdir(store.layers.path(image.diff_ids[0])) == ["d"]
