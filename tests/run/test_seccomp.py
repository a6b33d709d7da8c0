"""The filter in the kernel: loaded for every kind of container, and what a program in there is told."""

from __future__ import annotations

import errno
import json
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrt._native.launch import start_error
from pyrt.errors import StartError, UsageError
from pyrt.plan import Program
from pyrt.request import CompletedRun, Mount, RunRequest
from pyrt.runtime.syscall_numbers import numbers
from tests.support.parts import need

SOURCE = Path(__file__).parents[1] / "support" / "calls.c"
HERE = numbers(platform.machine())
X86_64 = platform.machine() == "x86_64"
CLONE_NEWUSER = 0x10000000


@pytest.fixture(scope="session")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Mount:
    """A static program that makes system calls, as a volume."""
    need("gcc")
    place = tmp_path_factory.mktemp("calls")
    place.chmod(0o755)
    place.parent.chmod(0o755)
    subprocess.run(["gcc", "-static", "-pthread", "-O1", "-o", place / "calls", SOURCE], check=True)
    return Mount(kind="bind", source=str(place), target="/calls", read_only=True)


@pytest.fixture
def answers(busybox: Callable[..., CompletedRun], calls: Mount) -> Callable[..., list[int]]:
    """The errno of each call ("number,argument,...") in a new container."""

    def asked(*words: str, **options: object) -> list[int]:
        done = busybox(f"exec /calls/calls {' '.join(words)}", mounts=[calls], **options)
        assert done.returncode == 0, done
        return [int(line.split()[1]) for line in done.stdout.splitlines()]

    return asked


def call(name: str, *arguments: int) -> str:
    return ",".join(map(str, (HERE[name], *arguments)))


@pytest.fixture
def profile(tmp_path: Path) -> Callable[..., str]:
    """The path of a profile that allows everything but what these rules say."""

    def written(*rules: dict[str, object], **fields: object) -> str:
        path = tmp_path / "profile.json"
        path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules, **fields}))
        return str(path)

    return written


def refusing(*names: str, number: int = errno.EPERM) -> dict[str, object]:
    return {"names": [*names], "action": "SCMP_ACT_ERRNO", "errnoRet": number}


STATUS = "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status"


@pytest.mark.parametrize("options", [
    {}, {"user": "1000"}, {"user": "1000:1000", "init": True}, {"init": True}, {"read_only": True}, {"cap_drop": ["ALL"]},
    {"cap_add": ["SYS_ADMIN"]},
])  # fmt: skip
def test_ct_36_each_container_has_one_filter(busybox, options):
    done = busybox(f"{STATUS}; grep Seccomp_filters /proc/1/status", **options)
    assert done.stdout.split() == [b"NoNewPrivs:", b"0", b"Seccomp:", b"2", b"Seccomp_filters:", b"1"], done


def test_ct_36_with_a_terminal_too(pyrt):
    done = pyrt("run", "--rm", "-t", "busybox", "grep", "Seccomp:", "/proc/1/status")
    assert (done.returncode, done.stdout.split()) == (0, ["Seccomp:", "2"]), done


@pytest.mark.parametrize("user", ["0", "1000"])
def test_ct_35_with_no_new_privileges_it_is_loaded_last(pyrt, user):
    """Then the filter needs no privilege, and what gives them up comes before it."""
    done = pyrt("run", "--rm", "--security-opt", "no-new-privileges", "--user", user, "busybox", "sh", "-c", STATUS)
    assert (done.returncode, done.stdout.split()) == (0, ["NoNewPrivs:", "1", "Seccomp:", "2"]), done


@pytest.mark.full
def test_unconfined_is_what_was_asked_for(pyrt, profile):
    for options, mode in (
        (["--security-opt", "seccomp=unconfined"], "0"),
        (["--privileged"], "0"),
        (["--privileged", "--security-opt", f"seccomp={profile()}"], "2"),
    ):
        done = pyrt("run", "--rm", *options, "busybox", "grep", "Seccomp:", "/proc/self/status")
        assert (done.returncode, done.stdout.split()) == (0, ["Seccomp:", mode]), done


def test_ct_39_numbers_from_470_on(answers):
    assert set(answers(*map(str, range(470, 601)))) == {errno.ENOSYS}


def test_ct_37_no_namespaces(answers):
    flags = (0x20000, 0x2000000, 0x4000000, 0x8000000, CLONE_NEWUSER, 0x20000000, 0x40000000)
    asked = [call("clone", flag | 17) for flag in flags] + [call("unshare", flag) for flag in flags] + [call("setns", 0, 0)]
    assert set(answers(*asked)) == {errno.EPERM}
    assert set(answers(*asked, user="1000")) == {errno.EPERM}
    assert answers(call("clone3", 0, 0)) == [errno.ENOSYS]


@pytest.mark.parametrize("options", [{}, {"user": "1000"}, {"cap_add": ["SYS_ADMIN"]}])
def test_bn_15_threads_and_children_without_clone3(busybox, calls, options):
    """The C library goes on with clone where clone3 is answered with ENOSYS."""
    done = busybox("exec /calls/calls threads", mounts=[calls], **options)
    assert done.returncode == 0, done


def test_ct_38_sockets(answers):
    """AF_ALG and AF_VSOCK get EPERM from the filter, also with an upper half that the kernel cuts off; the twin: the others
    open, and what does not exist says so itself."""
    denied = [call("socket", above << 32 | family, 5, 0) for family in (38, 40) for above in (0, 1, 0xFFFFFFFF)]
    assert set(answers(*denied)) == {errno.EPERM}
    assert set(answers(*denied, cap_add=["ALL"])) == {errno.EPERM}
    opened = [call("socket", family, kind, 0) for family, kind in ((1, 1), (2, 1), (2, 2), (10, 1), (16, 3))]
    assert set(answers(*opened)) == {0}
    assert answers(call("socket", 100, 1, 0)) == [errno.EAFNOSUPPORT]


@pytest.mark.skipif(not X86_64, reason="x86_64 only: other ways to call the kernel")
def test_ct_38_32_bit_and_x32_calls(answers, busybox, calls, profile, store):
    assert set(answers(str(0x40000000 + 41), str(0x40000000 + 39), str(0x40000000 + 512))) == {errno.ENOSYS}
    done = busybox("/calls/calls int80; echo $?", mounts=[calls])
    assert done.stdout == b"159\n", done  # 128 + SIGSYS


@pytest.mark.skipif(not X86_64, reason="x86_64 only: other ways to call the kernel")
def test_bn_20_32_bit_programs_where_a_profile_maps_them(pyrt, profile, calls):
    mapped = profile(archMap=[{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}])
    options = ["--security-opt", f"seccomp={mapped}", "-v", f"{calls.source}:/calls"]
    assert pyrt("run", "--rm", *options, "busybox", "/calls/calls", "int80").returncode == 0
    done = pyrt("run", "--rm", *options, "busybox", "/calls/calls", f"{0x40000000 + 39}")
    assert done.stdout.split() == [str(0x40000000 + 39), str(errno.ENOSYS)]


def test_ct_40_56_59_what_no_container_gets(answers):
    names = [
        "io_uring_setup", "userfaultfd", "bpf", "perf_event_open", "keyctl", "add_key", "request_key", "open_by_handle_at",
        "kexec_load", "init_module", "finit_module", "delete_module", "mount", "umount2", "pivot_root", "fsopen", "fspick",
        "fsmount", "move_mount", "open_tree", "mount_setattr", "settimeofday", "clock_settime", "swapon", "acct", "quotactl",
        "syslog", "kcmp", "process_madvise", "fanotify_init", "setdomainname", "sethostname",
    ]  # fmt: skip
    assert dict(zip(names, answers(*map(call, names)), strict=True)) == dict.fromkeys(names, errno.EPERM)


def test_ct_40_the_capability_brings_its_calls(answers):
    """The twin: what the filter leaves to the kernel is answered by the kernel, here for arguments that are nonsense."""
    asked = [call("mount", 0, 0, 0, 0, 0), call("fsopen", 0, 0), call("setns", 9999, 0), call("bpf", 9999, 0, 0)]
    assert errno.EPERM not in answers(*asked, cap_add=["SYS_ADMIN"])
    assert answers(call("open_by_handle_at", 9999, 0, 0), cap_add=["DAC_READ_SEARCH"]) != [errno.EPERM]


def test_a_profile_of_the_callers(pyrt, profile, calls):
    path = profile(refusing("getppid", number=77), {
        "names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 78,
        "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 1, "op": "SCMP_CMP_EQ"}],
    })  # fmt: skip
    asked = [call("getppid"), call("socket", 2, 1, 0), call("socket", 2, 2, 0), call("getpid")]
    options = ["--security-opt", f"seccomp={path}", "-v", f"{calls.source}:/calls"]
    done = pyrt("run", "--rm", *options, "busybox", "/calls/calls", *asked)
    assert [int(line.split()[1]) for line in done.stdout.splitlines()] == [77, 78, 0, 0], done


def test_a_profile_that_cannot_be_used_ends_it_before_anything_is_pulled(pyrt, profile, tmp_path):
    path = profile({"names": ["read"], "action": "SCMP_ACT_NOTIFY"})
    done = pyrt("run", "--rm", "--security-opt", f"seccomp={path}", "127.0.0.1:1/not/there", "true")
    assert done.returncode == 125
    assert done.stderr == (
        f"pyrt: seccomp profile {path}: profile.syscalls[0].action: SCMP_ACT_NOTIFY needs a listener, which this version does "
        "not have\n"
    )


@pytest.mark.full
def test_a_filter_that_refuses_the_last_step_says_where(store, profile, busybox):
    """setresuid comes after the filter, as in runc: the error names what was not possible."""
    with pytest.raises(StartError, match="cannot set the user: Operation not permitted"):
        confined(store, profile(refusing("setresuid")), user="1000")


def confined(store, path, script="true", **options):
    """Like pyrt.run with a profile."""
    from contextlib import ExitStack

    from pyrt import container_run

    request = RunRequest(image="busybox", argv=("sh", "-c", script), seccomp=path, remove=True, **options)
    with ExitStack() as undo:
        container = container_run.prepared(request, store, undo)
        process, _ = container_run.started(container, (0, 1, 2), undo)
        return process.wait()


def test_ct_05_no_profile_keeps_the_callers_descriptors_open(pyrt, profile, tmp_path):
    """What is closed is closed before a filter is there to refuse it."""
    path = profile(refusing("close_range", "close", "fcntl"))
    with open(tmp_path / "secret", "w") as secret:
        options = ["--security-opt", f"seccomp={path}"]
        done = pyrt("run", "--rm", *options, "busybox", "sh", "-c", "ls -l /proc/self/fd; :", pass_fds=(secret.fileno(),))
    assert done.returncode == 0 and "/dev/null" in done.stdout and "secret" not in done.stdout, done


def test_init_without_the_call_that_it_waits_with_ends(store, profile):
    """Not a PID 1 that spins."""
    begun = time.monotonic()
    assert confined(store, profile(refusing("rt_sigtimedwait")), "sleep 60", init=True) == 126
    assert time.monotonic() - begun < 30


def test_a_relative_path_is_refused(store):
    with pytest.raises(UsageError, match="neither an absolute path nor unconfined"):
        confined(store, "profile.json")


@pytest.mark.full
def test_dry_run_shows_the_rules_that_hold(pyrt):
    def shown(*options: str) -> dict:  # type: ignore[type-arg]
        done = pyrt("run", "--rm", "--dry-run", *options, "busybox", "true")
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    plain, admin = shown(), shown("--cap-add", "SYS_ADMIN")
    assert plain["spec"]["linux"]["seccomp"]["defaultErrnoRet"] == errno.ENOSYS
    assert 50 < plain["plan"]["program"]["filter"] < 300
    unconditional = [rule for rule in admin["spec"]["linux"]["seccomp"]["syscalls"] if "clone3" in rule["names"]]
    assert [rule["action"] for rule in unconditional] == ["SCMP_ACT_ALLOW"]
    open_ = shown("--security-opt", "seccomp=unconfined")
    assert "seccomp" not in open_["spec"]["linux"] and open_["plan"]["program"]["filter"] == 0


def test_a_kernel_without_filters_is_named():
    program = Program(
        argv=("true",), env=(), candidates=("true",), workdir="/", uid=0, gid=0, groups=(), bounding=0, permitted=0,
        last_capability=40,
    )  # fmt: skip
    for number in (errno.ENOSYS, errno.EINVAL):
        error = start_error("SECCOMP", number, "", program)
        assert str(error).startswith("cannot load the seccomp filter: ") and "seccomp=unconfined" in error.hint
