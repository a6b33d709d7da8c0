"""AppArmor: what is refused by name, what stage2 writes and where; and on a kernel that has it, what it denies and what not.

The second half needs such a kernel: ``make vm-test`` runs it where this machine has none.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyrt._native.launch import Started, launch
from pyrt.container_run import run
from pyrt.errors import ContainerTimeout, StartError, Unsupported, UsageError
from pyrt.host import Host
from pyrt.image_pull import pull
from pyrt.request import CompletedRun, RunRequest
from pyrt.runtime import apparmor, bundle, compile
from pyrt.runtime.users import Account
from pyrt.store.store import Store
from pyrt.values import replace
from tests.support import busybox, images
from tests.support.leaks import assert_nothing_new, snapshot
from tests.support.parts import machine, missing, need

REPOSITORY = Path(__file__).parents[2]
TEXT = REPOSITORY / "pyrt" / "runtime" / "apparmor.profile"
ENFORCED = f"{apparmor.PROFILE} (enforce)"

Command = Callable[..., "subprocess.CompletedProcess[str]"]

# A profile that is in some kernel keeps its name for ever: another text takes the next number.
DIGESTS = {"pyrt-default-1": "5bb62368edc01691cc5451ecf6cdffefae890c41f8d4e25fa865d0f6250f32f2"}


def host(*, uid: int = 0, capabilities: int = 1 << apparmor.MAC_ADMIN) -> Host:
    return Host(uid=uid, gid=0, capabilities=capabilities, last_capability=40)


@pytest.fixture
def kernel(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """A /sys and a /proc as one kernel or another shows them."""

    def made(*, enabled: str = "Y", loaded: bool = False, securityfs: bool = True, own: str = "unconfined") -> dict[str, str]:
        security = tmp_path / "sys/kernel/security/apparmor"
        for directory in (security, tmp_path / "sys/module/apparmor/parameters", tmp_path / "proc/thread-self/attr/apparmor"):
            directory.mkdir(parents=True)
        if enabled:
            (tmp_path / "sys/module/apparmor/parameters/enabled").write_text(f"{enabled}\n")
        if securityfs:
            (security / ".replace").touch()
        if loaded:
            (security / ".access").touch()
        (tmp_path / "proc/thread-self/attr/apparmor/current").write_text(f"{own}\n")
        return {"sys": str(tmp_path / "sys"), "proc": str(tmp_path / "proc")}

    return made


def test_a_text_keeps_its_number():
    assert DIGESTS[apparmor.PROFILE] == hashlib.sha256(TEXT.read_bytes()).hexdigest(), "count PROFILE up, then note the digest"
    assert f"\nprofile {apparmor.PROFILE} flags" in TEXT.read_text()
    assert set(TEXT.read_text().split("peer=")[1:]) and TEXT.read_text().count(apparmor.PROFILE) == 3


def test_the_profile_compiles_without_a_warning():
    need("apparmor_parser")
    words = ["apparmor_parser", "--skip-kernel-load", "--skip-cache", "--stdout", "--warn=all"]
    compiled = subprocess.run([*words, str(TEXT)], capture_output=True)
    of_the_kernel = ("interface file missing", "not enforce", "downgrading extended network unix")
    said = [line for line in compiled.stderr.decode().splitlines() if line.strip()]
    assert compiled.returncode == 0, said
    assert [line for line in said if not any(words in line for words in of_the_kernel)] == []
    assert apparmor.PROFILE.encode() in compiled.stdout


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"enabled": ""}, "this kernel has no AppArmor"),
        ({"enabled": "N"}, "switched off on the kernel's command line"),
        ({"securityfs": False}, "no securityfs is mounted"),
        ({"own": "docker-default (enforce)"}, "pyrt itself runs under docker-default (enforce)"),
        ({"own": "lxc-container (complain)", "loaded": True}, "pyrt itself runs under"),
    ],
)
def test_why_the_default_is_not_there(kernel, state, reason):
    choice = apparmor.choose("", privileged=False, host=host(), **kernel(**state))
    assert choice.profile == "" and reason in choice.why


@pytest.mark.parametrize("own", ["unconfined", "firefox (unconfined)", ""])
def test_a_loaded_default_is_taken(kernel, own):
    choice = apparmor.choose("", privileged=False, host=host(uid=1000, capabilities=0), **kernel(own=own, loaded=True))
    assert choice == apparmor.Choice(profile=apparmor.PROFILE, why="the default")


@pytest.mark.parametrize("who", [{"uid": 1000}, {"capabilities": 0}])
def test_who_may_not_load(kernel, who):
    choice = apparmor.choose("", privileged=False, host=host(**who), **kernel())
    assert choice.profile == "" and "takes root with CAP_MAC_ADMIN" in choice.why


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (None, "apparmor_parser is not installed"),
        ("#!/bin/sh\necho warning >&2\necho line 3: no rule >&2\nexit 1\n", "could not load pyrt-default-1: line 3: no rule"),
        ("#!/bin/sh\nexit 7\n", "could not load pyrt-default-1: exit code 7"),
        ("#!/bin/sh\nexit 0\n", "could not load pyrt-default-1"),
        ("not a program\n", "apparmor_parser: "),
    ],
)
def test_a_parser_that_does_not_load(kernel, tmp_path, monkeypatch, program, reason):
    if program is not None:
        (tmp_path / "apparmor_parser").write_text(program)
        (tmp_path / "apparmor_parser").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(apparmor, "_SBIN", "")
    choice = apparmor.choose("", privileged=False, host=host(), **kernel())
    assert choice.profile == "" and reason in choice.why
    assert "\n" not in choice.why


def test_loading_gives_the_parser_the_text(kernel, tmp_path, monkeypatch):
    """A parser that "loads" by making the file which the kernel answers questions by."""
    place = kernel()
    access = f"{place['sys']}/kernel/security/apparmor/.access"
    (tmp_path / "apparmor_parser").write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/words\ncat >{tmp_path}/text\n: >{access}\n')
    (tmp_path / "apparmor_parser").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert apparmor.choose("", privileged=False, host=host(), load=False, **place).profile == apparmor.PROFILE
    assert not (tmp_path / "words").exists()
    assert apparmor.choose("", privileged=False, host=host(), **place).profile == apparmor.PROFILE
    assert (tmp_path / "words").read_text().split() == ["--skip-cache", "--replace"]
    assert (tmp_path / "text").read_text().endswith(TEXT.read_text())
    (tmp_path / "words").unlink()
    assert apparmor.choose("", privileged=False, host=host(), **place).profile == apparmor.PROFILE
    assert not (tmp_path / "words").exists(), "a warm start executes no parser"


def test_what_is_asked_for(kernel):
    place = kernel(loaded=True)
    assert apparmor.choose("unconfined", privileged=False, host=host(), **place).profile == ""
    assert apparmor.choose("", privileged=True, host=host(), **place) == apparmor.Choice(profile="", why="--privileged")
    assert apparmor.choose("mine", privileged=True, host=host(), **place).profile == "mine"
    assert apparmor.choose("mine", privileged=False, host=host(), **place).profile == "mine"


@pytest.mark.parametrize("name", ["a\nb", "a\0b", " a", "a ", "a\x1b[m"])
def test_names_that_cannot_be(kernel, name):
    with pytest.raises(UsageError, match="not the name of a profile"):
        apparmor.choose(name, privileged=False, host=host(), **kernel(loaded=True))


def test_a_name_without_apparmor_is_refused(kernel):
    place = kernel(enabled="")
    with pytest.raises(Unsupported, match="apparmor=mine: this kernel has no AppArmor"):
        apparmor.choose("mine", privileged=False, host=host(), **place)
    assert apparmor.choose("unconfined", privileged=False, host=host(), **place).profile == ""


def test_who_enters_the_profile_and_when():
    by_exec = ("self/attr/apparmor/exec", "self/attr/exec")
    at_once = ("self/attr/apparmor/current", "self/attr/current")
    assert apparmor.writes("p", with_init=False) == ("exec p", by_exec, False)
    assert apparmor.writes("p", with_init=True) == ("changeprofile p", at_once, True)
    for with_init in (False, True):
        assert apparmor.writes(apparmor.PROFILE, with_init=with_init) == (f"changeprofile {apparmor.PROFILE}", at_once, False)


def labelled_plan(root: Path, directory: Path, *argv: str, **process: str) -> compile.Plan:
    """A plan whose container has no /proc but what stands in its root, and whose program gets a label."""
    request = RunRequest(rootfs=str(root), argv=argv)
    place = bundle.Surroundings(hostname="", root_path=str(root), etc_files=(), volumes=(), held=0)
    spec = bundle.make(request, None, Account(uid=0, gid=0, groups=(0,), home="/"), place)
    mounts = tuple(mount for mount in spec.mounts if mount.destination != "/proc")
    spec = replace(spec, mounts=mounts, masked_paths=(), readonly_paths=(), process=replace(spec.process, **process))
    placement = compile.Placement(directory=str(directory), memory=0, files=(), last_capability=40)
    return compile.plan(spec, compile.PlainRoot(path=str(root)), placement)


@pytest.fixture
def fake_proc(tmp_path: Path) -> Iterator[Path]:
    """A root whose /proc is files of the image, each where a label would be written."""
    root = tmp_path / "root"
    for directory in ("bin", "proc/self/attr/apparmor", "proc/1/attr/apparmor", "sys", "dev"):
        (root / directory).mkdir(parents=True)
    (root / "bin/sh").write_bytes(Path(busybox.static_busybox()).read_bytes())
    (root / "bin/sh").chmod(0o755)
    for process in ("self", "1"):
        for name in ("exec", "current", "apparmor/exec", "apparmor/current"):
            (root / "proc" / process / "attr" / name).touch()
    (tmp_path / "place").mkdir()
    yield root
    assert all(path.stat().st_size == 0 for path in (root / "proc").rglob("*") if path.is_file()), "written to the container's"


def started(plan: compile.Plan) -> bytes:
    """What the plan's program prints."""
    reads, writes = os.pipe()
    begun = Started()
    try:
        launch(plan, (0, writes, 2), begun)
        os.waitid(os.P_PIDFD, begun.pidfd, os.WEXITED)
        os.close(begun.pidfd)
        return os.read(reads, 1 << 16)
    finally:
        os.close(reads)
        os.close(writes)


def test_ct_26_a_label_is_never_written_into_the_containers_proc(fake_proc, tmp_path):
    """CVE-2019-16884, CVE-2025-52881: below a procfs of ours. Where no module takes it, the start fails at this step."""
    before = sorted(os.listdir("/proc/self/fd"))
    plan = labelled_plan(fake_proc, tmp_path / "place", "/bin/sh", "-c", "echo started", apparmor_profile=apparmor.PROFILE)
    if apparmor.unavailable():
        with pytest.raises(StartError, match=f"cannot give the container the label changeprofile {apparmor.PROFILE}") as caught:
            started(plan)
        assert caught.value.step == "label"
    else:
        assert apparmor.known(apparmor.PROFILE) or apparmor.ensure_loaded() == ""
        assert started(plan) == b"started\n"
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_profile_that_goes_away_before_the_exec(fake_proc, tmp_path):
    """The kernel's own answer, in words."""
    hint = "no security module of this kernel takes it" if apparmor.unavailable() else "the kernel has no such profile"
    with pytest.raises(StartError, match="cannot give the container the label exec gone") as caught:
        started(labelled_plan(fake_proc, tmp_path / "place", "/bin/sh", apparmor_profile="gone"))
    assert caught.value.hint == hint


def test_ct_26_and_without_fsopen(tmp_path):
    """The same on a kernel before 5.2, or below a seccomp filter that does not know the calls."""
    command = [sys.executable, "-m", "tests.support.enosys", "fsopen,fsconfig,fsmount,close_range", "--"]
    command += [sys.executable, "-m", "pytest", "-q", f"--basetemp={tmp_path}/inner", f"{__file__}::{INNER}"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=300)
    assert result.returncode == 0 and "1 passed" in result.stdout, result.stdout


INNER = test_ct_26_a_label_is_never_written_into_the_containers_proc.__name__


def test_two_modules_at_once_are_refused(tmp_path):
    with pytest.raises(Unsupported, match="together"):
        labelled_plan(tmp_path, tmp_path, "x", apparmor_profile="a", selinux_label="b")


def test_a_container_without_a_label_gets_no_procfs(tmp_path):
    plan = labelled_plan(tmp_path, tmp_path, "x")
    assert plan.program.label == "" and not any(op.kind == "proc" for op in plan.ops)
    assert [op.kind for op in labelled_plan(tmp_path, tmp_path, "x", selinux_label="b").ops].count("proc") == 1


# From here on with a store and containers.


@pytest.fixture(scope="module")
def store_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one image: busybox, and the program that tries acts."""
    need("gcc")
    if os.geteuid() != 0:
        missing("not root")
    directory = tmp_path_factory.mktemp("apparmor")
    acts = directory / "acts"
    subprocess.run(["gcc", "-O1", "-static", "-o", acts, Path(__file__).with_name("acts.c")], check=True)
    image = images.busybox(entries=[images.Entry(name="acts", content=acts.read_bytes(), mode=0o755)])
    images.write_layout(directory / "layout", {"docker.io/library/busybox:latest": image})
    pull(f"oci:{directory}/layout:docker.io/library/busybox:latest", store=Store.open(str(directory / "store")))
    return directory / "store"


@pytest.fixture
def pyrt(store_root: Path) -> Iterator[Command]:
    """The command line on that store; it leaves nothing."""

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "pyrt", "--root", str(store_root), *words]
        return subprocess.run(argv, capture_output=True, text=True, cwd=REPOSITORY, timeout=120)

    before = snapshot(store_root)
    yield command
    assert_nothing_new(before, store_root)


@pytest.fixture
def store(store_root: Path) -> Store:
    return Store.open(str(store_root))


@pytest.fixture
def apparmor_kernel() -> None:
    if why := apparmor.unavailable():
        machine(f"{why} (make vm-test)")


def in_busybox(store: Store, *argv: str, **options: object) -> CompletedRun:
    return run("busybox", argv, store=store, **options)  # type: ignore[arg-type]


def test_a_profile_that_is_not_there_is_refused_by_name(pyrt):
    done = pyrt("run", "--rm", "--security-opt", "apparmor=nosuch", "busybox", "true")
    why = apparmor.unavailable() or "no such profile in the kernel"
    assert (done.returncode, done.stdout) == (125, "")
    assert f"apparmor=nosuch: {why}" in done.stderr and len(done.stderr.splitlines()) <= 2


def test_unconfined_can_always_be_asked_for(pyrt):
    words = "cat /proc/self/attr/current 2>/dev/null; echo done"
    done = pyrt("run", "--rm", "--security-opt", "apparmor=unconfined", "busybox", "sh", "-c", words)
    assert done.returncode == 0 and done.stdout.split()[-1] == "done"
    assert apparmor.PROFILE not in done.stdout


def test_the_report_says_whether_and_why(store):
    barrier = in_busybox(store, "true").isolation["AppArmor"]
    if why := apparmor.unavailable():
        assert (barrier.on, barrier.why) == (False, why)
    else:
        assert (barrier.on, barrier.why) == (True, apparmor.PROFILE)
    assert (in_busybox(store, "true", privileged=True).isolation["AppArmor"].on) is False


BOTH = "cat /proc/self/attr/current /proc/1/attr/current; echo /proc/self/fd/*"


@pytest.mark.parametrize("options", [{}, {"init": True}, {"user": "1000:1000"}, {"no_new_privileges": True}, {"pid": "host"}])
def test_the_program_is_confined(apparmor_kernel, store, options):
    """PID 1 and what it starts; and no fd of the start is left (3 is the shell's, for the pattern). With the host's pids PID 1
    is the host's."""
    done = in_busybox(store, "sh", "-c", BOTH, **options)
    first = "unconfined" if "pid" in options else ENFORCED
    assert done.stdout.decode().splitlines() == [ENFORCED, first, " ".join(f"/proc/self/fd/{fd}" for fd in range(4))]


def test_with_a_terminal(apparmor_kernel, pyrt):
    done = pyrt("run", "--rm", "-t", "busybox", "sh", "-c", "cat /proc/self/attr/current; tty; echo x >/dev/tty")
    assert done.stdout.split() == [*ENFORCED.split(), "/dev/pts/0", "x"]


def test_privileged_is_unconfined_and_a_name_confines_even_that(apparmor_kernel, pyrt):
    words = ("busybox", "cat", "/proc/self/attr/current")
    assert pyrt("run", "--rm", "--privileged", *words).stdout.strip() == "unconfined"
    named = ("--security-opt", f"apparmor={apparmor.PROFILE}")
    assert pyrt("run", "--rm", "--privileged", *named, *words).stdout.strip() == ENFORCED


def test_a_profile_of_the_callers_own(apparmor_kernel, pyrt, tmp_path):
    need("apparmor_parser")
    profile = tmp_path / "profile"
    profile.write_text(
        "profile pyrt-test-own flags=(attach_disconnected) {\n  file,\n  capability,\n  signal,\n  deny /etc/passwd r,\n}\n"
    )
    subprocess.run(["apparmor_parser", "-Kr", profile], check=True)
    try:
        script = "cat /proc/self/attr/current; cat /etc/passwd; cat /etc/group | wc -l"
        own = ("--security-opt", "apparmor=pyrt-test-own")
        for init in ((), ("--init",)):
            done = pyrt("run", "--rm", *init, *own, "busybox", "sh", "-c", script)
            assert done.stdout.splitlines()[0] == "pyrt-test-own (enforce)"
            assert "Permission denied" in done.stderr and int(done.stdout.split()[-1]) > 0
    finally:
        subprocess.run(["apparmor_parser", "-R", profile], check=True)
    assert "no such profile" in pyrt("run", "--rm", *own, "busybox", "true").stderr


def _acts(text: str) -> list[str]:
    return text.split()


# Each is possible for a privileged container, and for nobody under the profile.
DENIED = _acts("""
    alg
    write:/proc/sys/kernel/core_pattern append:/proc/sys/kernel/core_pattern write:/proc/sys/kernel/modprobe
    write:/proc/sys/kernel/panic write:/proc/sys/kernel/hostname write:/proc/sys/kernel/sem write:/proc/sys/kernel/sysrq
    write:/proc/sys/kernel/sched_rr_timeslice_ms write:/proc/sys/kernel/keys/maxkeys write:/proc/sys/kernel/yama/ptrace_scope
    write:/proc/sys/vm/overcommit_memory write:/proc/sys/net/ipv4/ip_forward write:/proc/sys/fs/file-max
    write:/proc/sys/fs/mqueue/msg_max write:/proc/sys/user/max_user_namespaces
    write:/proc/sysrq-trigger read:/proc/kcore write:/proc/irq/default_smp_affinity write:/proc/mtrr write:/proc/version
    write:/proc/self/../version write:/proc/bus/input/devices write:/proc/sysvipc/shm write:/proc/tty/drivers
    write:/sys/kernel/mm/transparent_hugepage/enabled write:/sys/kernel/profiling write:/sys/power/state
    write:/sys/module/kernel/parameters/panic write:/sys/devices/system/cpu/cpu1/online write:/sys/block/vda/queue/nr_requests
    write:/sys/fs/ext4/vda/mb_stats write:/sys/bus/pci/rescan read:/sys/firmware/dmi/tables/DMI
    pivot:/ mount:/tmp bind:/root remount:/tmp umount:/dev/mqueue become:unconfined
""")

# What programs do; it goes as well, or as badly, as without the profile.
BENIGN = _acts("""
    tcp raw unix netlink kill kill-1 trace install:/root/x install:/tmp/x read:/proc/meminfo read:/proc/sys/kernel/osrelease
    read:/proc/sys/net/ipv4/ip_forward read:/sys/kernel/mm/transparent_hugepage/enabled read:/sys/fs/cgroup/cgroup.controllers
    read:/proc/1/status read:/proc/interrupts write:/proc/self/oom_score_adj write:/proc/self/comm write:/proc/1/comm
    write:/proc/self/attr/exec write:/proc/sys/kernel/shmmax write:/proc/sys/kernel/shm_rmid_forced
    write:/sys/fs/cgroup/cgroup.procs write:/dev/null write:/dev/tty
""")


def tried(pyrt: Command, acts: list[str], *options: str) -> dict[str, int]:
    done = pyrt("run", "--rm", "--privileged", *options, "busybox", "/acts", *acts)
    assert done.returncode == 0, done.stderr
    return {act: int(number) for act, number in (line.rsplit(" ", 1) for line in done.stdout.splitlines())}


def test_ct_58_what_is_denied_and_what_is_not(apparmor_kernel, pyrt):
    """Everything else is open (--privileged: capabilities, seccomp, masked and read-only paths): this is AppArmor alone."""
    acts = [*BENIGN, "ping", *DENIED]
    open_to = tried(pyrt, acts)
    confined = tried(pyrt, acts, "--security-opt", f"apparmor={apparmor.PROFILE}")
    absent = {act for act in DENIED if open_to[act] == errno.ENOENT}
    assert len(absent) < 6, f"this kernel lacks most of what is tried: {absent}"
    assert {act: open_to[act] for act in DENIED if act not in absent and open_to[act] in (errno.EPERM, errno.EACCES)} == {}
    assert {act: confined[act] for act in DENIED if act not in absent and confined[act] != errno.EACCES} == {}
    assert {act: open_to[act] for act in [*BENIGN, "ping"]} == {act: confined[act] for act in [*BENIGN, "ping"]}
    assert {act for act in BENIGN if open_to[act]} <= {"write:/dev/tty"}  # no terminal


def test_pyrt_ends_what_it_confined(apparmor_kernel, store):
    """A signal from outside has to be received."""
    with pytest.raises(ContainerTimeout) as caught:
        in_busybox(store, "sh", "-c", "trap '' TERM; echo begun; sleep 100", timeout=5)
    assert caught.value.result.stdout == b"begun\n"
    assert in_busybox(store, "sh", "-c", "sleep 100 & kill $!; wait $!; echo $?", init=True).stdout == b"143\n"


@pytest.mark.parametrize("options", [(), ("--init",), ("--user", "1000:1000"), ("--security-opt", "no-new-privileges")])
def test_lc_07_a_confined_container_dies_with_its_caller(apparmor_kernel, store_root, pyrt, options):
    """A change of the label by exec clears the parent-death signal."""
    words = ["run", "--rm", *options, "busybox", "sh", "-c", "echo ready; exec sleep 3219"]
    argv = [sys.executable, "-m", "pyrt", "--root", str(store_root), *words]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=REPOSITORY)
    with process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        process.kill()
        assert select.select([process.stdout], [], [], 20)[0], "it lives on"
        assert process.stdout.read() == b""
    pyrt("run", "--rm", "busybox", "true")  # the next command sweeps


def test_a_profile_that_was_taken_away_is_loaded_again_by_many_at_once(apparmor_kernel, store):
    need("apparmor_parser")
    subprocess.run(["apparmor_parser", "-R", TEXT], check=apparmor.known(apparmor.PROFILE) is True, capture_output=True)
    assert apparmor.known(apparmor.PROFILE) is False
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: in_busybox(store, "cat", "/proc/self/attr/current").stdout.decode().strip(), range(8)))
    assert done == [ENFORCED] * 8


def test_a_warm_start_needs_no_parser(apparmor_kernel, pyrt, monkeypatch):
    assert pyrt("run", "--rm", "busybox", "true").returncode == 0
    monkeypatch.setattr(apparmor, "_SBIN", "")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert apparmor.choose("", privileged=False, host=host()).profile == apparmor.PROFILE


def test_a_dry_run_shows_it_and_loads_nothing(apparmor_kernel, pyrt):
    need("apparmor_parser")
    subprocess.run(["apparmor_parser", "-R", TEXT], check=apparmor.known(apparmor.PROFILE) is True, capture_output=True)
    shown = json.loads(pyrt("run", "--dry-run", "busybox", "true").stdout)
    assert shown["spec"]["process"]["apparmorProfile"] == apparmor.PROFILE
    assert shown["plan"]["program"]["label"] == f"changeprofile {apparmor.PROFILE}"
    assert apparmor.known(apparmor.PROFILE) is False
