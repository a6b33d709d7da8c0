"""What ``pyrt info`` says of the place, and the table of kernel features behind it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pyrt._native.kernel_calls import is_there
from pyrt.kernel_features import FEATURES, look
from pyrt.machine_info import info
from pyrt.store.store import Store
from tests.cli.conftest import REPOSITORY
from tests.support.enosys import NUMBERS
from tests.support.parts import need

DOCUMENT = REPOSITORY / "docs/kernel-features.md"


def test_the_documents_rows_are_the_tables() -> None:
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")][1:]
    rows = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]
    assert [(name, since) for name, since, *_ in rows] == [(one.name, ", ".join(one.since)) for one in FEATURES]
    for (name, _, _, without, _), feature in zip(rows, FEATURES, strict=True):
        assert without.startswith(feature.without), name


def test_a_feature_that_is_asked_for_has_its_number() -> None:
    asked = {feature.name.split(",")[0]: feature.call for feature in FEATURES if feature.call}
    del asked["CLONE_PIDFD"], asked["fchmodat2"]
    assert asked == {name: NUMBERS[name] for name in asked}


def test_versions_decide_where_nothing_can_be_asked(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/filesystems").write_text("nodev\tcgroup2\n\text4\n")
    old = {found.feature.name: found.present for found in look((5, 10), str(tmp_path)) if not found.feature.call}
    assert {name for name, present in old.items() if not present} == {
        "cgroup v1 devices", "cgroup.kill", "/proc/self/attr/apparmor", "AppArmor's .access file", "cgroup2, mqueue",
        "user namespaces", "overlayfs in a user namespace", "extended attributes of users on tmpfs",
        "SECCOMP_ADDFD_FLAG_SEND", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP",
        "Landlock's scopes", "slices of sched_setattr",
    }  # fmt: skip
    (tmp_path / "proc/filesystems").write_text("nodev\tcgroup2\nnodev\tmqueue\n")
    new = {found.feature.name: found.present for found in look((6, 6), str(tmp_path))}
    assert new["cgroup.kill"] and new["cgroup2, mqueue"]


def asked_under(*names: str) -> dict[str, bool]:
    """Which of the features that are system calls a process finds that has these taken away."""
    script = "from pyrt.kernel_features import look\nfor f in look():\n if f.feature.call: print(f.present, f.feature.name)"
    argv = [sys.executable, "-m", "tests.support.enosys", ",".join(names), "--", sys.executable, "-c", script]
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return {name: present == "True" for present, _, name in (line.partition(" ") for line in done.stdout.splitlines())}


def test_a_call_that_a_filter_takes_away_is_missing() -> None:
    here = asked_under("fspick")
    without = asked_under("openat2", "mount_setattr", "clone3")
    lost = {name for name, present in here.items() if present and not without[name]}
    assert lost == {name for name in ("openat2, RESOLVE_IN_ROOT", "mount_setattr", "clone3") if here[name]}


def test_asking_changes_nothing() -> None:
    """Each call is made twice: what it would do it has not done."""
    before = sorted(os.listdir("/proc/self/fd"))
    threads = os.listdir("/proc/self/task")
    for feature in FEATURES:
        if feature.call:
            assert is_there(feature.call) == is_there(feature.call)
    assert (sorted(os.listdir("/proc/self/fd")), os.listdir("/proc/self/task")) == (before, threads)
    assert is_there(1999) is False


def test_info_from_python(tmp_path: Path) -> None:
    found = info(store=Store.open(str(tmp_path / "store")))
    assert found.file_system
    assert [each.feature for each in found.features] == [*FEATURES]
    assert found.cgroups.version in (0, 1, 2)
    if found.isolation.rung == "full":
        assert (found.ids, found.groups) == ("", ())


def told(tmp_path: Path, *enter: str) -> tuple[dict[str, object], str]:
    """``pyrt info`` as JSON and as text, behind the words of another program."""
    argv = [*enter, sys.executable, "-m", "pyrt", "--root", f"{tmp_path}/store", "info"]
    settings = {"cwd": REPOSITORY, "capture_output": True, "text": True, "check": True}
    machine = subprocess.run([*argv, "--format", "json"], **settings)  # type: ignore[call-overload]
    human = subprocess.run(argv, **settings)  # type: ignore[call-overload]
    return json.loads(machine.stdout), human.stdout


def test_what_info_says_of_the_place(tmp_path: Path) -> None:
    values, text = told(tmp_path)
    assert values["DriverStatus"][0][0] == "Backing Filesystem"  # type: ignore[index]
    assert re.search(r"^ Cgroup Version: (1|2|1 \(and 2\)|none)$", text, re.M)
    assert re.search(r"^ Cgroup Delegation: .+$", text, re.M)
    assert f" Kernel Features: {len(FEATURES)} asked for\n" in text
    missing = {each.feature.name: each.feature.without for each in look() if not each.present}
    assert re.findall(r"^  no (.*?): (.*)$", text, re.M) == [*missing.items()]


@pytest.mark.usefixtures("user_namespaces")
def test_whether_layers_can_be_stacked_is_what_was_tried(tmp_path: Path) -> None:
    for enter, expected in (
        (["unshare", "-Ur"], "yes"),
        ([sys.executable, "-m", "tests.support.enosys", "unshare", "--"], "no, nothing can be mounted here"),
    ):
        values, text = told(tmp_path, *enter)
        assert ["Overlay On It", expected] in values["DriverStatus"]  # type: ignore[operator]
        assert f"\n  Overlay On It: {expected}\n" in text
        assert values["Driver"] == ("overlay" if expected == "yes" else "copy")


@pytest.mark.usefixtures("user_namespaces")
def test_the_groups_that_a_container_keeps(tmp_path: Path) -> None:
    """With a single id nobody can drop a group: they are named, and nowhere else is anything said of them."""
    need("setpriv")
    values, text = told(tmp_path, "setpriv", "--groups", "1,54321", "unshare", "-Ur")
    assert (values["Ids"], values["Isolation"]["Rung"]) == ("single", "userns")  # type: ignore[index]
    # Both are nobody's in the namespace, and one number there.
    assert values["KeptGroups"] == ["nogroup", "nogroup"]
    assert " User Ids: single\n Groups that containers keep: nogroup, nogroup\n" in text
    values, text = told(tmp_path)
    if values["Isolation"]["Rung"] == "full":  # type: ignore[index]
        assert "User Ids" not in text and "Groups that" not in text
