"""What is left by the dead goes, what the living hold stays, what cannot be removed stops nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pyrt._native import file_system as native
from pyrt.oci.digest import Digest
from pyrt.store.leases import lease
from pyrt.store.removal import remove_tree
from pyrt.store.staging import entry, replace, sync_file_system
from pyrt.store.store import Store
from pyrt.store.sweep import sweep

KILLED = """
import os, sys
from pyrt.store.staging import entry
from pyrt.store.store import Store
store = Store.open(sys.argv[1])
with entry(store.layout, "layer") as path:
    os.makedirs(path + "/a/b")
    open(path + "/a/b/file", "w").close()
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_goes(store: Store) -> None:
    subprocess.run([sys.executable, "-c", KILLED, store.layout.root], check=False)
    assert len(os.listdir(store.layout.tmp)) == 1
    assert sweep(store) == ()
    assert os.listdir(store.layout.tmp) == []
    assert [name for name in os.listdir(store.layout.locks) if name.startswith("tmp-")] == []


def test_st_25_what_somebody_works_on_stays(store: Store) -> None:
    with entry(store.layout, "layer") as path:
        os.mkdir(path)
        assert sweep(store) == ()
        assert os.path.isdir(path)
    assert os.listdir(store.layout.tmp) == []


def test_what_the_caller_wants_stays(store: Store) -> None:
    Path(store.layout.tmp, "blob-x").write_text("")
    Path(store.layout.tmp, "blob-y").write_text("")
    sweep(store, keep=frozenset({"blob-x"}))
    assert os.listdir(store.layout.tmp) == ["blob-x"]


def test_what_a_dead_lease_protected_goes(store: Store) -> None:
    blob = store.content.put(b"half a pull", "text/plain")
    kept = store.content.put(b"of another pull", "text/plain")
    Path(store.layout.tmp, "lease-dead").write_text(json.dumps([str(blob.digest), str(kept.digest)]))
    with lease(store.layout) as held:
        held.add([kept.digest])
        sweep(store)
        assert not store.content.has(blob.digest)
        assert store.content.has(kept.digest)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b'{"a"', b"{}", b"[1, null]"])
def test_a_damaged_lease_is_only_junk(store: Store, content: bytes) -> None:
    Path(store.layout.tmp, "lease-dead").write_bytes(content)
    assert sweep(store) == ()
    assert os.listdir(store.layout.tmp) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_st_24_junk_that_cannot_be_removed_is_a_warning(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("kept")
    junk = Path(store.layout.tmp, "junk")
    (junk / "mnt").mkdir(parents=True)
    (junk / "other").write_text("")
    subprocess.run(["mount", "--bind", outside, junk / "mnt"], check=True)
    try:
        warnings = sweep(store)
        assert len(warnings) == 2
        assert all(str(junk) in warning for warning in warnings)
        assert (outside / "precious").read_text() == "kept"
        assert os.listdir(junk) == ["mnt"]
        assert len(sweep(store)) == 2
    finally:
        subprocess.run(["umount", junk / "mnt"], check=True)
    assert sweep(store) == ()
    assert not junk.exists()


def test_a_tree_deeper_than_a_path_may_be_long(tmp_path: Path) -> None:
    top = tmp_path / "tree"
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("deep-", dir_fd=fd)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        below = os.open("deep-", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    before = len(os.listdir("/proc/self/fd"))
    assert remove_tree(str(top)) == ()
    assert not top.exists()
    assert len(os.listdir("/proc/self/fd")) == before


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "outside")
    assert remove_tree(str(tmp_path / "tree")) == ()
    assert (tmp_path / "outside" / "file").exists()
    assert not (tmp_path / "tree").exists()


UNPRIVILEGED = """
import os, sys
from pyrt.store.removal import remove_tree
os.setgid(12345); os.setuid(12345)
print(remove_tree(sys.argv[1]), os.path.exists(sys.argv[1]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_directories_without_permissions_go_too() -> None:
    with tempfile.TemporaryDirectory() as above:  # pytest's own directories are closed to others
        os.chmod(above, 0o711)
        top = Path(above, "mine", "tree")
        (top / "closed" / "below").mkdir(parents=True)
        (top / "closed" / "file").write_text("")
        for name, mode in (("closed/below", 0o000), ("closed/file", 0o400), ("closed", 0o500), ("", 0o500)):
            (top / name).chmod(mode)
            os.chown(top / name, 12345, 12345)
        os.chown(top.parent, 12345, 12345)
        done = subprocess.run([sys.executable, "-c", UNPRIVILEGED, top], capture_output=True, text=True, check=True)
    assert done.stdout == "() False\n"


def test_replacing_leaves_no_trace(store: Store) -> None:
    path = f"{store.layout.root}/record"
    for text in (b"old", b"new"):
        replace(store.layout, path, text)
    assert Path(path).read_bytes() == b"new"
    assert os.listdir(store.layout.tmp) == []


def test_a_lease_protects_what_it_names_only(store: Store) -> None:
    with lease(store.layout) as held:
        digest = Digest.of(b"x")
        held.add([digest])
        assert held.digests == {str(digest)}
    assert os.listdir(store.layout.tmp) == []


def test_a_sync_that_fails_says_so(store: Store) -> None:
    sync_file_system(store.layout.root)
    with pytest.raises(OSError, match="Bad file descriptor"):
        native.sync_file_system(-1)
