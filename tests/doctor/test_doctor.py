"""``pyrt doctor`` as it is typed: in places made for real with what every machine has, and as a reader sees it."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pyrt._native.userns import PROGRAM
from pyrt.apparmor_userns import profile
from pyrt.cli.doctor import _report
from pyrt.host import Host
from pyrt.machine import Machine
from pyrt.obstacles import IDS, PROC, find
from pyrt.remedies import CONTEXT, OWN_USERS
from pyrt.values import replace
from tests.cli.conftest import REPOSITORY
from tests.doctor.places import CONTAINER_ROOT, DOCKER, MACHINE, POD, REFUSED, ROOT, USER, steps
from tests.support.parts import missing, need

DOCTOR = f"exec {sys.executable} -m pyrt --root \"$STORE\" doctor"


def doctor(tmp_path: Path, script: str, *words: str) -> tuple[int, dict[str, object]]:
    """The answer in a place that a shell makes: exit code, and the JSON."""
    argv = ["unshare", *words, "sh", "-ec", f"{script}\n{DOCTOR} --format json"]
    environ = {**os.environ, "STORE": f"{tmp_path}/store"}
    done = subprocess.run(argv, env=environ, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    answer: dict[str, object] = json.loads(done.stdout)
    return done.returncode, answer


def obstacles(answer: dict[str, object]) -> list[tuple[str, list[str]]]:
    found = answer["Obstacles"]
    assert isinstance(found, list)
    return [(each["Raises"], each["Lines"]) for each in found]


@pytest.mark.usefixtures("user_namespaces")
def test_in_a_bare_user_namespace(tmp_path: Path) -> None:
    code, answer = doctor(tmp_path, "", "-Ur")
    assert (code, answer["Starts"], answer["Rung"], answer["Ids"]) == (0, True, "userns", "single")
    assert obstacles(answer) == [(IDS, ["unshare --map-root-user --map-auto"])]


@pytest.mark.usefixtures("user_namespaces")
def test_where_no_more_user_namespaces_are_allowed(tmp_path: Path) -> None:
    code, answer = doctor(tmp_path, "echo 0 > /proc/sys/user/max_user_namespaces", "-Ur")
    assert (code, answer["Rung"], answer["Ids"]) == (0, "chroot", "")
    assert obstacles(answer) == [("userns", ["sysctl -w user.max_user_namespaces=28633"])]


@pytest.mark.usefixtures("user_namespaces")
def test_where_nothing_starts(tmp_path: Path) -> None:
    """Somebody who is not root, and the limit is used up by the namespace that he is in."""
    script = "echo 1 > /proc/sys/user/max_user_namespaces; exec unshare -U --map-user=1000 --map-group=1000 sh -ec \"$0\""
    argv = ["unshare", "-Ur", "sh", "-ec", script, f"{DOCTOR} --format json"]
    environ = {**os.environ, "STORE": f"{tmp_path}/store"}
    done = subprocess.run(argv, env=environ, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["Starts"], answer["Rung"]) == (1, False, "none")
    assert [raises for raises, _ in obstacles(answer)] == ["userns", "full"]


@pytest.mark.usefixtures("user_namespaces")
def test_a_run_where_nothing_starts_says_what_to_type(tmp_path: Path) -> None:
    """The exact cause and the line that would change it, in one line."""
    script = "echo 1 > /proc/sys/user/max_user_namespaces; exec unshare -U --map-user=1000 --map-group=1000 sh -ec \"$0\""
    run = f"exec {sys.executable} -m pyrt --root {tmp_path}/store run --pull never busybox true"
    done = subprocess.run(["unshare", "-Ur", "sh", "-ec", script, run], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == (
        "pyrt: starting a container: uid 1000 is not root; user namespace: unshare: No space left on device; "
        "No further user namespaces are allowed in this place: sysctl -w user.max_user_namespaces=28633; "
        "pyrt doctor says more\n"
    )


@pytest.mark.usefixtures("user_namespaces")
def test_where_parts_of_proc_are_hidden(tmp_path: Path) -> None:
    """Mounts of another, more powerful namespace cannot be taken off, and a fresh procfs would show what is below."""
    script = "mount -t tmpfs none /proc/sys/kernel/random; exec unshare -Urm sh -ec \"$0\""
    argv = ["unshare", "-m", "sh", "-ec", script, f"{DOCTOR} --format json"]
    environ = {**os.environ, "STORE": f"{tmp_path}/store"}
    done = subprocess.run(argv, env=environ, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    answer = json.loads(done.stdout)
    assert [raises for raises, _ in obstacles(answer)] == [IDS, PROC]
    assert "(/proc/sys/kernel/random)" in answer["Obstacles"][1]["Why"]


def test_under_a_filter(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "tests.support.enosys", "unshare", "--"]
    argv += [sys.executable, "-m", "pyrt", "--root", f"{tmp_path}/store", "doctor", "-f", "{{json .}}"]
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    answer = json.loads(done.stdout)
    assert answer["Rung"] == ("chroot" if os.geteuid() == 0 else "none")
    assert obstacles(answer)[0][1][-1] == "RestrictNamespaces=no"


DOCKERS_CAPABILITIES = [
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID"),
    *("CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"),
]
MASKED = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"]
FORBIDDEN = ["unshare", "setns", "mount", "umount2", "pivot_root"]


def in_runc(tmp_path: Path, *, seccomp: bool, environ: tuple[str, ...]) -> tuple[int, dict[str, object]]:
    """``pyrt doctor`` in a container of runc as docker and Kubernetes start them, on this machine's own files."""
    need("runc")
    if os.geteuid() != 0:
        missing("runc makes this place as root")
    fstab = [("/proc", "proc"), ("/dev", "tmpfs"), ("/sys", "sysfs")]
    flags = ["nosuid", "noexec", "nodev"]
    capabilities = dict.fromkeys(("bounding", "effective", "permitted"), DOCKERS_CAPABILITIES)
    forbidden = {"names": FORBIDDEN, "action": "SCMP_ACT_ERRNO"}
    document = {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["sh", "-c", f"{DOCTOR} --format json"],
            "env": [f"PATH={os.environ['PATH']}", f"STORE={tmp_path}/store", f"PYTHONPATH={REPOSITORY}", *environ],
            "cwd": str(REPOSITORY),
            "capabilities": capabilities,
        },
        "root": {"path": str(tmp_path / "root")},
        "mounts": [
            {"destination": place, "type": kind, "source": kind, "options": flags if kind != "tmpfs" else ["nosuid"]}
            for place, kind in fstab
        ]
        + [{"destination": "/etc/hosts", "type": "bind", "source": "/etc/hosts", "options": ["bind"]}],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")],
            "maskedPaths": MASKED,
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
            **({"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [forbidden]}} if seccomp else {}),
        },
    }
    (tmp_path / "root").mkdir()
    (tmp_path / "config.json").write_text(json.dumps(document))
    script = f"mount --bind / root && exec runc --root {tmp_path}/state run pyrt-test-{os.getpid()}"
    done = subprocess.run(["unshare", "-m", "sh", "-ec", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_in_a_pod_without_a_filter(tmp_path: Path) -> None:
    """The place of most pods: everything but a fresh /proc."""
    code, answer = in_runc(tmp_path, seccomp=False, environ=("KUBERNETES_SERVICE_HOST=127.0.0.1",))
    assert (code, answer["Rung"], answer["Ids"]) == (0, "userns", "direct")
    assert obstacles(answer) == [(PROC, [OWN_USERS, CONTEXT, "  procMount: Unmasked"])]


def test_in_a_container_with_a_filter(tmp_path: Path) -> None:
    """The place that docker makes for root by default."""
    code, answer = in_runc(tmp_path, seccomp=True, environ=())
    assert (code, answer["Rung"]) == (0, "chroot")
    assert [lines[0] for _, lines in obstacles(answer)] == [
        "docker run --security-opt seccomp=unconfined ...",
        "docker run --security-opt systempaths=unconfined ...",
    ]


PLACES = [
    (ROOT, MACHINE),
    (USER, replace(MACHINE, subordinate_users=())),
    (replace(USER, steps=steps(proc=errno.EPERM, overlay=errno.EINVAL)), replace(MACHINE, subordinate_users=(), ids=7)),
    (REFUSED, replace(MACHINE, max_user_namespaces=0, unprivileged_userns_clone=0, apparmor_restricts=1)),
    (CONTAINER_ROOT, DOCKER),
    (CONTAINER_ROOT, replace(POD, seccomp=True)),
    (replace(CONTAINER_ROOT, rung="none"), DOCKER),
]


@pytest.mark.parametrize(("host", "machine"), PLACES)
def test_it_reads_well_in_80_columns(host: Host, machine: Machine) -> None:
    found = find(host, machine)
    text = [*_report(host, found)]
    typed = {line for obstacle in found for line in obstacle.remedy.lines}
    assert max(len(line) for line in text if line.strip() not in {line.strip() for line in typed}) < 80
    assert all(f"    {line}" in text for line in typed)
    assert [line for line in text if line.endswith(" ")] == []
    assert "\n\n\n" not in "\n".join(text)
    assert ("Nothing holds this place back." in text) is (not found)


def test_causes_of_one_gain_are_told_together() -> None:
    text = "\n".join(_report(CONTAINER_ROOT, find(CONTAINER_ROOT, DOCKER)))
    assert "3 things hold this place back, and the first gains most:" in text
    assert text.count("With 1 and 2 done: ") == 1
    assert text.count("Then: ") == 1


def test_the_words_for_one_place() -> None:
    machine = replace(MACHINE, subordinate_users=(), subordinate_groups=())
    assert "\n".join(_report(USER, find(USER, machine))) == """\
Containers start here, and are shut in: root in them is nobody special outside.
(The rung is 'userns'.)

One thing holds this place back:

1. No user ids are set aside for the containers of user ann.
   Containers have one user here, whatever names their image has: root in a
   container is you, and so is everybody else there. Most programs do not mind.

   Somebody who may use sudo types:

    sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ann

   Then: Every user of an image is a user of its own, as on a real machine:
   servers that give up root work, and programs that look at who owns a file."""


def test_the_profile_names_the_program_where_it_is(tmp_path: Path) -> None:
    text = profile()
    assert f'profile pyrt-userns "{os.path.realpath(PROGRAM)}" flags=(unconfined) {{\n  userns,\n' in text
    assert "abi <abi/4.0>," in text
    assert os.access(PROGRAM, os.X_OK)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "re al*")
    assert f'profile pyrt-userns "{tmp_path}/re al\\*" ' in profile(str(link))


def test_the_profile_is_one_for_the_parser(tmp_path: Path) -> None:
    """A parser that is older than the rule (4.0) reads the rest of it; a path as strange as can be is one path."""
    need("apparmor_parser")
    text = profile("/opt/a b/{x}*[y]\"?^/@{HOME}/pyrt-userns")
    if not os.path.exists("/etc/apparmor.d/abi/4.0"):
        text = re.sub(r"abi <abi/4.0>,|  userns,", "", text)
    argv = ["apparmor_parser", "--names", "--skip-kernel-load", "--skip-cache"]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, cwd="/")
    assert (done.returncode, done.stdout) == (0, "pyrt-userns\n"), done.stderr


def test_mistakes(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "pyrt", "--root", f"{tmp_path}/store", "doctor", "--apparmor"]
    done = subprocess.run([*argv, "--format", "json"], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "pyrt: --apparmor and --format exclude each other\n"
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, profile())
    assert not (tmp_path / "store").exists()
