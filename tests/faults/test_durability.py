"""What a pull pays to survive a power cut: one syncfs and one synced marker, whatever the number of its files."""

from __future__ import annotations

import errno
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pyrt.image_pull import pull
from pyrt.store.store import Store
from tests.support import images
from tests.support.images import Entry
from tests.support.parts import need

NAME = "docker.io/library/x:latest"
SYNCS = "sync,syncfs,fsync,fdatasync,sync_file_range,msync"


def layout(tmp_path: Path, number: int, files: int) -> str:
    directory = tmp_path / f"v{number}"
    directory.mkdir()
    layers = [
        images.layer(images.tar([Entry(name=f"{layer}-{n}", content=b"x" * number) for n in range(files)]))
        for layer in range(3)
    ]
    images.write_layout(directory, {NAME: images.image(layers)})
    return f"oci:{directory}:{NAME}"


@pytest.mark.parametrize("files", [2, 200])
def test_st_04_one_syncfs_and_one_synced_marker(tmp_path: Path, files: int) -> None:
    """The file of the index and the directory that names it, after the data of everything."""
    need("strace")
    root = tmp_path / "store"
    pull(layout(tmp_path, 1, 1), store=Store.open(str(root)))
    log = tmp_path / "log"
    subprocess.run(
        ["strace", "-f", "-y", "-o", log, "-e", f"trace={SYNCS}", sys.executable, "-m", "pyrt", "--root", root, "pull", "-q",
         layout(tmp_path, 2, files)],
        check=True, capture_output=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    calls = re.findall(r"(\w+)\(\d+<([^>]*)>", log.read_text())
    assert [call for call, _ in calls] == ["syncfs", "fsync", "fsync"]
    assert [os.path.dirname(path) for _, path in calls[1:]] == [str(root / "tmp"), str(tmp_path)]
    assert calls[0][1] == calls[2][1] == str(root)


def test_st_04_large_files_go_to_the_disk_while_the_pull_goes_on(tmp_path: Path) -> None:
    """Nobody waits for them before the one syncfs, which then has less to do."""
    need("strace")
    noise = random.Random(4).randbytes(9 << 20)
    source = tmp_path / "v"
    source.mkdir()
    images.write_layout(source, {NAME: images.image([images.layer(images.tar([Entry(name="large", content=noise)]))])})
    log = tmp_path / "log"
    subprocess.run(
        ["strace", "-f", "-y", "-o", log, "-e", f"trace={SYNCS}", sys.executable, "-m", "pyrt", "--root", tmp_path / "store",
         "pull", "-q", f"oci:{source}:{NAME}"],
        check=True, capture_output=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    early, late = log.read_text().split("syncfs(")
    calls = re.findall(r"sync_file_range\(\d+<([^>]*)>, 0, 0, (\w+)\)", early)
    assert len(calls) == early.count("sync_file_range(")
    assert {flags for _, flags in calls} == {"SYNC_FILE_RANGE_WRITE"}
    assert sum(path.endswith("/large") for path, _ in calls) == 3, "twice on the way and once at the end"
    assert sum("/tmp/blob-" in path for path, _ in calls) == 2
    assert "sync_file_range" not in late


def test_st_09_what_cannot_be_read_is_needed(tmp_path: Path) -> None:
    """Garbage collection once took an index or manifest that it could not open (EMFILE, EIO) for an empty one, and removed
    the parts of other images."""
    from pyrt.errors import StoreError
    from pyrt.store.garbage import collect

    store = Store.open(str(tmp_path / "store"))
    image = pull(layout(tmp_path, 1, 1), store=store)
    before = store.content.digests(), store.layers.names()
    for path in (store.layout.index, store.content.path(image.digest)):
        os.rename(path, f"{path}.away")
        os.mkdir(path)  # opening it works, reading it does not: EISDIR
        with pytest.raises(StoreError):
            collect(store.layout, store.content, store.layers)
        os.rmdir(path)
        os.rename(f"{path}.away", path)
        assert (store.content.digests(), store.layers.names()) == before
    collect(store.layout, store.content, store.layers)
    assert store.images.present(image)


def test_st_03_what_was_never_synced_is_not_trusted_after_a_reboot(tmp_path: Path) -> None:
    """ext4 has a file's name and size on the disk before its bytes: zeros looked whole to the next pull."""
    store, reference = Store.open(str(tmp_path / "store")), Store.open(str(tmp_path / "reference"))
    text = layout(tmp_path, 5, 3)
    image = pull(text, store=reference)
    pull(layout(tmp_path, 1, 1), store=store)
    torn = store.content.path(image.layers[0].digest)
    Path(torn).write_bytes(bytes(image.layers[0].size or 0))
    os.mkdir(store.layers.path(image.diff_ids[0]))
    os.unlink(f"{store.layout.run}/boot")
    pull(text, store=store)
    assert Path(torn).read_bytes() == Path(reference.content.path(image.layers[0].digest)).read_bytes()
    assert len(os.listdir(store.layers.path(image.diff_ids[0]))) == 3


def test_st_09_a_volume_that_cannot_be_looked_at_is_not_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """os.path.exists says no to EIO too; the volume's content was then taken for that of somebody killed while filling it."""
    from pyrt.errors import StoreError

    store = Store.open(str(tmp_path / "store"))
    path = Path(store.volumes.use("data", lambda directory: None))
    (path / "precious").write_text("x")
    real = os.stat

    def fails(name: str, *rest: object, **more: object) -> os.stat_result:
        if str(name).endswith("/filled"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", fails)
    with pytest.raises(StoreError, match="Input/output error"):
        store.volumes.use("data", lambda directory: None)
    monkeypatch.undo()
    assert (path / "precious").read_text() == "x"
