"""What rots in a store is named, and repaired from where it came."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.check.conftest import Case
from tests.support.rot import flip


def resource(path: Path) -> None:
    """A link that leads elsewhere."""
    status = path.parent.stat()
    path.unlink()
    path.symlink_to("sudo")
    os.utime(path, ns=(0, 1_700_000_000_000_000_000), follow_symlinks=False)
    os.utime(path.parent, ns=(status.st_atime_ns, status.st_mtime_ns))


ROT: dict[str, tuple[Callable[[Path], object], str]] = {
    "content": (lambda tree: flip(tree / "bin/su", 4999), "/bin/su: content differs"),
    "size": (lambda tree: os.truncate(tree / "etc/passwd", 0), "/etc/passwd: size 0, should be 161"),
    "mode": (lambda tree: (tree / "bin/ping").chmod(0o777), "/bin/ping: mode 0777, should be 0755"),
    "owner": (lambda tree: os.chown(tree / "home/app/file", 0, 0), "/home/app/file: owner 0:0, should be 1000:1000"),
    "xattr": (
        lambda tree: os.removexattr(tree / "bin/ping", "security.capability"),
        "/bin/ping: xattr security.capability differs",
    ),
    "link": (lambda tree: resource(tree / "bin/sh"), "/bin/sh: target sudo, should be su"),
    "time": (lambda tree: os.utime(tree / "etc/passwd", (5, 5)), "/etc/passwd: modification time differs"),
    "missing": (lambda tree: (tree / "bin/ping").unlink(), "/bin/ping: missing"),
    "more": (lambda tree: (tree / "etc/cron").write_text(""), "/etc/cron: not of the layer"),
    "type": (
        lambda tree: ((tree / "dev/null").unlink(), (tree / "dev/null").write_text("")),
        "/dev/null: is a file, should be a character device",
    ),
}


@pytest.mark.parametrize("rot", ROT)
def test_st_21_an_unpacked_file_that_rots(case: Case, rot: str) -> None:
    case.assert_clean()
    change, what = ROT[rot]
    change(case.tree(case.shared))
    lines = case.finds()
    assert len(lines) == 1
    assert lines[0].startswith(f"layer {case.shared.diff_id} ({case.small_name}, {case.large_name}): not what was unpacked: ")
    assert what in lines[0]
    assert "implicit" not in lines[0]  # its time is that of the unpacking, in both
    assert case.finds() == lines, "a check changes nothing"
    lines = case.repairs()
    assert len(lines) == 1
    assert lines[0].endswith(" -- unpacked again")


def test_st_21_a_whiteout_that_is_gone(case: Case) -> None:
    (case.tree(case.top) / "etc/passwd").unlink()
    (line,) = case.finds()
    assert f"layer {case.top.diff_id} ({case.large_name}): not what was unpacked: /etc/passwd: missing" in line
    case.repairs()


@pytest.mark.parametrize("which", ["layer", "manifest", "config"])
def test_st_21_a_blob_that_rots_is_fetched_again(case: Case, which: str) -> None:
    digest = {
        "layer": case.top.digest,
        "manifest": case.large.digest,
        "config": json.loads(case.large.top.content)["config"]["digest"],
    }[which]
    before = case.blob(digest).read_bytes()
    flip(case.blob(digest), 5)
    asked = len(case.registry.requests())
    (line,) = [line for line in case.finds() if line.startswith("blob ")]
    assert digest in line
    assert case.large_name in line
    assert case.small_name not in line
    assert "damaged: its " in line
    assert len(case.registry.requests()) == asked, "a check asks nobody"
    lines = case.repairs()
    assert lines[0].endswith(" -- fetched again")
    assert case.blob(digest).read_bytes() == before
    assert {record.name for record in case.store.images.list()} == {case.small_name, case.large_name}
    fetched = [line for line in case.registry.requests()[asked:] if case.shared.digest in line]
    assert not fetched, "only what was damaged is fetched"


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: os.truncate(path, 0)])
def test_st_21_a_blob_that_is_gone_or_empty(case: Case, damage: Callable[[Path], object]) -> None:
    damage(case.blob(case.shared.digest))
    (line,) = case.finds()
    assert f"blob {case.shared.digest} ({case.small_name}, {case.large_name}): " in line
    assert case.repairs()[0].endswith(" -- fetched again")


def test_st_21_blob_and_tree_at_once(case: Case) -> None:
    flip(case.blob(case.shared.digest), 100)
    flip(case.tree(case.shared) / "bin/su")
    shutil.rmtree(case.tree(case.top))
    assert len(case.finds()) == 3
    assert sorted(line.rpartition(" -- ")[2] for line in case.repairs()) == [
        "fetched again", "unpacked again", "unpacked again"
    ]  # fmt: skip


def test_st_21_an_image_that_cannot_be_fetched_goes_alone(busybox: Case) -> None:
    """It came from a layout, and at the registry of its name there is no such image."""
    busybox.environ["http_proxy"] = busybox.environ["https_proxy"] = "http://127.0.0.1:9"
    assert busybox.pyrt("tag", "busybox", "other").returncode == 0
    (record, *_) = busybox.store.images.list()
    flip(busybox.blob(str(record.descriptor.digest)), 3)
    assert len(busybox.finds()) == 1
    (line,) = busybox.repairs()
    assert "removed the image: cannot be fetched: " in line
    assert busybox.store.images.list() == ()
    assert busybox.store.layers.names() == []


def test_st_21_an_image_of_another_tool_is_no_damage(case: Case) -> None:
    """Copied into the layout, not unpacked: the first run unpacks it."""
    for blob in (case.shared, case.top):
        shutil.rmtree(case.tree(blob))
        Path(f"{case.tree(blob)}.tree").unlink()
    case.assert_clean()


def test_a_layer_of_an_older_store_gets_its_digest(case: Case) -> None:
    Path(f"{case.tree(case.top)}.tree").unlink()
    assert case.pyrt("inspect", case.large_name).returncode == 0
    (line,) = case.finds()
    assert line == f"layer {case.top.diff_id} ({case.large_name}): no digest recorded"
    case.repairs()
    assert Path(f"{case.tree(case.top)}.tree").exists()


def test_what_no_image_needs_goes(case: Case) -> None:
    stray = case.root / "blobs/sha256" / ("0" * 64)
    stray.write_bytes(b"not zero")
    (line,) = case.finds()
    assert line.startswith(f"blob sha256:{'0' * 64}: damaged: ")
    assert case.repairs()[0].endswith(" -- removed: no image needs it")
    assert not stray.exists()


def test_what_was_found_as_json(case: Case) -> None:
    flip(case.tree(case.shared) / "bin/su")
    found = json.loads(case.finds("--format", "json")[0])
    assert not found["Clean"]
    assert found["Checked"] == {"Images": 2, "Blobs": 6, "Layers": 2, "Containers": 0, "Volumes": 0}
    (problem,) = found["Problems"]
    assert problem["Kind"] == "layer"
    assert problem["Subject"] == case.shared.diff_id
    assert problem["Images"] == [case.small_name, case.large_name]
    assert problem["Paths"] == ["/bin/su: content differs", "/bin/sudo: content differs"]
    assert not problem["Mended"]
    assert case.pyrt("check", "--repair", "--format", "{{.Clean}}").stdout == "true\n"
    assert json.loads(case.pyrt("check", "--format", "json").stdout)["Problems"] == []
