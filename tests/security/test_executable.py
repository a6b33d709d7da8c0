"""/proc/PID/exe: what a container can find, hold and write of the program that starts it (CVE-2019-5736), and what is executed
on the host's side."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import pyrt
from tests.support import images
from tests.support.parts import need

SOURCE = Path(__file__).parents[1] / "support" / "hostile_loader.c"
REPOSITORY = Path(__file__).parents[2]
Entry = images.Entry

# How an image can name the program that starts it: (path of the entry point, what stands there).
WAYS = {
    "direct": ("/proc/self/exe", None),
    "link": ("/entry", Entry(name="entry", kind="sym", link="/proc/self/exe")),
    "script": ("/entry", Entry(name="entry", content=b"#!/proc/self/exe\n", mode=0o755)),
    "link-to-link": ("/entry", Entry(name="entry", kind="sym", link="/proc/1/exe")),
    "script-of-fd": ("/entry", Entry(name="entry", content=b"#!/proc/self/fd/5\n", mode=0o755)),
}


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    need("gcc")
    out = tmp_path_factory.mktemp("loader") / "loader"
    flags = ["-O1", "-fPIE", "-static-pie", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-builtin"]
    subprocess.run(["gcc", *flags, "-o", str(out), str(SOURCE)], check=True)
    return out.read_bytes()


@pytest.fixture
def victim(tmp_path: Path) -> dict[str, str]:
    """A copy of the interpreter that starts the container, and the environment in which it finds its library."""
    copy = tmp_path / "host-python"
    shutil.copy(os.path.realpath(sys.executable), copy)
    copy.chmod(0o755)
    return {
        "program": str(copy),
        "PYTHONHOME": sys.base_prefix,
        "PYTHONPATH": f"{REPOSITORY}:{sysconfig.get_path('purelib')}:{sysconfig.get_path('platlib')}",
        "LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR") or ""),
    }


def _hash(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _interpreter_of(program: str) -> str:
    """PT_INTERP of an ELF file."""
    with open(program, "rb") as file:
        head = file.read(1 << 16)
    start = head.index(b"/lib", 0x40)
    return head[start : head.index(b"\0", start)].decode()


def _hostile(way: str, loader: bytes, interpreter: str) -> list[Entry]:
    parent = os.path.dirname(interpreter)[1:]
    entries = [
        Entry(name=parent, kind="dir", mode=0o755),
        Entry(name=interpreter[1:], content=loader, mode=0o755),
        Entry(name="writer", content=loader, mode=0o755),
    ]
    return entries + ([stands] if (stands := WAYS[way][1]) else [])


@pytest.fixture
def naive_root(tmp_path: Path, loader: bytes, victim: dict[str, str]) -> Iterator[Path]:
    """A root directory with its /proc for the naive runner."""
    root = tmp_path / "naive"
    for name in ("proc", "dev"):
        (root / name).mkdir(parents=True)
    for way in WAYS:
        for entry in _hostile(way, loader, _interpreter_of(victim["program"])):
            path = root / entry.name if entry.name != "entry" else root / f"entry-{way}"
            if entry.kind == "dir":
                path.mkdir(parents=True, exist_ok=True)
            elif entry.kind == "sym":
                path.symlink_to(entry.link)
            else:
                path.write_bytes(entry.content)
                path.chmod(0o755)
    subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
    yield root
    subprocess.run(["umount", "-l", str(root / "proc")], check=True)


NAIVE = """
import os, sys
root, entry = sys.argv[1:]
if os.fork() == 0:
    os.chroot(root)
    os.chdir("/")
    os.execv(entry, [entry])
os._exit(0)
"""


@pytest.mark.parametrize("way", ["direct", "link", "script"])
def test_ct_01_ct_02_a_naive_runner_is_overwritten(naive_root, victim, way):
    """The attack is real here: fork, chroot and exec from an interpreter, and its file is the attacker's."""
    entry = WAYS[way][0] if way == "direct" else f"/entry-{way}"
    before = _hash(victim["program"])
    environment = {**os.environ, **{k: v for k, v in victim.items() if k != "program"}}
    shown = subprocess.run(
        [victim["program"], "-c", NAIVE, str(naive_root), entry], env=environment, capture_output=True, timeout=60
    )
    assert b"loaded " + victim["program"].encode() in shown.stdout, shown
    assert b"wrote" in shown.stdout
    assert _hash(victim["program"]) != before and Path(victim["program"]).read_bytes().startswith(b"OWNED")


API = """
import sys, pyrt
from pyrt.store.store import Store
try:
    result = pyrt.run(sys.argv[2], [], store=Store.open(sys.argv[1]), timeout=60)
except pyrt.CommandNotExecutable as error:
    print("refused:", error)
else:
    print("ran:", result)
"""


@pytest.mark.parametrize("door", ["command", "api"])
@pytest.mark.parametrize("way", WAYS)
def test_ct_01_ct_02_the_program_that_starts_it_is_out_of_reach(store, make, loader, victim, way, door, security_root):
    entries = _hostile(way, loader, _interpreter_of(victim["program"]))
    image = make(*entries, config={"Entrypoint": [WAYS[way][0]], "Cmd": None})
    native = Path(pyrt.__file__).parent / "_native"
    files = [victim["program"], os.path.realpath(sys.executable), *native.glob("*.so"), *native.glob("bin/*")]
    before = [_hash(path) for path in files]
    environment = {**os.environ, **{k: v for k, v in victim.items() if k != "program"}}
    if door == "command":
        argv = [victim["program"], "-m", "pyrt", "--root", str(security_root), "run", "--rm", image]
    else:
        argv = [victim["program"], "-c", API, str(security_root), image]
    shown = subprocess.run(argv, env=environment, capture_output=True, timeout=120, cwd=REPOSITORY)
    assert b"wrote" not in shown.stdout and b"loaded" not in shown.stdout, shown
    for place in (str(REPOSITORY), str(security_root), "python", sys.base_prefix):
        assert place.encode() not in shown.stdout.replace(victim["program"].encode(), b"python-of-the-host"), shown
    assert [_hash(path) for path in files] == before


def test_bn_09_a_program_may_execute_itself(busybox):
    assert busybox("readlink /proc/self/exe; exec -a busybox /proc/self/exe echo again").stdout == b"/bin/busybox\nagain\n"


@pytest.mark.parametrize("number", [3, 4, 5, 6, 7, 9, 64])
def test_ct_08_an_fd_is_no_entry_point(command, number):
    result = command("busybox", f"/proc/self/fd/{number}")
    assert result.returncode in (126, 127) and result.stdout == b"", result
    assert result.stderr.startswith(b"pyrt: ") and result.stderr.count(b"\n") == 1


def test_ct_08_the_callers_files_are_no_entry_point(command, tmp_path):
    """The standard streams are the only host files that there are; those that a caller redirects to are not executable."""
    log = tmp_path / "log"
    with log.open("w+b") as file:
        result = command("busybox", "/proc/self/fd/1", stdout=file, capture_output=False, stderr=subprocess.PIPE)
    assert result.returncode == 126 and log.read_bytes() == b""


def test_ct_63_the_last_step_cannot_be_looked_into(command):
    """With --init it stays, as PID 1: the container's root finds it closed."""
    script = (
        "for f in exe cwd root fd/0 environ mem maps; do"
        " (readlink /proc/1/$f || cat /proc/1/$f) 2>/dev/null | head -c 20; done; stat -c %u /proc/1/environ; id -u"
    )
    as_root = command("--init", "busybox", "sh", "-c", script)
    assert as_root.stdout.split() == [b"0", b"0"], as_root
    # A process that cannot be looked into belongs to root in /proc, whoever it runs as (proc(5)).
    as_user = command("--init", "--user", "1000", "busybox", "sh", "-c", script)
    assert as_user.stdout.split() == [b"0", b"1000"], as_user


def test_ct_63_a_program_of_the_image_can(busybox):
    assert busybox("readlink /proc/1/exe; head -c 4 /proc/1/environ").stdout.split()[0] == b"/bin/busybox"


def test_ct_63_not_dumpable_before_anything_else(command, tmp_path):
    """From its first system calls on: nothing is set, dropped or opened before."""
    need("strace")
    calls = _traced(command, tmp_path, "busybox", "true", filter="all")
    last_step = [line for line in calls if "execveat(" in line][-1].split()[0]
    after = [line for line in calls if line.startswith(last_step)]
    begin = next(i for i, line in enumerate(after) if "execveat(" in line)
    after = [line for line in after[begin + 1 :] if " resumed>" not in line]
    names = [line.split(None, 1)[1].split("(")[0] for line in after]
    dumpable = next(i for i, line in enumerate(after) if "PR_SET_DUMPABLE" in line)
    assert "execve" in names and set(names[:dumpable]) <= {"lseek", "mmap", "close", "fcntl"}, names


def _traced(command, tmp_path: Path, *words: str, filter: str) -> list[str]:
    """The lines "PID call(...)" of strace over ``pyrt run`` and all that it starts."""
    log = tmp_path / "trace"
    given = [sys.executable, "-m", "pyrt", "--root", os.environ["PYRT_TRACED_ROOT"], "run", "--rm", *words]
    argv = ["strace", "-f", "-qq", "-s", "200", "-e", f"trace={filter}", "-o", str(log), *given]
    subprocess.run(
        argv, check=True, capture_output=True, timeout=120, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )
    return log.read_text(errors="replace").splitlines()


@pytest.fixture(autouse=True)
def traced_root(security_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYRT_TRACED_ROOT", str(security_root))


def test_ct_64_nothing_of_the_image_runs_on_the_host(command, make, tmp_path):
    """Every name that a runtime could ask for stands in every directory of PATH of this image, and none is executed: what is
    executed is the last step, from memory, and the program that was asked for, inside."""
    need("strace")
    names = [
        "nsenter",
        "newuidmap",
        "newgidmap",
        "iptables",
        "ip",
        "sh",
        "python",
        "python3",
        "mount",
        "umount",
        "tar",
        "xz",
        "unpigz",
        "pigz",
        "gzip",
        "ldconfig",
    ]
    folders = ["usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin"]
    traps = [
        Entry(name=f"{folder}/{name}", content=b"#!/bin/busybox touch\n", mode=0o755) for folder in folders for name in names
    ]
    dirs = [Entry(name=name, kind="dir", mode=0o755) for name in ("usr/local/sbin", "usr/local", "lib", "usr/lib")]
    traps += [
        Entry(name=f"lib/{name}", content=b"not a library") for name in ("libnss_files.so.2", "libc.so.6", "libnss_dns.so.2")
    ]
    config = {"Env": [images.PATH, "LD_LIBRARY_PATH=/lib", "LD_PRELOAD=/lib/libc.so.6", "PYTHONPATH=/lib"], "User": "app"}
    image = make(*dirs, *traps, config=config)
    calls = _traced(command, tmp_path, image, "/bin/busybox", "true", filter="execve,execveat,open,openat,openat2,mmap")
    executed = [line.split(None, 1)[1] for line in calls if "execve" in line.split("(")[0] and " resumed>" not in line]
    assert len(executed) == 3, executed  # the interpreter, the last step, the image's program
    assert executed[1].startswith('execveat(5, ""') and executed[2].startswith('execve("/bin/busybox"')
    assert not [line for line in calls if "libnss" in line and "/layers/" in line]


def test_ct_66_the_last_step_takes_nothing_from_the_environment(command, make):
    """The image's environment is the program's, and the caller's is nobody's in there; neither steers the last step."""
    image = make(config={"Env": [images.PATH, "LD_PRELOAD=/nothing", "GLIBC_TUNABLES=glibc.malloc.check=3", "LD_DEBUG=all"]})
    result = command(
        "-e", "LD_AUDIT=/x", image, "env", env={**os.environ, "SECRET_OF_THE_HOST": "1", "PYTHONPATH": str(REPOSITORY)}
    )
    lines = result.stdout.decode().split()
    assert "LD_PRELOAD=/nothing" in lines and "LD_AUDIT=/x" in lines and result.stderr == b""
    assert not any("SECRET" in line or "PYTHON" in line for line in lines)
    shown = command(
        "--init", "busybox", "sh", "-c", "tr '\\0' '\\n' </proc/self/environ", env={**os.environ, "SECRET_OF_THE_HOST": "1"}
    )
    assert b"SECRET" not in shown.stdout


def test_ct_10_it_starts_at_its_own_root_from_anywhere(command, tmp_path):
    deep = tmp_path / "/".join(["deep"] * 20)
    deep.mkdir(parents=True)
    walk = "cd ../../../../../../../../..; pwd; ls -d etc/passwd; stat -c %i . /"
    assert command("busybox", "sh", "-c", walk, cwd=deep).stdout.split()[:2] == [b"/", b"etc/passwd"]
    gone = tmp_path / "gone"
    gone.mkdir()
    pyrt_there = f"{sys.executable} -m pyrt --root {os.environ['PYRT_TRACED_ROOT']}"
    script = f"cd {gone} && rmdir {gone} && exec {pyrt_there} run --rm busybox pwd"
    result = subprocess.run(
        ["sh", "-c", script], capture_output=True, timeout=60, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )
    assert (result.returncode, result.stdout) == (0, b"/\n"), result
