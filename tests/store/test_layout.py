"""Where the store is, who may reach it, and what is refused."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrt.errors import StoreError, UsageError
from pyrt.store.layout import DIRECTORIES, StoreLayout, at, defaults
from pyrt.store.store import Store


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_every_directory_is_private_whatever_the_umask(tmp_path: Path, umask: None, mask: int) -> None:
    os.umask(mask)
    at(str(tmp_path / "a" / "store")).create()
    os.umask(0o022)
    for name in ("", "run", *DIRECTORIES):
        assert stat.S_IMODE((tmp_path / "a" / "store" / name).stat().st_mode) == 0o700, name


def test_it_is_an_oci_image_layout(tmp_path: Path) -> None:
    at(str(tmp_path)).create()
    assert json.loads((tmp_path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads((tmp_path / "index.json").read_text()) == {"schemaVersion": 2, "manifests": []}


def test_creating_twice_changes_nothing(tmp_path: Path) -> None:
    at(str(tmp_path)).create()
    (tmp_path / "index.json").write_text('{"schemaVersion": 2, "manifests": [], "kept": 1}')
    at(str(tmp_path)).create()
    assert "kept" in (tmp_path / "index.json").read_text()
    assert sorted(os.listdir(tmp_path)) == sorted(
        {name.partition("/")[0] for name in DIRECTORIES} | {"run", "oci-layout", "index.json"}
    )


def test_a_readable_root_of_ours_is_closed(tmp_path: Path) -> None:
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(0o755)
    at(str(root)).create()
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702])
def test_a_root_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(mode)
    with pytest.raises(StoreError, match="others can write to it") as caught:
        at(str(root)).create()
    assert f"chmod 700 {root}" in caught.value.hint
    assert os.listdir(root) == []


def test_a_directory_below_that_others_can_write_is_refused(tmp_path: Path) -> None:
    at(str(tmp_path)).create()
    (tmp_path / "blobs" / "sha256").chmod(0o777)
    with pytest.raises(StoreError, match="blobs/sha256: others can write"):
        at(str(tmp_path)).create()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_somebody_elses_root_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "store"
    root.mkdir(mode=0o700)
    os.chown(root, 12345, 12345)
    with pytest.raises(StoreError, match="belongs to uid 12345, not to uid 0"):
        at(str(root)).create()


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="not a directory"):
        at(str(tmp_path / "store")).create()
    with pytest.raises(StoreError, match="Not a directory"):
        at(str(tmp_path / "store" / "below")).create()


def test_a_root_that_cannot_be_made_says_where_else() -> None:
    with pytest.raises(StoreError, match="/proc/pyrt") as caught:
        at("/proc/pyrt").create()
    assert str(caught.value).startswith("store /proc/pyrt: ")


def test_the_root_directory_is_no_store() -> None:
    with pytest.raises(UsageError, match="cannot be a store"):
        at("/")


@pytest.mark.parametrize(
    ("environ", "uid", "root", "run"),
    [
        ({}, 0, "/var/lib/pyrt", "/run/pyrt"),
        ({"XDG_DATA_HOME": "/data", "HOME": "/root"}, 0, "/var/lib/pyrt", "/run/pyrt"),
        ({"PYRT_ROOT": "/srv/x"}, 0, "/srv/x", "/srv/x/run"),
        ({"PYRT_ROOT": "/srv/x", "XDG_DATA_HOME": "/data"}, 1000, "/srv/x", "/srv/x/run"),
        ({"HOME": "/home/anna"}, 1000, "/home/anna/.local/share/pyrt", "/home/anna/.local/share/pyrt/run"),
        ({"HOME": "/home/anna", "XDG_DATA_HOME": "/data"}, 1000, "/data/pyrt", "/data/pyrt/run"),
        ({"HOME": "/h", "XDG_DATA_HOME": "relative"}, 1000, "/h/.local/share/pyrt", "/h/.local/share/pyrt/run"),
    ],
)
def test_where_the_store_is(environ: dict[str, str], uid: int, root: str, run: str) -> None:
    assert defaults(environ, uid) == StoreLayout(root=root, run=run)


def test_st_12_the_runtime_directory_has_to_be_ours_alone(tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    environ = {"HOME": "/h", "XDG_RUNTIME_DIR": str(runtime)}
    below = "/h/.local/share/pyrt/run"
    assert defaults(environ, os.getuid() or 1).run == (f"{runtime}/pyrt" if os.getuid() else below)
    os.chown(runtime, 1000, -1) if os.getuid() == 0 else None
    uid = runtime.stat().st_uid
    assert defaults(environ, uid).run == f"{runtime}/pyrt"
    assert defaults(environ, uid + 1).run == below
    runtime.chmod(0o777)
    assert defaults(environ, uid).run == below
    (tmp_path / "link").symlink_to(runtime)
    runtime.chmod(0o700)
    assert defaults({**environ, "XDG_RUNTIME_DIR": str(tmp_path / "link")}, uid).run == below


def test_a_relative_root_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Store.open("s").layout.root == str(tmp_path / "s")
