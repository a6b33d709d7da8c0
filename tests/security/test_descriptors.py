"""File descriptors and working directories: nothing of the caller's is open in a container, and nothing leads out of it."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from pyrt._native.launch import payload
from pyrt.container_run import run
from pyrt.errors import StartError
from pyrt.plan import Program
from tests.support import images
from tests.support.prober import fd_kind

REPOSITORY = Path(__file__).parents[2]

LEAKY = """
import os, resource, socket, sys
os.closerange(3, 1024)
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
kinds = [os.open("/", os.O_RDONLY), os.open("/proc", os.O_RDONLY), os.open("/sys/fs/cgroup", os.O_RDONLY),
         os.open("/etc/passwd", os.O_RDONLY), socket.socketpair()[0].detach(), os.open("/", os.O_PATH),
         os.pidfd_open(os.getpid())]
for target in range(200, 1024):
    os.dup2(kinds[target % len(kinds)], target, inheritable=True)
for fd in kinds:
    os.set_inheritable(fd, True)
os.execv(sys.executable, [sys.executable, "-m", "pyrt", *sys.argv[1:]])
"""


@pytest.mark.parametrize("options", [(), ("-t",), ("--init",), ("--user", "1000")], ids=str)
def test_ct_05_ct_68_no_fd_of_the_callers(store, security_root, options):
    argv = [sys.executable, "-c", LEAKY, "--root", str(security_root), "run", "--rm", *options, "prober", "fds"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(argv, capture_output=True, timeout=120, env=environment, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result
    import json

    found = json.loads(result.stdout)["fds"]
    assert {*found} == {"0", "1", "2"}
    kinds = {fd_kind(target) for target in found.values()}
    assert kinds == ({"/dev/pts/0"} if "-t" in options else {"/dev/null", "pipe"})


def test_ct_05_fds_of_a_python_caller(busybox):
    leaked = [os.open("/", os.O_RDONLY), *(end.detach() for end in socket.socketpair())]
    try:
        for number, fd in enumerate(leaked):
            fcntl.fcntl(fd, fcntl.F_DUPFD, 300 + number)
            os.set_inheritable(fd, True)
        assert busybox("ls /proc/self/fd").stdout.split() == [b"0", b"1", b"2", b"3"]
    finally:
        for fd in [*leaked, *range(300, 303)]:
            os.close(fd)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_ct_05_a_directory_is_no_stream(store, stream, tmp_path):
    """openat(1, "../..") would leave any root. (On the command line the interpreter itself refuses to start.)"""
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(StartError, match="Is a directory"):
            run("busybox", ["ls", "/proc/self/fd/1/.."], store=store, **{stream: fd})
    finally:
        os.close(fd)


def test_bn_06_files_and_sockets_are_streams(store, tmp_path):
    left, right = socket.socketpair()
    with left, right, (tmp_path / "out").open("wb") as file:
        assert (
            run("busybox", ["sh", "-c", "echo out; echo err >&2"], store=store, stdout=file, stderr=right.fileno()).returncode
            == 0
        )
        assert left.recv(10) == b"err\n"
    assert (tmp_path / "out").read_bytes() == b"out\n"


@pytest.mark.parametrize("number", [*range(3, 13), 31, 64])
def test_ct_06_a_working_directory_is_no_fd(store, number, tmp_path):
    held = os.open("/", os.O_RDONLY)
    try:
        os.set_inheritable(held, True)
        for place in (f"/proc/self/fd/{number}", f"/proc/1/fd/{number}/tmp", "/proc/self/cwd/..", "/proc/1/root/../.."):
            try:
                result = run("busybox", ["sh", "-c", "cd ../../../..; pwd; ls -d etc/passwd"], workdir=place, store=store)
            except StartError as error:
                assert error.step in ("mkdir", "workdir"), error
            else:
                assert result.stdout == b"/\netc/passwd\n" and "fd" not in place, result
    finally:
        os.close(held)


@pytest.mark.parametrize("link", ["/proc/self/fd/5", "/proc/self/fd/6/..", "/proc/1/cwd", "/proc/self/root/../.."])
def test_ct_06_a_working_directory_of_the_image_is_no_fd(store, make, link):
    image = make(images.Entry(name="work", kind="sym", link=link), config={"WorkingDir": "/work"})
    with pytest.raises(StartError):
        run(image, ["pwd"], store=store)


def test_bn_01_a_working_directory_behind_a_link(store, make):
    entries = [images.Entry(name="real", kind="dir", mode=0o755), images.Entry(name="work", kind="sym", link="../../real")]
    assert run(make(*entries, config={"WorkingDir": "/work"}), ["pwd"], store=store).stdout in (b"/real\n", b"/work\n")


def _last_step(tmp_path: Path, workdir: str, *, inside: bool) -> tuple[int, bytes]:
    """The last step alone, with its orders on 3 and its status on 4, in a root of its own but (unless ``inside``) with a
    working directory that lies outside of that root. Its exit code and its report."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "program").write_bytes(Path("/bin/busybox").read_bytes())
    (root / "program").chmod(0o755)
    orders = payload(
        Program(
            argv=("true",), env=(), candidates=("/program",), workdir=workdir, uid=0, gid=0, groups=(), bounding=0, permitted=0,
            last_capability=40, die_with_parent=False,
        )
    )  # fmt: skip
    stage2 = REPOSITORY / "pyrt" / "_native" / "bin" / "stage2"
    (root / "stage2").write_bytes(stage2.read_bytes())
    (root / "stage2").chmod(0o755)
    read, write = os.pipe()
    memory = os.memfd_create("orders")
    os.write(memory, orders)
    child = os.fork()
    if child == 0:
        try:
            os.chdir(root if inside else tmp_path)
            os.chroot(root)
            os.dup2(os.dup(memory), 3)
            os.dup2(os.dup(write), 4)
            os.execve("/stage2", ["true"], {})
        finally:
            os._exit(99)
    os.close(write)
    os.close(memory)
    report = os.read(read, 4096)
    os.close(read)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), report


def test_ct_09_a_working_directory_outside_of_the_root_is_refused(tmp_path):
    """chdir(".") works wherever one is; where one is must be below the root (CVE-2024-21626)."""
    code, report = _last_step(tmp_path, ".", inside=False)
    number = struct.unpack_from("i", report)[0]
    assert (code, number) == (126, 2), "ENOENT, reported as a working directory that cannot be entered"


def test_ct_09_a_working_directory_inside_is_entered(tmp_path):
    assert _last_step(tmp_path, ".", inside=True)[1] == b""
