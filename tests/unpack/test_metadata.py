"""Modes, owners, times and extended attributes."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyrt._native.extract import Extractor, private_umask
from pyrt.errors import LayerError, NoSpace
from tests.support.extraction import in_thread, unpack
from tests.support.parts import need
from tests.support.tarwriter import archive, directory, entry, pax, symlink
from tests.support.trees import manifest

Tree = Callable[..., Path]

MODES = archive(
    *(entry(f"f{mode:o}", b"x", mode=mode) for mode in (0o000, 0o644, 0o666, 0o777, 0o4755, 0o2755, 0o1644, 0o7777)),
    *(directory(f"d{mode:o}", mode) for mode in (0o000, 0o755, 0o777, 0o1777, 0o2775, 0o7777)),
    *(entry(f"p{mode:o}", type="6", mode=mode) for mode in (0o000, 0o666, 0o4777)),
    entry("implied/f"),
)


def assert_modes(root: Path) -> None:
    for path in root.iterdir():
        expected = 0o755 if path.name == "implied" else int(path.name[1:], 8)
        assert stat.S_IMODE(path.lstat().st_mode) == expected, path.name


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077, 0o777])
def test_tx_73_umask_independence(tmp_path: Path, umask: int, private: bool) -> None:
    before = os.umask(umask)
    try:
        os.mkdir(tmp_path / "root", 0o700)
        os.chmod(tmp_path / "root", 0o700)
        options = {} if private else {"umask_is_zero": False}
        unpack(tmp_path / "root", MODES, chown=False, **options)
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert_modes(tmp_path / "root")


def test_private_umask_is_only_for_the_thread(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        assert in_thread(lambda is_zero: (is_zero, os.umask(0o077))) == (True, 0)
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_private_umask_is_refused_in_the_first_thread() -> None:
    with pytest.raises(RuntimeError):
        private_umask()


def test_setgid_on_the_root_does_not_spread(tmp_path: Path, root: None) -> None:
    (tmp_path / "root").mkdir()
    os.chown(tmp_path / "root", 0, 50)
    os.chmod(tmp_path / "root", 0o2755)
    unpack(tmp_path / "root", archive(entry("f"), directory("d", 0o755), entry("i/f"), symlink("l", "f")))
    assert {item.gid for path, item in manifest(tmp_path / "root").items() if path} == {0}
    assert {item.mode for item in manifest(tmp_path / "root").values() if item.kind == "directory"} == {0o755, 0o2755}


def test_default_acl_on_the_root_does_not_spread(tmp_path: Path, root: None) -> None:
    (tmp_path / "root").mkdir()
    only_the_owner = bytes.fromhex("0200000001000700ffffffff04000000ffffffff20000000ffffffff")
    os.setxattr(tmp_path / "root", "system.posix_acl_default", only_the_owner)
    unpack(tmp_path / "root", MODES)
    assert_modes(tmp_path / "root")


def test_setgid_directories_do_not_spread(tree: Tree) -> None:
    root = tree(archive(directory("d", 0o2775, gid=50), entry("d/f"), directory("d/e", 0o755)), archive(entry("d/g")))
    found = manifest(root)
    assert [found[path].gid for path in (b"d", b"d/f", b"d/e", b"d/g")] == [50, 0, 0, 0]
    assert found[b"d/e"].mode == 0o755


def test_setuid_survives_the_owner(tree: Tree) -> None:
    status = (tree(archive(entry("su", b"x", mode=0o6755, uid=5, gid=6))) / "su").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o6755, 5, 6)


def test_chown_false_leaves_owners_alone(tmp_path: Path) -> None:
    unpack(
        tmp_path / "root",
        archive(entry("f", uid=5, gid=6), directory("d", uid=5), symlink("l", "x", uid=5)),
        chown=False,
    )
    assert {(item.uid, item.gid) for item in manifest(tmp_path / "root").values()} == {(os.geteuid(), os.getegid())}


def test_times_of_directories_are_the_last_to_be_set(tree: Tree) -> None:
    root = tree(archive(directory("d", mtime=100), directory("d/e", mtime=200), entry("d/e/f", mtime=300), entry("d/g")))
    assert [(root / path).stat().st_mtime for path in ("d", "d/e", "d/e/f")] == [100, 200, 300]


CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw+ep, revision 2


def test_tx_40_file_capabilities_survive(tree: Tree) -> None:
    xattr = pax({"SCHILY.xattr.security.capability": CAPABILITY})
    root = tree(archive(xattr, entry("ping", b"x", mode=0o755, uid=5)))
    assert os.getxattr(root / "ping", "security.capability") == CAPABILITY


def test_xattrs(tree: Tree) -> None:
    value = bytes(range(256)) * 4
    records = {"SCHILY.xattr.user.a": value, "SCHILY.xattr.user.empty": b"", "SCHILY.xattr.trusted.t": b"1"}
    root = tree(archive(pax(records), entry("f", mode=0o444), pax(records), directory("d", 0o555), entry("plain")))
    for path in (root / "f", root / "d"):
        assert os.getxattr(path, "user.a") == value and os.getxattr(path, "user.empty") == b""
        assert os.getxattr(path, "trusted.t") == b"1"
    assert os.listxattr(root / "plain") == []
    assert stat.S_IMODE((root / "f").stat().st_mode) == 0o444


def test_tx_41_xattrs_that_have_no_place_here_are_dropped(tree: Tree) -> None:
    records = {
        "SCHILY.xattr.security.selinux": b"system_u:object_r:bin_t:s0\0",
        "SCHILY.xattr.security.ima": b"\3",
        "SCHILY.xattr.nosuch.x": b"1",
        "SCHILY.xattr.system.posix_acl_access": b"junk",
        "SCHILY.xattr.user.kept": b"1",
    }
    root = tree(archive(pax(records), entry("f"), pax(records), symlink("l", "f"), pax(records), entry("p", type="6")))
    assert os.listxattr(root / "f") == ["user.kept"]
    assert (root / "l").is_symlink() and (root / "p").is_fifo()


def test_tx_41_acls_are_kept(tree: Tree) -> None:
    acl = bytes.fromhex("0200000001000600ffffffff020004000500000004000400ffffffff10000400ffffffff20000000ffffffff")
    root = tree(archive(pax({"SCHILY.xattr.system.posix_acl_access": acl}), entry("f", mode=0o640)))
    assert os.getxattr(root / "f", "system.posix_acl_access") == acl
    assert stat.S_IMODE((root / "f").stat().st_mode) == 0o640


def test_tx_41_default_acls_are_not_inherited_while_unpacking(tree: Tree) -> None:
    acl = bytes.fromhex("0200000001000700ffffffff04000000ffffffff20000000ffffffff")
    root = tree(
        archive(
            pax({"SCHILY.xattr.system.posix_acl_default": acl, "SCHILY.xattr.user.a": "1"}),
            directory("d", 0o755),
            entry("d/f", mode=0o666),
            entry("d/e/g", mode=0o666),
        )
    )
    assert os.getxattr(root / "d", "system.posix_acl_default") == acl and os.getxattr(root / "d", "user.a") == b"1"
    assert os.listxattr(root / "d/f") == os.listxattr(root / "d/e") == []
    assert stat.S_IMODE((root / "d/f").stat().st_mode) == 0o666


def test_trusted_xattrs_of_links_and_fifos(tree: Tree) -> None:
    records = pax({"SCHILY.xattr.trusted.t": b"1"})
    root = tree(archive(records, symlink("l", "f"), records, entry("p", type="6")))
    for name in "lp":
        assert os.getxattr(root / name, "trusted.t", follow_symlinks=False) == b"1"


UNPRIVILEGED = """
import os, sys
from tests.support.extraction import unpack
from tests.support.tarwriter import archive, directory, entry, pax, symlink
os.umask(0o777)
root = sys.argv[1]
os.mkdir(root)
os.chmod(root, 0o700)
capability = bytes.fromhex("0100000200200000000000000000000000000000")
records = pax(
    {"SCHILY.xattr.user.a": "1", "SCHILY.xattr.trusted.b": "1", "SCHILY.xattr.security.capability": capability}
)
unpack(root, archive(
    directory("none", 0o000, uid=5, mtime=5), directory("none/deeper", 0o555, mtime=6),
    entry("none/deeper/f", b"x", mode=0),
    records, entry("xattr", b"x", mode=0o400), symlink("l", "f", uid=7), entry("fifo", type="6", mode=0o4600),
    entry(".wh.gone"), entry("d/.wh..wh..opq"), entry("none", type="5", mode=0o111, mtime=7), entry("implied/f"),
    entry(".wh.back"), entry("back/f"), directory(".", 0o511, mtime=8),
), chown=False, overlay_xattr="user", umask_is_zero=False, by_walk=sys.argv[2] == "True")
assert os.stat(root).st_mode & 0o7777 == 0o511 and os.stat(root).st_mtime == 8
"""


def test_tx_74_without_privileges(tmp_path: Path, by_walk: bool) -> None:
    """Directories that nobody may write or enter, with a umask that takes everything."""
    need("unshare")
    tmp_path.chmod(0o777)
    root = tmp_path / "root"
    command = [sys.executable, "-c", UNPRIVILEGED, str(root), str(by_walk)]
    if os.geteuid() == 0:
        command = ["unshare", "-U", "--map-user=1000", "--map-group=1000", *command]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for path in (root, root / "none", root / "none/deeper", root / "none/deeper/f", root / "xattr", root / "implied"):
        expected = {"root": 0o511, "none": 0o111, "deeper": 0o555, "f": 0, "xattr": 0o400, "implied": 0o755}[path.name]
        assert stat.S_IMODE(path.stat().st_mode) == expected
        if not path.stat().st_mode & 0o100 and path.is_dir():
            path.chmod(0o700)
    assert (root / "none").stat().st_mtime == 7
    assert os.listxattr(root / "xattr") == ["user.a"]
    assert os.getxattr(root / "d", "user.overlay.opaque") == os.getxattr(root / "back", "user.overlay.opaque") == b"y"
    assert stat.S_ISCHR((root / "gone").lstat().st_mode) and (root / "gone").lstat().st_rdev == 0
    assert stat.S_IMODE((root / "fifo").lstat().st_mode) == 0o4600


def test_tx_72_devices_are_never_opened(tmp_path: Path, root: None) -> None:
    need("unshare")
    os.mkdir(tmp_path / "mount")
    script = f"""
import os, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "-o", "nodev", "tmpfs", {str(tmp_path / "mount")!r}], check=True)
from tests.support.extraction import unpack
from tests.support.tarwriter import archive, directory, entry
unpack({str(tmp_path / "mount/root")!r}, archive(
    directory("dev"), entry("dev/ptmx", type="3", major=5, minor=2, mode=0o666),
    entry("dev/null", type="3", major=1, minor=3, mode=0o4666, uid=5)))
print(oct(os.stat({str(tmp_path / "mount/root/dev/null")!r}).st_mode))
"""
    done = subprocess.run(["unshare", "-m", sys.executable, "-c", script], capture_output=True, text=True, cwd=os.getcwd())
    assert done.stdout.strip() == "0o24666", done.stderr


@pytest.fixture
def small_disk(tmp_path: Path, root: None) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=64", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    with pytest.raises(NoSpace, match="^layer entry 'usr/bin/x': write: No space left on device$"):
        unpack(small_disk / "root", archive(entry("usr/bin/x", b"x" * (1 << 20))))


def test_tx_77_no_inodes_left(small_disk: Path) -> None:
    with pytest.raises(NoSpace, match="^layer entry 'f[0-9]+': open: No space left on device$"):
        unpack(small_disk / "root", archive(*(entry(f"f{number}") for number in range(100))))


def test_an_error_says_entry_step_and_errno(tmp_path: Path) -> None:
    with pytest.raises(LayerError) as caught:
        unpack(tmp_path / "root", archive(entry("a"), entry("a/b")), chown=False)
    error = caught.value
    assert str(error) == "layer entry 'a/b': parent directory: Not a directory"
    assert (error.entry, error.step, error.errno) == ("a/b", "parent directory", errno.ENOTDIR)


def test_an_error_comes_again(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with Extractor(descriptor, chown=False) as extractor:
        for _ in range(2):
            with pytest.raises(LayerError, match="'a/../b'"):
                extractor.feed(archive(entry("a/../b")))
        with pytest.raises(LayerError, match="'a/../b'"):
            extractor.finish()
    os.close(descriptor)


def test_a_closed_extractor_says_so(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    extractor = Extractor(descriptor, chown=False)
    extractor.feed(memoryview(archive()))
    extractor.finish()
    extractor.close()
    with pytest.raises(ValueError, match="closed"):
        extractor.feed(b"x")
    with pytest.raises(ValueError, match="overlay_xattr"):
        Extractor(descriptor, overlay_xattr="neither")
    os.close(descriptor)


def test_a_root_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    descriptor = os.open(tmp_path / "f", os.O_RDONLY)
    with pytest.raises(LayerError, match="the root of a layer: Not a directory"):
        Extractor(descriptor)
    os.close(descriptor)
    with pytest.raises(LayerError, match="the root of a layer: Bad file descriptor"):
        Extractor(descriptor)
