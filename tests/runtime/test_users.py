"""User specifications against the image's own passwd and group (cases ID-01 to ID-11 of the threat catalogue)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrt.errors import ImageError, PyrtError, UsageError
from pyrt.runtime.tree import ImageTree
from pyrt.runtime.users import MAX_ID, find

PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:\n1234:x:77:77::/:\nbroken\nhuge:x:99999999999:1::/:\n"
GROUP = "root:x:0:\nown:x:1001:\nextra:x:2000:other,app\n4321:x:88:\n"


@pytest.fixture
def tree(tmp_path: Path) -> ImageTree:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    return ImageTree((str(tmp_path),))


@pytest.mark.parametrize(
    ("spec", "uid", "gid", "groups", "home"),
    [
        ("", 0, 0, (0,), "/root"),
        ("0", 0, 0, (0,), "/root"),
        ("root", 0, 0, (0,), "/root"),
        ("1", 1, 0, (0,), "/"),
        ("1:2", 1, 2, (2,), "/"),
        ("app", 1000, 1001, (1001, 2000), "/home/app"),
        ("1000", 1000, 1001, (1001, 2000), "/home/app"),
        ("app:extra", 1000, 2000, (2000,), "/home/app"),
        ("app:5", 1000, 5, (5,), "/home/app"),
        ("01", 1, 0, (0,), "/"),
        ("1234", 1234, 0, (0,), "/"),  # a number, although an account has that name
        ("1:4321", 1, 4321, (4321,), "/"),
        (str(MAX_ID), MAX_ID, 0, (0,), "/"),
    ],
)
def test_id_01_specifications(tree, spec, uid, gid, groups, home):
    account = find(spec, (), tree)
    assert (account.uid, account.gid, account.groups, account.home) == (uid, gid, groups, home)


@pytest.mark.parametrize(
    "spec",
    [" ", "1:", ":1", "0x1", "+1", "-1", "nosuch", "app:nosuch", "broken", "huge", "a b", "app\n", "app\0", "1:2:3",
     str(MAX_ID + 1), str(2**32), "9" * 100, "1:-1", "app ", "\u00b2"],
)  # fmt: skip
def test_id_03_id_10_id_11_never_root_by_accident(tree, spec):
    with pytest.raises(UsageError):
        find(spec, (), tree)


def test_id_05_group_add(tree):
    assert find("app", ("extra", "9", "own"), tree).groups == (1001, 2000, 9)
    with pytest.raises(UsageError, match="nosuch"):
        find("app", ("nosuch",), tree)


@given(st.text())
def test_any_text_gives_an_account_or_a_clear_error(spec):
    tree = ImageTree(())
    try:
        account = find(spec, (), tree)
    except PyrtError as error:
        assert "\n" not in str(error)
    else:
        assert not spec or spec.partition(":")[0].isdigit()
        assert account.uid == int(spec.partition(":")[0] or 0)


FIELDS = st.lists(
    st.sampled_from(
        [":", "\n", "app", "root", "x", "0", "1000", "-1", "+0", "0x0", "00", " ", "\0", "/", "9" * 10, "\r", "\xff", ","]
    )
)
SPECS = st.sampled_from(["app", "app:app", "1000", "x", "app:0", "app:x", "root", "00"])


@given(FIELDS, FIELDS, SPECS, st.sampled_from([(), ("x",), ("app", "0")]))
def test_fz_07_any_passwd_and_group(passwd, group, spec, added):
    """No crash, and root is who asked for root, or whom a valid line of the image's own passwd calls so."""
    files = {"etc/passwd": "app:x:1000:1001::/:\n" + "".join(passwd), "etc/group": "".join(group)}
    with tempfile.TemporaryDirectory() as place:
        os.mkdir(os.path.join(place, "etc"))
        for name, content in files.items():
            Path(place, name).write_bytes(content.encode("latin-1"))
        try:
            account = find(spec, added, ImageTree((place,)))
        except UsageError as error:
            assert "\n" not in str(error)
            return
    user = spec.partition(":")[0]
    rows = [line.split(":") for line in files["etc/passwd"].split("\n") if line.count(":") >= 5]
    roots = [row[0] for row in rows if set(row[2]) == {"0"}]
    assert account.uid != 0 or user == "00" or user in roots
    assert all(0 <= number <= MAX_ID for number in (account.uid, account.gid, *account.groups))
    if user == "app":
        assert account.uid == 1000


def test_id_06_links_are_followed_inside_of_the_image(tmp_path):
    (tmp_path / "system/etc").mkdir(parents=True)
    (tmp_path / "system/etc/passwd").symlink_to("/store/passwd")
    (tmp_path / "etc").symlink_to("../../../../system/etc")
    (tmp_path / "store").mkdir()
    (tmp_path / "store/passwd").write_text(PASSWD)
    assert find("app", (), ImageTree((str(tmp_path),))).uid == 1000


def test_id_06_a_loop_of_links_is_an_error(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").symlink_to("/etc/passwd")
    with pytest.raises(ImageError, match="symbolic links"):
        find("app", (), ImageTree((str(tmp_path),)))


def test_id_06_a_link_to_the_host_finds_nothing_there(tmp_path):
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "outside").write_text("app:x:1:1::/:\n")
    (tmp_path / "root/etc/passwd").symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError):
        find("app", (), ImageTree((str(tmp_path / "root"),)))


@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "giant"])
def test_id_07_passwd_that_is_no_file_does_not_hold_us_up(tmp_path, kind):
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc/passwd"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "device":
        os.mknod(path, 0o20666, os.makedev(1, 5))
    else:
        with open(path, "wb") as file:
            file.truncate(1 << 40)
    with pytest.raises(ImageError, match="/etc/passwd"):
        find("app", (), ImageTree((str(tmp_path),)))
