"""The prober in each mode against what was recorded (golden.py): a container is what it was, or a test says what changed."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.security import golden
from tests.support import prober
from tests.support.parts import missing


def recorded(mode: str) -> prober.Answers:
    if not golden.DIRECTORY.is_dir():
        missing(f"nothing is recorded for {golden.DIRECTORY.name}")
    answers: prober.Answers = json.loads(golden.path(mode).read_text())
    return answers


@pytest.mark.parametrize("mode", golden.MODES)
def test_ct_36_ct_47_ct_68_a_container_is_as_recorded(probe, mode):
    # The streams that were recorded: nothing, a pipe, the recorder's own.
    answers = probe(*golden.MODES[mode], stdin=subprocess.DEVNULL)
    found = golden.described(mode, answers)
    expected = recorded(mode)
    for side in (found, expected):
        side["fds"].pop("2", None)
    assert prober.differences(expected, found, prober.bare()) == []


def test_ct_36_the_comparison_sees_a_difference():
    """A check of the check: each kind of answer, changed, is reported."""
    expected = recorded("default")
    for key in ("calls", "acts", "capabilities", "namespaces", "mounts", "dev", "paths", "fds"):
        changed = json.loads(json.dumps(expected))
        if key == "calls":
            changed[key]["kernel"] += " 165"  # mount
            changed[key]["EPERM"] = " ".join(one for one in changed[key]["EPERM"].split() if one != "165-166") + " 166"
        elif key == "acts":
            changed[key]["mount tmpfs"] = "works"
        elif key == "paths":
            changed[key]["/proc/keys"] = "read-only"
        elif key == "capabilities":
            changed[key]["effective"] = [*changed[key]["effective"], "CAP_SYS_ADMIN"]
        else:
            changed[key]["more"] = "something"
        assert prober.differences(expected, changed, prober.bare()), key


@pytest.mark.parametrize("mode", ["default", "user", "no-network"])
def test_ct_11_ct_39_what_is_recorded_is_right(mode):
    """The golden files by rules that do not change when they are recorded anew."""
    found = recorded(mode)
    assert found["status"]["Seccomp"] == "2" and found["fds"].keys() == {"0", "1", "2"}
    assert found["capabilities"]["inheritable"] == found["capabilities"]["ambient"] == []
    assert set(found["writable"].values()) == {0} and found["mknod"] == "refused"
    calls = prober.expand(found["calls"])
    assert {calls[number] for number in range(480, 601)} == {"ENOSYS"}
    assert {*found["mounts"]} == {
        "/", "/dev", "/dev/mqueue", "/dev/pts", "/dev/shm", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc", "/sys",
        "/sys/fs/cgroup",
    }  # fmt: skip
    assert found["exe_self"] == found["exe_1"] == "/prober"
