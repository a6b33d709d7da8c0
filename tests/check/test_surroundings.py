"""Junk that cannot be removed, wrong permissions, odd file systems, and what others are doing meanwhile."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyrt.store.staging import entry
from tests.check.conftest import REPOSITORY, Case
from tests.support.parts import need
from tests.support.rot import flip


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    need("chattr")
    subprocess.run(["chattr", "+i", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", path], check=True)


@contextmanager
def mounted(what: str | Path, where: Path, *options: str) -> Iterator[Path]:
    where.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", *options, what, where], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)


def others_work(case: Case) -> None:
    """Commands that have nothing to do with it."""
    assert case.pyrt("images", "-q").returncode == 0
    assert case.pyrt("pull", "-q", case.small_name).returncode == 0
    assert case.pyrt("rmi", case.small_name).returncode == 0
    assert case.pyrt("pull", "-q", case.small_name).returncode == 0


@pytest.mark.parametrize("kind", ["immutable", "mounted"])
def test_st_24_junk_that_cannot_be_removed(case: Case, kind: str, tmp_path: Path) -> None:
    junk = case.root / "tmp/layer-dead"
    (junk / "sub").mkdir(parents=True)
    (junk / "sub/file").write_text("x")
    with immutable(junk / "sub/file") if kind == "immutable" else mounted("none", junk / "sub/mnt", "-t", "tmpfs"):
        (line,) = case.finds()
        assert line.startswith(f"leftover {junk}: cannot be removed: ")
        others_work(case)
        (line,) = case.finds("--repair")
        assert line.endswith(" -- not repaired")
    case.assert_clean()


def test_st_24_junk_of_another_uid_goes(case: Case) -> None:
    """The benign twin: root may remove it, whatever its mode is."""
    junk = case.root / "tmp/layer-dead"
    (junk / "sub").mkdir(parents=True)
    (junk / "sub/file").write_text("x")
    for path in (junk / "sub/file", junk / "sub", junk):
        os.chown(path, 4711, 4711)
        path.chmod(0)
    case.assert_clean()
    assert not junk.exists()


def test_st_25_what_a_pull_under_way_has_stays(case: Case) -> None:
    with entry(case.store.layout, "layer") as path:
        os.makedirs(f"{path}/tree/half")
        done = case.pyrt("check", "--repair")
        assert (done.returncode, done.stdout[:14]) == (0, "nothing wrong:")
        assert os.path.isdir(f"{path}/tree/half")
    case.assert_clean()


def test_what_a_running_container_uses_is_not_touched(busybox: Case) -> None:
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    words = [sys.executable, "-m", "pyrt", "--root", str(busybox.root), "run", "--rm", "--name", "runs", "-i", "busybox", "cat"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, cwd=REPOSITORY) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b"up\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"up\n"
        (layer,) = [busybox.root / "layers" / name for name in busybox.store.layers.names()]
        flip(layer / "etc/passwd")
        inode = layer.stat().st_ino
        (line,) = busybox.finds("--repair")
        assert line.endswith(" -- not repaired: container runs uses it")
        assert layer.stat().st_ino == inode
        blob = busybox.blob(str(busybox.store.images.load(busybox.store.images.list()[0]).layers[0].digest))
        blob.unlink()
        busybox.environ["http_proxy"] = busybox.environ["https_proxy"] = "http://127.0.0.1:9"
        lines = busybox.finds("--repair")
        assert "not repaired: container runs uses the image, which cannot be fetched: " in lines[0]
        assert busybox.pyrt("images", "-q").stdout
        assert layer.stat().st_ino == inode
        process.stdin.write(b"still up\n")
        process.stdin.close()
        assert process.stdout.readline() == b"still up\n"
        assert process.wait() == 0
    busybox.repairs()
    assert busybox.store.images.list() == ()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_st_29_a_store_is_made_private(umask: int, case: Case, tmp_path: Path) -> None:
    words = f"umask {umask:04o}; exec {sys.executable} -m pyrt --root {tmp_path}/new pull -q {case.small_name}"
    done = subprocess.run(["sh", "-c", words], cwd=REPOSITORY, env={**os.environ, **case.environ}, capture_output=True)
    assert done.returncode == 0, done.stderr
    new = tmp_path / "new"
    for path in (new, *new.iterdir()):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    Case(new, case.environ, case.registry).assert_clean()


def test_st_29_a_store_that_others_could_enter_is_closed_and_told(case: Case) -> None:
    (case.root / "layers").chmod(0o755)
    (line,) = case.finds()
    assert line == f"permissions {case.root}/layers: mode 0755, must be 0700 -- is 0700 now"
    case.assert_clean()
    (case.root / "index.json").chmod(0o666)
    assert case.finds() == ["permissions index.json: mode 0666: open to others"]
    case.repairs()
    os.chown(case.root / "index.json", 1, 1)
    assert case.finds() == ["permissions index.json: belongs to uid 1, not to 0"]
    case.repairs()


@pytest.mark.parametrize("where", [".", "layers", "tmp"])
def test_st_29_a_store_that_others_could_write_is_refused(case: Case, where: str) -> None:
    (case.root / where).chmod(0o777)
    for words in (["check"], ["check", "--repair"], ["images"], ["pull", case.small_name]):
        done = case.pyrt(*words)
        assert done.returncode == 1
        assert "others can write to it" in done.stderr
        assert done.stdout == ""
    assert stat.S_IMODE((case.root / where).stat().st_mode) == 0o777


def test_st_29_a_store_behind_a_link_of_ours(case: Case, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(case.root)
    Case(tmp_path / "link", case.environ, case.registry).assert_clean()


def test_a_read_only_store_can_be_checked(case: Case) -> None:
    flip(case.tree(case.top) / "big")
    with mounted(case.root, case.root, "--bind"):
        subprocess.run(["mount", "-o", "remount,bind,ro", case.root], check=True)
        (line,) = case.finds()
        assert line == f"layer {case.top.diff_id} ({case.large_name}): not what was unpacked"
    case.repairs()


@contextmanager
def file_system(kind: str, tmp_path: Path) -> Iterator[Path]:
    """A place for a store, on a file system of this kind."""
    where = tmp_path / "odd"
    if kind == "tmpfs":
        with mounted("none", where, "-t", "tmpfs"):
            yield where
    elif kind == "overlay":
        for name in ("lower", "upper", "work"):
            (tmp_path / name).mkdir()
        layers = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
        with mounted("overlay", where, "-t", "overlay", "-o", layers):
            yield where
    elif kind == "noexec,nosuid,nodev":
        with mounted("none", where, "-t", "tmpfs", "-o", kind):
            yield where
    elif kind == "ramfs":
        with mounted("none", where, "-t", "ramfs"):
            yield where


@pytest.mark.parametrize("kind", ["tmpfs", "noexec,nosuid,nodev"])
def test_st_26_a_store_on_an_odd_file_system(case: Case, kind: str, tmp_path: Path) -> None:
    with file_system(kind, tmp_path) as where:
        odd = Case(where / "store", case.environ, case.registry)
        assert odd.pyrt("pull", "-q", case.large_name).returncode == 0
        odd.assert_clean()
        flip(odd.tree(case.shared) / "bin/su")
        assert "/bin/su: content differs" in odd.finds()[0]
        odd.repairs()
        shutil.rmtree(where / "store")


@pytest.mark.parametrize("kind", ["overlay", "ramfs"])
def test_st_26_a_file_system_that_cannot_hold_an_image(case: Case, kind: str, tmp_path: Path) -> None:
    """overlayfs has no whiteouts, ramfs no xattrs: an error that says what to do, and nothing is left."""
    with file_system(kind, tmp_path) as where:
        odd = Case(where / "store", case.environ, case.registry)
        done = odd.pyrt("pull", "-q", case.large_name)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert f"the file system at {where}/store cannot hold it: move the store with --root or PYRT_ROOT" in done.stderr
        odd.assert_clean()
        assert odd.store.layers.names() == []
