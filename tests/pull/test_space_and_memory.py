"""What a pull may cost: a full disk is an error that leaves nothing, a large layer needs no more memory."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyrt.errors import NoSpace
from pyrt.image_pull import pull
from pyrt.store.store import Store
from tests.pull.leftovers import is_empty
from tests.support import images
from tests.support.fault_registry import noise
from tests.support.images import Entry
from tests.support.parts import need

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
NAME = "localhost/x:latest"


@contextmanager
def mounted(path: Path, *arguments: str) -> Iterator[Path]:
    """A file system at ``path`` while entered."""
    path.mkdir()
    subprocess.run(["mount", *arguments, str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


def layout(tmp_path: Path, *entries: Entry) -> str:
    directory = tmp_path / f"layout-{len(os.listdir(tmp_path))}"
    directory.mkdir()
    images.write_layout(directory, {NAME: images.image([images.layer(images.tar(entries))])})
    return f"oci:{directory}:{NAME}"


def refused_then_fine(root: Path, large: str, small: str) -> None:
    store = Store.open(str(root / "store"))
    with pytest.raises(NoSpace, match="No space left on device") as caught:
        pull(large, store=store)
    assert str(caught.value).startswith(f"store {root}/store")
    assert "free some space" in caught.value.hint
    assert is_empty(store)
    pull(small, store=store)
    assert store.images.find(NAME)


@ROOT_ONLY
@pytest.mark.parametrize("content", [bytes(8 << 20), noise(8 << 20)], ids=["tree", "blob"])
def test_st_07_a_full_disk(tmp_path: Path, content: bytes) -> None:
    large = layout(tmp_path, Entry(name="large", content=content))
    with mounted(tmp_path / "mnt", "-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs") as mnt:
        refused_then_fine(mnt, large, layout(tmp_path, Entry(name="small")))


@ROOT_ONLY
def test_st_07_a_full_ext4(tmp_path: Path) -> None:
    need("mkfs.ext4")
    image = tmp_path / "ext4"
    subprocess.run(["mkfs.ext4", "-q", image, "3M"], check=True)
    large = layout(tmp_path, *(Entry(name=f"f{n}", content=noise(200_000, n)) for n in range(40)))
    with mounted(tmp_path / "mnt", "-o", "loop", str(image)) as mnt:
        refused_then_fine(mnt, large, layout(tmp_path, Entry(name="small")))


@ROOT_ONLY
def test_st_08_no_inode_left(tmp_path: Path) -> None:
    large = layout(tmp_path, *(Entry(name=f"f{n}") for n in range(500)))
    with mounted(tmp_path / "mnt", "-t", "tmpfs", "-o", "nr_inodes=100,mode=700", "tmpfs") as mnt:
        refused_then_fine(mnt, large, layout(tmp_path, Entry(name="small")))


MEASURED = """
import sys
from pyrt.image_pull import pull
from pyrt.store.store import Store
pull(sys.argv[2], store=Store.open(sys.argv[1]))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def peak(tmp_path: Path, megabytes: int) -> int:
    """MiB that a process needs to pull one layer of so many, half of it incompressible."""
    directory = tmp_path / f"layout-{megabytes}"
    directory.mkdir()
    built = images.image([large_layer(megabytes)])
    images.write_layout(directory, {NAME: built})
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, tmp_path / f"store-{megabytes}", f"oci:{directory}:{NAME}"],
        capture_output=True, check=True,
    )  # fmt: skip
    return int(done.stdout) >> 10  # not ru_maxrss: that has the parent's size in it (getrusage(2))


def large_layer(megabytes: int) -> images.Blob:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number in range(megabytes // 20):
            info = tarfile.TarInfo(f"f{number}")
            info.size = 20 << 20
            archive.addfile(info, io.BytesIO(noise(10 << 20, number) + bytes(10 << 20)))
    content = buffer.getvalue()
    packed = gzip.compress(content, 1, mtime=0)
    return images.Blob(media_type=images.media_types.OCI_LAYER_GZIP, content=packed, diff_id=images.sha256(content))


def test_memory_does_not_grow_with_the_layer(tmp_path: Path) -> None:
    small, large = peak(tmp_path, 20), peak(tmp_path, 300)
    assert large < 150
    assert large - small < 40
