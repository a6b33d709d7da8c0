"""A container against its keeper, and against the paths that it serves."""

from __future__ import annotations

import os
import runpy
import subprocess
from pathlib import Path

import pytest

import pyrt
from pyrt._native import launch
from pyrt.request import Mount
from pyrt.runtime import notify_filter, syscall_numbers
from pyrt.store.store import Store
from tests.chroot.conftest import REPOSITORY, Run
from tests.support.parts import need

STATIC = runpy.run_path(str(REPOSITORY / "csrc" / "build_static.py"))

pytestmark = pytest.mark.usefixtures("leakless")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("gcc")
    program = tmp_path_factory.mktemp("hostile") / "hostile"
    source = Path(__file__).with_name("hostile.c")
    subprocess.run(["gcc", "-O1", "-static", "-pthread", "-w", str(source), "-o", str(program)], check=True)
    return program


def test_no_argument_of_a_call_ends_the_keeper(run: Run, hostile: Path, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("f\n")
    (tmp_path / "loop").symlink_to("loop")
    numbers = syscall_numbers.numbers(os.uname().machine)
    words = " ".join(str(numbers[name]) for name in notify_filter.ASKED if name in numbers)
    script = f"ulimit -f 1000; /h/hostile {words} 2>/dev/null; cat /proc/self/comm"
    out = run(script, "-v", f"{hostile.parent}:/h:ro", "-v", f"{tmp_path}:/v", timeout=120)
    assert out.stdout == "alive\ncat\n", out


def test_nothing_that_c_leaves_undefined_happens(
    hostile: Path, store_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with a keeper that ends at once where it does something undefined: UBSan, which needs no libc for that."""
    compiler = ["gcc", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
    for program in STATIC["PROGRAMS"]:
        STATIC["compile_static"](program, str(tmp_path / "bin"), compiler)
    monkeypatch.setattr(launch, "PROGRAMS", str(tmp_path / "bin"))
    launch._program.cache_clear()
    try:
        (tmp_path / "v").mkdir()
        numbers = syscall_numbers.numbers(os.uname().machine)
        words = [str(numbers[name]) for name in notify_filter.ASKED if name in numbers]
        mounts = [Mount(kind="bind", source=str(place), target=f"/{place.name}") for place in (tmp_path / "v", hostile)]
        done = pyrt.run("busybox", ["/hostile", *words], mounts=mounts, store=Store.open(str(store_root)), isolation="chroot")
    finally:
        launch._program.cache_clear()
    assert (done.returncode, done.stdout) == (0, b"alive\n"), done


def test_a_root_in_the_root_has_no_places(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("f\n")
    script = """
    mkdir -p /inner/bin /inner/v /inner/proc; cp /bin/busybox /inner/bin/busybox; echo own > /inner/v/f
    chroot /inner /bin/busybox sh -c 'busybox cat /v/f; busybox ls /proc; cd /v; busybox pwd; busybox cat f'; cat /v/f
    """
    assert run(script, "-v", f"{tmp_path}:/v").stdout == "own\n/v\nown\nf\n"


def test_the_way_out_by_a_directory_that_stays_open_is_closed(run: Run, tmp_path: Path) -> None:
    """chroot(2) leaves the working directory where it is: the classic way out of a chroot ends at Landlock, and finds none of
    the host's files."""
    (tmp_path / "secret").write_text("of the host\n")
    script = (
        f"mkdir /x; cd /; chroot /x /bin/true; for i in 1 2 3 4 5 6 7 8 9; do cd ..; done; "
        f"cat ./{tmp_path}/secret {tmp_path}/secret"
    )
    assert "of the host" not in run(script, check=False).stdout


def test_links_of_other_processes_lead_nowhere(run: Run) -> None:
    done = run(
        f"cat /proc/1/root/etc/shadow /proc/{os.getpid()}/root/etc/shadow; ls /proc/1/root/ /proc/1/cwd/ /proc/1/fd",
        check=False,
    )
    assert done.stdout == "" and done.stderr.count("No such file or directory") == 5


def test_a_path_of_the_host_is_not_a_path_of_the_container(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("f\n")
    script = f"exec 5< /v/f; cd /v; ls {tmp_path} 2>&1; readlink /proc/self/fd/5; readlink /proc/self/cwd; cat /proc/self/cwd/f"
    out = run(script, "-v", f"{tmp_path}:/v").stdout.splitlines()
    assert out[0].endswith("No such file or directory") and out[1:] == ["/v/f", "/v", "f"]


def test_no_second_keeper(run: Run, store_root: Path) -> None:
    """What seccomp(2) says of a second listener, said in words: there is no container without namespaces in one."""
    from pyrt._native.launch import start_error
    from pyrt.plan import Program

    program = Program(
        argv=("x",),
        env=(),
        candidates=("x",),
        workdir="/",
        uid=0,
        gid=0,
        groups=(),
        bounding=0,
        permitted=0,
        last_capability=40,
    )
    assert "one keeper answers already" in start_error("NOTIFY", 16, "", program).hint
