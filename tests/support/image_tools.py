"""The same images as other tools make them: skopeo, umoci, buildah and podman, each with files of its own only."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import images
from tests.support.parts import need


def skopeo_copy(source: str, target: str, *options: str) -> None:
    """``skopeo copy`` between two transports."""
    need("skopeo")
    _run("skopeo", "copy", "-q", "--insecure-policy", *options, source, target)


def docker_archive(
    directory: Path, built: images.BuiltImage, name: str = images.BUSYBOX, *more: str, file: str = "docker.tar"
) -> Path:
    """A docker-archive by skopeo, whose image is called ``name`` and ``more``."""
    target = directory / file
    tags = [f"--additional-tag={tag}" for tag in more]
    skopeo_copy(f"oci:{_layout(directory, built)}:it", f"docker-archive:{target}:{name}", *tags)
    return target


def oci_archive(directory: Path, built: images.BuiltImage, name: str = "it", *, file: str = "oci.tar") -> Path:
    """An oci-archive by skopeo."""
    target = directory / file
    skopeo_copy(f"oci:{_layout(directory, built)}:it", f"oci-archive:{target}:{name}")
    return target


def dir_image(directory: Path, built: images.BuiltImage, *options: str) -> Path:
    """The files of skopeo's dir: transport: manifest.json, version, and the blobs by their bare hexadecimal names."""
    target = directory / "dir"
    skopeo_copy(f"oci:{_layout(directory, built)}:it", f"dir:{target}", *options)
    return target


def umoci_layout(directory: Path, entries: list[images.Entry] | None = None) -> Path:
    """A layout with the image "it" that umoci has made of a tree and configured."""
    need("umoci")
    layout, tree = directory / "umoci", directory / "umoci-tree"
    reference = f"{layout}:it"
    make_tree(tree, images.busybox_entries() if entries is None else entries)
    _run("umoci", "init", "--layout", str(layout))
    _run("umoci", "new", "--image", reference)
    _run("umoci", "insert", "--image", reference, str(tree), "/")
    _run("umoci", "config", "--image", reference, "--config.cmd", "sh", "--config.env", images.PATH)
    return layout


def umoci_unpack(layout: Path, name: str, bundle: Path) -> Path:
    """The root file system that umoci unpacks from an image of a layout: what others' trees are compared with."""
    need("umoci")
    _run("umoci", "unpack", "--image", f"{layout}:{name}", str(bundle))
    return bundle / "rootfs"


def umoci_layers(layout: Path, name: str = "it") -> int:
    """How many layers umoci counts in an image of a layout."""
    need("umoci")
    found = json.loads(_run("umoci", "stat", "--json", "--image", f"{layout}:{name}"))
    return sum(not step.get("empty_layer", False) for step in found["history"])


def buildah_layout(directory: Path, *, docker: bool = False) -> Path:
    """A layout with the image "it" that buildah has built from scratch (as OCI, or by way of docker's format)."""
    need("buildah")
    layout, tree = directory / "buildah", directory / "buildah-tree"
    make_tree(tree, images.busybox_entries())
    with private_storage() as storage:
        buildah = ("buildah", *storage)
        _run(*buildah, "from", "--name", "work", "scratch")
        _run(*buildah, "copy", "-q", "work", str(tree), "/")
        _run(*buildah, "config", "--cmd", "sh", "--env", images.PATH, "work")
        _run(*buildah, "commit", "-q", "--format", "docker" if docker else "oci", "work", f"oci:{layout}:it")
        _run(*buildah, "rm", "work")
    return layout


@contextmanager
def private_storage() -> Iterator[tuple[str, ...]]:
    """Options that give buildah and podman a storage of their own (podman takes no runroot over 50 characters)."""
    with tempfile.TemporaryDirectory(prefix="pyrt-") as directory:
        yield (f"--root={directory}/root", f"--runroot={directory}/run", "--storage-driver=vfs")


def podman_pull(name: str) -> str:
    """The id of the image that podman has pulled by plain http."""
    need("podman")
    with private_storage() as storage:
        return _run("podman", *storage, "pull", "-q", "--tls-verify=false", name).strip()


def podman_save(archive: Path, target: Path, form: str) -> Path:
    """``target``, made by ``podman save`` ("docker-archive" or "oci-archive") of what ``archive`` holds."""
    need("podman")
    with private_storage() as storage:
        _run("podman", *storage, "load", "-q", "-i", str(archive))
        image = _run("podman", *storage, "images", "-q").strip()
        _run("podman", *storage, "save", "-q", f"--format={form}", "-o", str(target), image)
    return target


def skopeo_inspect(name: str, *options: str) -> dict[str, object]:
    """What ``skopeo inspect`` says of an image."""
    need("skopeo")
    found: dict[str, object] = json.loads(_run("skopeo", "inspect", *options, name))
    return found


def make_tree(root: Path, entries: list[images.Entry]) -> None:
    """The folders, files and symbolic links of ``entries`` below ``root``; owners where we may set them."""
    root.mkdir()
    for entry in entries:
        path = root / entry.name
        if entry.kind == "dir":
            path.mkdir()
        elif entry.kind == "sym":
            path.symlink_to(entry.link)
        else:
            path.write_bytes(entry.content)
        if os.geteuid() == 0:
            os.lchown(path, entry.uid, entry.gid)
        if entry.kind != "sym":
            path.chmod(entry.mode)


def _layout(directory: Path, built: images.BuiltImage) -> Path:
    layout = directory / "source-layout"
    images.write_layout(layout, {"it": built})
    return layout


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr}")
    return done.stdout
