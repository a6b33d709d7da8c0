"""Where the machine gives little: small limits, closed streams, a store that cannot be written, file systems that are full."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
from itertools import product
from pathlib import Path

import pytest

from pyrt.errors import PyrtError
from pyrt.image_pull import pull
from pyrt.store.prune import remove_image
from pyrt.store.records import Record
from pyrt.store.store import Store
from pyrt.values import replace
from tests.faults.conftest import BUSYBOX
from tests.support.leaks import assert_nothing_new, snapshot
from tests.support.parts import need

REPOSITORY = Path(__file__).parents[2]
PYRT = f"{shlex.quote(sys.executable)} -m pyrt"
WORKS = "--rm busybox echo works"


def shell(script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A script of sh(1) with pyrt as $PYRT."""
    variables = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1", "PYRT": PYRT, **environ}
    return subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, env=variables, cwd="/", timeout=60, stdin=subprocess.DEVNULL
    )


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One line of ours, and a hint at most."""
    lines = done.stderr.strip().splitlines()
    assert done.returncode in (1, 125), (done.returncode, done.stderr)
    assert lines and lines[0].startswith("pyrt: ") and "internal error" not in lines[0], done.stderr
    assert "Traceback" not in done.stderr and len(lines) <= 2, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


@pytest.mark.parametrize("limit", ["-n 32", "-u 20", "-c 0", "-s 512", "-l 0", "-i 0"])
def test_lc_30_small_limits_that_are_enough(root: Path, limit: str) -> None:
    before = snapshot(root)
    done = shell(f"ulimit {limit} 2>/dev/null; $PYRT --root {root} run {WORKS}")
    assert (done.returncode, done.stdout) == (0, "works\n"), done.stderr
    assert_nothing_new(before, root)


@pytest.mark.parametrize("number", [4, 6, 8, 10, 12, 16, 20, 32])
def test_lc_30_few_descriptors(root: Path, number: int) -> None:
    """A container, or one line; where there are too few for the interpreter itself, its own words."""
    before = snapshot(root)
    done = shell(f"ulimit -n {number}; $PYRT --root {root} run {WORKS}")
    if done.returncode:
        assert number < 32, done.stderr
        if "pyrt: " in done.stderr:
            refused(done)
    else:
        assert done.stdout == "works\n"
    assert_nothing_new(before, root)


@pytest.mark.parametrize("number", [8, 12, 16, 24, 32])
def test_lc_30_few_descriptors_for_a_pull(root: Path, sources: Path, number: int) -> None:
    shell(f"$PYRT --root {root} rmi busybox")
    before = snapshot(root)
    done = shell(f"ulimit -n {number}; $PYRT --root {root} pull -q oci:{sources}:{BUSYBOX}")
    if number >= 32:
        assert done.returncode == 0, done.stderr
        return
    if done.returncode:
        if "pyrt: " in done.stderr:
            refused(done)
        assert_nothing_new(before, root)
    assert shell(f"$PYRT --root {root} pull -q oci:{sources}:{BUSYBOX}").returncode == 0


def test_lc_30_a_file_size_limit(root: Path, sources: Path) -> None:
    """SIGXFSZ is ignored by the interpreter: EFBIG, and nothing half written stays."""
    before = snapshot(root)
    refused(shell(f"ulimit -f 1; $PYRT --root {root} run {WORKS}"), "File too large")
    refused(shell(f"ulimit -f 1; $PYRT --root {root} run --name c busybox true"), "File too large")
    assert_nothing_new(before, root)
    shell(f"$PYRT --root {root} rmi busybox")
    before = snapshot(root)
    refused(shell(f"ulimit -f 1; $PYRT --root {root} pull -q oci:{sources}:{BUSYBOX}"), "File too large")
    assert_nothing_new(before, root)
    assert shell(f"$PYRT --root {root} pull -q oci:{sources}:{BUSYBOX}").returncode == 0


@pytest.mark.parametrize("kilobytes", [30_000, 60_000, 120_000, 250_000])
def test_lc_30_little_address_space(root: Path, kilobytes: int) -> None:
    before = snapshot(root)
    done = shell(f"ulimit -v {kilobytes}; $PYRT --root {root} run {WORKS}")
    assert done.returncode == 0 or "Traceback" not in done.stderr or "pyrt/" not in done.stderr, done.stderr
    assert done.stdout == ("works\n" if done.returncode == 0 else "")
    assert_nothing_new(before, root)


@pytest.mark.parametrize("streams", [set for set in product(("", "<&-"), ("", ">&-"), ("", "2>&-")) if any(set)])
def test_lc_27_closed_streams(root: Path, streams: tuple[str, ...]) -> None:
    """The container's are /dev/null then, and no file of ours gets the number."""
    before = snapshot(root)
    script = "for fd in 0 1 2; do readlink /proc/self/fd/$fd; done; exit 7"
    done = shell(f"$PYRT --root {root} run --rm busybox sh -c {shlex.quote(script)} {' '.join(streams)}")
    assert done.returncode == 7, done.stderr
    assert str(root) not in done.stdout
    if not streams[1]:
        assert done.stdout.splitlines()[0] == "/dev/null"
    for command in ("images", "tag busybox other", "rmi other"):
        done = shell(f"$PYRT --root {root} {command} {' '.join(streams)}")
        assert done.returncode in (0, 1) and "Traceback" not in done.stderr, (command, done.stderr)
    assert_nothing_new(before, root)


def test_lc_27_without_an_environment(root: Path) -> None:
    done = shell(f"exec env -i PYTHONPATH={REPOSITORY} setsid -w $PYRT --root {root} run {WORKS}")
    assert (done.returncode, done.stdout) == (0, "works\n"), done.stderr


@pytest.mark.parametrize("command", ["images", "image inspect busybox", "ps -a", "info"])
def test_st_09_a_read_only_store_can_be_looked_at(root: Path, command: str) -> None:
    assert shell(f"$PYRT --root {root} {command}").returncode == 0
    script = f"mount --bind {root} {root} && mount -o remount,ro,bind {root} && $PYRT --root {root} {command}"
    done = shell(f"unshare -m sh -c {shlex.quote(script)}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command", [f"run {WORKS}", "run --name c busybox true", "tag busybox other", "rmi busybox", "image prune -f", "rm -f c"]
)
def test_st_09_a_read_only_store_refuses_in_one_line(root: Path, command: str) -> None:
    before = snapshot(root)
    script = f"mount --bind {root} {root} && mount -o remount,ro,bind {root} && $PYRT --root {root} {command}"
    refused(shell(f"unshare -m sh -c {shlex.quote(script)}"), "Read-only file system", "--root or PYRT_ROOT")
    assert_nothing_new(before, root)


def full_run(made: str) -> str:
    """Commands after which /run is a tmpfs without a byte or an inode, and the store a new one."""
    return (
        f"set -e; mount -t tmpfs -o size=16k,nr_inodes=4 tmpfs /run; {made}"
        "set +e; touch /run/1 /run/2 /run/3 /run/4 2>/dev/null; dd if=/dev/zero of=/run/1 bs=4k 2>/dev/null;"
        "mount -t tmpfs -o mode=755 tmpfs /var/lib; "
    )


def test_st_11_a_full_run(sources: Path, root: Path) -> None:
    """It is refused whole where our own directory cannot be made there, and nothing else is needed of it."""
    before = snapshot(root)
    pulled = f"$PYRT pull -q oci:{sources}:{BUSYBOX}"
    refused(shell(f"unshare -m sh -c {shlex.quote(full_run('') + pulled)}", PYRT_ROOT=""), "store /run/pyrt: No space left")
    used = f"{pulled} && $PYRT run {WORKS} && $PYRT run --name c busybox true && $PYRT rm c"
    script = full_run("mkdir -m 700 /run/pyrt; ") + used
    done = shell(f"unshare -m sh -c {shlex.quote(script)}", PYRT_ROOT="")
    assert done.returncode == 0 and "works\n" in done.stdout, done.stderr
    assert_nothing_new(before, root)


@pytest.mark.parametrize("kind", ["bytes", "inodes"])
def test_st_08_a_full_ext4_under_a_container(root: Path, tmp_path: Path, sources: Path, kind: str) -> None:
    """The store's file system is full: no container, one line, nothing left; images can still be removed, and then it works."""
    need("mkfs.ext4")
    image, mount = tmp_path / "image", tmp_path / "mnt"
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-N", "400", image, "16M"], check=True)
    mount.mkdir()
    subprocess.run(["mount", "-o", "loop", image, mount], check=True)
    try:
        store = mount / "store"
        assert shell(f"$PYRT --root {store} pull -q oci:{sources}:{BUSYBOX}").returncode == 0
        if kind == "bytes":
            shell(f"dd if=/dev/zero of={mount}/fill bs=64k; dd if=/dev/zero of={mount}/fill2 bs=1k")
        else:
            shell(f"n=0; while : >{mount}/fill$n; do n=$((n+1)); done 2>/dev/null")
        before = snapshot(store)
        for options in ("--rm --scratch disk", "--name c"):
            done = shell(f"$PYRT --root {store} run {options} busybox sh -c 'cat /etc/passwd >/x && echo copied'")
            if done.stdout != "copied\n":
                assert "No space left on device" in done.stderr, done.stderr
        shell(f"$PYRT --root {store} rm -f c")
        assert_nothing_new(before, store)
        shell(f"rm -f {mount}/fill*")
        done = shell(f"$PYRT --root {store} run {WORKS}")
        assert (done.returncode, done.stdout) == (0, "works\n"), done.stderr
    finally:
        subprocess.run(["umount", mount], check=True)


def test_st_33_a_reboot(root: Path) -> None:
    """/run is gone, and nobody holds a record any more: the containers have exited, and their names can be used."""
    assert shell(f"$PYRT --root {root} run --name c busybox sh -c 'exit 3'").returncode == 3
    running = next((root / "containers").glob("*.json"))
    raw = running.read_bytes()
    state = replace(Record.parse(raw).now, state="running", pid=1)
    running.write_bytes(state.encode() + raw[512:])
    subprocess.run(["rm", "-rf", root / "run"], check=True)
    assert "Exited" in shell(f"$PYRT --root {root} ps -a").stdout
    assert shell(f"$PYRT --root {root} rm c").returncode == 0
    assert shell(f"$PYRT --root {root} run --name c busybox true").returncode == 0
    assert shell(f"$PYRT --root {root} rm c").returncode == 0


def test_lc_30_no_thread_to_be_had(root: Path, sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pull needs some; where the cgroup or the user has no more processes left, it says so, and nothing stays."""
    store = Store.open(str(root))
    remove_image(store, "busybox")
    before = snapshot(root)
    start, started, last = threading.Thread.start, 0, 0

    def fails(thread: threading.Thread) -> None:
        nonlocal started
        started += 1
        if started == last:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fails)
    for number in (1, 2, 3):
        started, last = 0, number
        with pytest.raises(PyrtError, match="cannot start another thread") as caught:
            pull(f"oci:{sources}:{BUSYBOX}", store=store)
        assert "ulimit -u" in caught.value.hint
        assert_nothing_new(before, root)
