"""The store is an OCI image layout: other tools read it, and what they write there is an image here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pyrt.image_pull import pull
from pyrt.store.progress import PullEvent
from pyrt.store.store import Store
from tests.pull.leftovers import is_clean
from tests.support import distribution, images, trees
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
    """A layout "x": a distribution with Python, and over it a layer of changes and removals that umoci has made."""
    need("umoci")
    work = tmp_path_factory.mktemp("debian")
    layout, layer, bundle = work / "layout", work / "layer.tar", work / "bundle"
    distribution.make_layer(layer, "python3-minimal")
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:x")
    run("umoci", "raw", "add-layer", "--image", f"{layout}:x", layer)
    run("umoci", "unpack", "--image", f"{layout}:x", bundle)
    root = bundle / "rootfs"
    shutil.rmtree(root / "usr/share/doc")
    (root / "etc/motd").unlink(missing_ok=True)
    (root / "etc/issue").unlink()
    (root / "usr/share/doc").mkdir()
    (root / "usr/share/doc/new").write_text("in the place of many")
    (root / "etc/hostname").write_text("changed")
    (root / "etc/hostname").chmod(0o600)
    os.chown(root / "etc/hostname", 7, 8)
    os.link(root / "etc/hostname", root / "etc/hostname-too")
    run("umoci", "repack", "--image", f"{layout}:x", bundle)
    return layout


@pytest.mark.skipif(os.geteuid() != 0, reason="owners, devices and mounts need root")
def test_debian_with_python_is_the_tree_that_umoci_unpacks(store: Store, tmp_path: Path, debian: Path) -> None:
    image = pull(f"oci:{debian}:x", store=store)
    assert len(image.diff_ids) == 2
    run("umoci", "unpack", "--image", f"{debian}:x", tmp_path / "bundle")
    merged = tmp_path / "merged"
    merged.mkdir()
    # By short names: a newer mount(8) hands over each option by fsconfig(2), which takes 255 characters.
    lower = ":".join(os.path.basename(path) for path in store.layers.stack(image.diff_ids))
    mount = ("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lower}", str(merged))
    subprocess.run(mount, cwd=store.layout.layers, check=True)
    try:
        ours, theirs = trees.manifest(merged), trees.manifest(tmp_path / "bundle" / "rootfs")
    finally:
        run("umount", merged)
    for tree in (ours, theirs):
        del tree[b""]  # neither layer has an entry for it
        # umoci's second layer has none for this one: in a layer of its own it gets the mode and owner of an implied
        # directory and a new time, as with docker's and podman's overlay drivers.
        assert tree.pop(b"usr").mode == 0o755
    assert ours.keys() == theirs.keys()
    assert {path: (ours[path], theirs[path]) for path in ours if ours[path] != theirs[path]} == {}
    assert len(ours) > 2000 and b"etc/hostname-too" in ours and b"etc/issue" not in ours
