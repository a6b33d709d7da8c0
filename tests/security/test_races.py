"""Containers that rename things in a shared place while others are started on it. The right answer is an error or a start as if
nothing had happened; never a place outside, never something unhidden.

PYRT_TEST_RACES is the number of starts of each race (80 by default, at most 20 s; the threat catalogue names 5,000).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyrt.container_run import run
from pyrt.errors import StartError
from pyrt.request import Mount
from pyrt.store.store import Store
from tests.support.parts import need

SOURCE = Path(__file__).parents[1] / "support" / "racer.c"
STARTS = int(os.environ.get("PYRT_TEST_RACES", "80"))
SECONDS = 20 if STARTS <= 80 else 3600


@pytest.fixture(scope="module")
def racer(tmp_path_factory: pytest.TempPathFactory) -> str:
    need("gcc")
    program = tmp_path_factory.mktemp("racer") / "racer"
    subprocess.run(["gcc", "-O2", "-o", str(program), str(SOURCE)], check=True)
    return str(program)


@contextmanager
def racing(*argv: str) -> Iterator[None]:
    process = subprocess.Popen([*argv])
    try:
        time.sleep(0.02)
        yield
        assert process.poll() is None, "the race was one"
    finally:
        process.kill()
        process.wait()


def start_often(start: Callable[[], bytes], check: Callable[[bytes], None]) -> tuple[int, int]:
    """How many starts there were, and how many of them ended in a clean error; each that did not is checked."""
    deadline = time.monotonic() + SECONDS
    done = refused = 0
    while done < STARTS and (time.monotonic() < deadline or done < 20):
        done += 1
        try:
            output = start()
        except StartError as error:
            refused += 1
            assert "\n" not in str(error) and error.errno in (1, 2, 11, 17, 20, 40, 6), error
        else:
            check(output)
    print(f"{done} starts, {refused} refused")
    return done, refused


def mounts_below(place: Path) -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(place) in line.split()[4]]


@pytest.mark.parametrize("target", ["link-outside", "link-dots", "directory"])
def test_ct_22_ct_23_ct_29_the_place_of_a_bind_is_exchanged(store, racer, tmp_path, canary, target):
    """On a shared volume, mounted into: a directory and a link take turns (CVE-2021-30465, CVE-2023-28642, CVE-2024-45310)."""
    shared, source = tmp_path / "shared", tmp_path / "source"
    (shared / "a").mkdir(parents=True)
    source.mkdir()
    (source / "mine").write_text("")
    other = shared / "b"
    if target == "directory":
        other.mkdir()
        (other / "deep").mkdir()
    else:
        other.symlink_to(canary if target == "link-outside" else f"../../../../../../..{canary}")
    mounts = [
        Mount(kind="bind", source=str(shared), target="/shared"),
        Mount(kind="bind", source=str(source), target="/shared/a/deep/place"),
    ]
    script = "grep ' /shared' /proc/self/mountinfo | cut -d' ' -f5; grep deep /proc/self/mountinfo | cut -d' ' -f5"

    def start() -> bytes:
        return run("busybox", ["sh", "-c", script], mounts=mounts, store=store).stdout

    def check(output: bytes) -> None:
        places = {*output.decode().split()} - {"/shared"}
        inside = (
            "/shared/a/deep/place",
            "/shared/b/deep/place",
            f"{canary}/deep/place",
        )  # the last: below the container's root
        assert places and places <= {*inside}, output
        assert not mounts_below(canary) and not mounts_below(shared)

    with racing(racer, str(shared / "a"), str(other)):
        start_often(start, check)
    assert {path.name for path in canary.iterdir()} == {*os.listdir(canary)} and not (canary / "deep").exists()


def test_ct_29_parents_that_are_made_while_they_move(store, racer, tmp_path, canary):
    """mkdir -p on the way to a working directory, a tmpfs and a file, as a user who would own what is made."""
    shared = tmp_path / "shared"
    (shared / "a").mkdir(parents=True)
    (shared / "b").symlink_to(f"../../../../../../../..{canary}")
    mounts = [
        Mount(kind="bind", source=str(shared), target="/shared"),
        Mount(kind="tmpfs", target="/shared/a/t"),
        Mount(kind="bind", source="/dev/null", target="/shared/a/file"),
    ]

    def start() -> bytes:
        return run("busybox", ["pwd"], mounts=mounts, workdir="/shared/a/x/y", user="1000", store=store).stdout

    with racing(racer, str(shared / "a"), str(shared / "b")):
        start_often(start, lambda output: None)


def _root(place: Path) -> Path:
    (place / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", place / "bin/busybox")
    for name in ("proc", "sys", "dev", "etc", "tmp"):
        (place / name).mkdir()
    return place


HIDDEN = (
    "cat /proc/keys | wc -c; ls /sys/firmware | wc -l; (: >>/proc/sys/vm/swappiness) 2>/dev/null && echo open;"
    " for d in /*; do (: >>$d/sys/vm/swappiness) 2>/dev/null && echo $d; cat $d/keys 2>/dev/null; done; true"
)


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
def test_ct_16_ct_26_the_mount_points_of_a_shared_root_move(store, racer, tmp_path, canary, name):
    """Two containers on one plain root: the place of /proc is renamed away while it is masked. Nothing may be left unhidden
    under its new name, and no sysctl may land elsewhere."""
    root = _root(tmp_path / "root")
    other = root / "other"
    other.mkdir()
    if name == "proc":
        (other / "sys/kernel").mkdir(parents=True)
        (other / "sys/kernel/shm_rmid_forced").symlink_to("/proc/sys/kernel/core_pattern")
    argv = [
        "/bin/busybox",
        "sh",
        "-c",
        f"export PATH=/bin; alias cat='busybox cat' ls='busybox ls' wc='busybox wc'; {_in_busybox(HIDDEN)}",
    ]
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()

    def start() -> bytes:
        sysctls = {"kernel.shm_rmid_forced": "1"}
        return run("", argv, rootfs=str(root), sysctls=sysctls, store=store).stdout

    def check(output: bytes) -> None:
        assert b"open" not in output and b"/" not in output and b"keyring" not in output, output

    with racing(racer, str(root / name), str(other)):
        start_often(start, check)
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern


def _in_busybox(script: str) -> str:
    for name in ("cat", "ls", "wc", "find"):
        script = script.replace(f"{name} ", f"busybox {name} ").replace(f"busybox busybox {name}", f"busybox {name}")
    return script


def start_with_dev(store: Store, dev: Path, script: str) -> tuple[int, int]:
    """Starts with that /dev, again and again: what the script could say of what is hidden is never said."""

    def start() -> bytes:
        mounts = [Mount(kind="bind", source=str(dev), target="/dev")]
        return run("busybox", ["sh", "-c", script], mounts=mounts, store=store).stdout

    def check(output: bytes) -> None:
        assert output == b"", output

    return start_often(start, check)


def test_ct_16_a_null_that_comes_and_goes(store, racer, tmp_path):
    """A /dev of the caller's whose null is exchanged with a link to core_pattern: an error, or hidden for good."""
    dev = tmp_path / "dev"
    dev.mkdir()
    os.mknod(dev / "null", 0o20666, os.makedev(1, 3))
    (dev / "forged").symlink_to("/proc/sys/kernel/core_pattern")
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    script = (
        "(echo evil > /proc/keys) 2>/dev/null; (echo evil > /proc/interrupts) 2>/dev/null; "
        "cat /proc/keys /proc/interrupts 2>/dev/null | head -c 40"
    )
    with racing(racer, str(dev / "null"), str(dev / "forged")):
        done, refused = start_with_dev(store, dev, script)
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern
    assert refused > 0 and done > 0, "the race was lost sometimes, so it was run"


def test_ct_16_a_null_that_is_removed(store, racer, tmp_path):
    dev = tmp_path / "dev"
    dev.mkdir()
    script = "cat /proc/keys 2>/dev/null | head -c 40"
    with racing(racer, "-u", str(dev / "null"), "/proc/sysrq-trigger"):
        start_with_dev(store, dev, script)


def test_ct_26_a_sibling_mounts_over_what_it_has(store, racer, tmp_path):
    """A container that may mount, on a volume of the same propagation group, while another starts with sysctls as a slave of it
    (CVE-2025-52881): values land in the namespace's own files."""
    shared = tmp_path / "shared"
    (shared / "proc").mkdir(parents=True)
    subprocess.run(["mount", "--bind", str(shared), str(shared)], check=True)
    subprocess.run(["mount", "--make-shared", str(shared)], check=True)
    place = shared / "proc"
    loop = f"while :; do mount -t tmpfs x {place}; umount {place}; mount --bind /etc {place}; umount {place}; done"
    sibling = subprocess.Popen(["sh", "-c", loop], stderr=subprocess.DEVNULL, start_new_session=True)
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    mounts = [Mount(kind="bind", source=str(shared), target="/shared", propagation="rslave")]
    sysctls = {"kernel.shm_rmid_forced": "1", "kernel.msgmax": "9001"}
    script = "cat /proc/sys/kernel/shm_rmid_forced /proc/sys/kernel/msgmax"
    try:

        def start() -> bytes:
            return run("busybox", ["sh", "-c", script], mounts=mounts, sysctls=sysctls, store=store).stdout

        def check(output: bytes) -> None:
            assert output == b"1\n9001\n", output

        start_often(start, check)
    finally:
        os.killpg(sibling.pid, 9)
        sibling.wait()
        while mounts_below(shared / "proc"):
            subprocess.run(["umount", str(shared / "proc")], check=True)
        subprocess.run(["umount", str(shared)], check=True)
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern
