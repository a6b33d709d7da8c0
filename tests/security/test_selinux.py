"""SELinux: how the context is put together, and that it is refused where there is none. No machine here has SELinux."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyrt.container_run import dry_run
from pyrt.errors import Unsupported, UsageError
from pyrt.request import RunRequest
from pyrt.runtime import selinux
from pyrt.store.store import Store


@pytest.fixture
def fedora(tmp_path: Path) -> str:
    """A root directory as container-selinux leaves it, with selinuxfs."""
    contexts = tmp_path / "etc/selinux/strict/contexts"
    contexts.mkdir(parents=True)
    (tmp_path / "etc/selinux/config").write_text("# SELINUXTYPE=other\nSELINUX=enforcing\nSELINUXTYPE=strict\n")
    (contexts / "lxc_contexts").write_text('process = "u_u:u_r:container_t:s0"\nfile = "u_u:object_r:container_file_t:s0"\n')
    (tmp_path / "sys/fs/selinux").mkdir(parents=True)
    (tmp_path / "sys/fs/selinux/enforce").write_text("1")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("asked", "context"),
    [
        ((), ""),
        (("disable",), ""),
        (("type:mine_t",), "u_u:u_r:mine_t:s0"),
        (("user:a_u", "role:b_r", "type:c_t", "level:s0:c1,c2"), "a_u:b_r:c_t:s0:c1,c2"),
        (("level:s0:c1,c2",), "u_u:u_r:container_t:s0:c1,c2"),
        (("type:one_t", "type:two_t"), "u_u:u_r:two_t:s0"),
    ],
)
def test_the_policys_context_with_what_was_asked_for(fedora, asked, context):
    assert selinux.choose(asked, root=fedora) == context


@pytest.mark.parametrize("text", ["", 'process = "nonsense"\n', "process\n"])
def test_a_policy_that_says_nothing_of_containers(fedora, text):
    Path(fedora, "etc/selinux/strict/contexts/lxc_contexts").write_text(text)
    assert selinux.choose(("type:mine_t",), root=fedora) == "system_u:system_r:mine_t:s0"
    Path(fedora, "etc/selinux/config").unlink()
    assert selinux.choose(("type:mine_t",), root=fedora) == "system_u:system_r:mine_t:s0"


@pytest.mark.parametrize(
    "option",
    ["", "enable", "type", "type:", "type:a b", "type:a\n", "type:a:b", "filetype:x_t", "disable:", "Type:x_t", "level:"],
)
def test_words_that_are_none(fedora, option):
    with pytest.raises(UsageError, match="label="):
        selinux.choose((option,), root=fedora)


def test_disable_stands_alone(fedora):
    with pytest.raises(UsageError, match="together"):
        selinux.choose(("disable", "type:x_t"), root=fedora)


def test_without_selinux_it_is_refused_by_name(tmp_path):
    with pytest.raises(Unsupported, match="label=type:x_t: this kernel has no SELinux"):
        selinux.choose(("type:x_t",), root=str(tmp_path))
    assert selinux.choose(("disable",), root=str(tmp_path)) == ""


def test_and_nothing_is_started(tmp_path):
    if not selinux.unavailable():
        pytest.fail("this kernel has SELinux: write the tests that were waiting for it")
    store = Store.open(str(tmp_path / "store"))
    request = RunRequest(rootfs=str(tmp_path), argv=("true",), label=("level:s0:c1,c2",))
    with pytest.raises(Unsupported, match="level:s0:c1,c2"):
        dry_run(request, store=store)
    assert os.listdir(store.layout.containers) == []


def test_it_is_written_for_the_next_exec_and_with_init_for_pid_1():
    assert selinux.writes("a:b:c:s0", with_init=False) == ("a:b:c:s0", ("self/attr/exec",), False)
    assert selinux.writes("a:b:c:s0", with_init=True) == ("a:b:c:s0", ("self/attr/current",), True)
