"""The store is an OCI image layout: other tools read it, and what they write there is an image here."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from pyrt.image_pull import pull
from pyrt.store.progress import PullEvent
from pyrt.store.store import Store
from tests.pull.leftovers import is_clean
from tests.support import images, trees
from tests.support.images import Entry
from tests.support.parts import need

NAME = "docker.io/library/busybox:latest"


def run(*arguments: str | os.PathLike[str]) -> str:
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout


def make_layout(tmp_path: Path, image: images.BuiltImage) -> Path:
    directory = tmp_path / "layout"
    directory.mkdir()
    images.write_layout(directory, {NAME: image})
    return directory


def test_skopeo_reads_our_store(store: Store, tmp_path: Path) -> None:
    need("skopeo")
    image = pull(f"oci:{make_layout(tmp_path, images.busybox())}:{NAME}", store=store)
    seen = json.loads(run("skopeo", "inspect", f"oci:{store.layout.root}:{NAME}"))
    assert seen["Digest"] == str(image.digest)
    assert seen["Layers"] == [str(layer.digest) for layer in image.layers]
    out = tmp_path / "out"
    run("skopeo", "copy", "-q", "--insecure-policy", f"oci:{store.layout.root}:{NAME}", f"oci:{out}:x")
    assert (out / "blobs" / "sha256" / image.layers[0].digest.hex).exists()


def test_what_skopeo_copies_here_runs_without_a_network(
    store: Store, tmp_path: Path, environ: dict[str, str]
) -> None:
    need("skopeo")
    layout = make_layout(tmp_path, images.busybox(entries=[Entry(name="etc/motd", content=b"hello")]))
    run("skopeo", "copy", "-q", "--insecure-policy", f"oci:{layout}:{NAME}", f"oci:{store.layout.root}:{NAME}")
    events: list[PullEvent] = []
    image = pull("busybox", store=store, policy="never", environ=environ, progress=events.append)
    assert store.images.present(image)
    assert Path(store.layers.path(image.diff_ids[1]), "etc", "motd").read_bytes() == b"hello"
    assert [event.kind for event in events if event.kind in ("start", "done")] == ["start", "start", "done", "done"]
    assert is_clean(store)


@pytest.mark.skipif(os.geteuid() != 0, reason="owners and devices need root")
@pytest.mark.parametrize("compression", ["gzip", ""])
def test_busybox_is_the_tree_that_umoci_unpacks(store: Store, tmp_path: Path, compression: str) -> None:
    need("umoci")
    layout = make_layout(tmp_path, images.busybox(compression))
    image = pull(f"oci:{layout}:{NAME}", store=store)
    images.write_layout(layout, {"x": images.busybox(compression)})  # umoci knows plain tags only
    run("umoci", "unpack", "--image", f"{layout}:x", tmp_path / "bundle")
    ours, theirs = trees.manifest(store.layers.path(image.diff_ids[0])), trees.manifest(tmp_path / "bundle" / "rootfs")
    del ours[b""], theirs[b""]  # the root has no entry in this layer: its time is when it was made
    assert ours == theirs
    assert len(ours) > 100


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout "x" of a part of this machine: names, links, modes and owners as a distribution has them."""
    need("umoci", "tar")
    work = tmp_path_factory.mktemp("debian")
    layout = work / "layout"
    layer = work / "layer.tar"
    run("tar", "-C", "/", "--numeric-owner", "--xattrs", "--sort=name", "-cf", layer, "etc", "usr/sbin")
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:x")
    run("umoci", "raw", "add-layer", "--image", f"{layout}:x", layer)
    return layout


@pytest.mark.skipif(os.geteuid() != 0, reason="owners and devices need root")
def test_a_distribution_is_the_tree_that_umoci_unpacks(store: Store, tmp_path: Path, debian: Path) -> None:
    image = pull(f"oci:{debian}:x", store=store)
    run("umoci", "unpack", "--image", f"{debian}:x", tmp_path / "bundle")
    ours, theirs = trees.manifest(store.layers.path(image.diff_ids[0])), trees.manifest(tmp_path / "bundle" / "rootfs")
    for tree in (ours, theirs):
        for implied in (b"", b"usr"):  # directories that the layer has no entries for
            tree.pop(implied, None)
    assert ours.keys() == theirs.keys()
    assert {path: (ours[path], theirs[path]) for path in ours if ours[path] != theirs[path]} == {}
    assert len(ours) > 300
