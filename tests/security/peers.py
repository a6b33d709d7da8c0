"""The prober under docker, podman, crun and runc: recorded in peers.json, compared by test_peers.py, and shown beside ours in
docs/security.md.

``python -m tests.security.peers record`` runs those of them that are installed (docker's daemon is started on a data root of
its own, without bridge and iptables, and ended) and records their answers; ``python -m tests.security.peers table`` writes
the table there from what is recorded, and needs none of them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.security import golden
from tests.support import images, prober

RECORDED = Path(__file__).with_name("peers.json")
PAGE = Path(__file__).parents[2] / "docs" / "security.md"
HEADING = "## Beside docker and podman\n"  # the last of the page
MODE = "no-network"  # the peers are run with --network none, because this is the one that every machine has
KEPT = ("status", "capabilities", "namespaces", "fds", "mounts", "dev", "mknod", "sockets", "acts", "paths", "writable",
        "calls", "calls_x32", "calls_32", "session_keyring", "limits")  # fmt: skip

# Where ours is weaker than a peer's, and why that is right: (peer or "*", barrier, reason).
_NEWER = "newer than the profile that was recorded; the current ones of docker and podman let it through, as ours"
_EXAMPLE = "the example configuration of the runtime specification is for one shell, not for images whose programs change users"
EXCEPTIONS: tuple[tuple[str, str, str], ...] = (
    ("podman", "calls: 449", f"futex_waitv: {_NEWER}"),
    *(("*", f"calls: {number}", f"{name}: {_NEWER}") for number, name in (
        (451, "cachestat"), (452, "fchmodat2"), (454, "futex_wake"), (455, "futex_wait"), (456, "futex_requeue"),
        (457, "statmount"), (458, "listmount"), (462, "mseal"), (463, "setxattrat"), (464, "getxattrat"), (465, "listxattrat"),
        (466, "removexattrat"),
    )),
    ("docker", "calls: 303", "name_to_handle_at: what opens a handle is refused; docker allows it now"),
    ("docker", "calls: 310", "process_vm_readv is bound by ptrace's rules since Linux 4.8; docker allows it now"),
    ("docker", "calls: 311", "process_vm_writev is bound by ptrace's rules since Linux 4.8; docker allows it now"),
    *(("docker", f"calls: {number}", f"{name}: memory protection keys of the process itself; docker allows it now")
      for number, name in ((329, "pkey_mprotect"), (330, "pkey_alloc"), (331, "pkey_free"))),
    ("podman", "calls: 278", "vmsplice: docker allows it, and programs that move data through pipes use it"),
    ("podman", "calls: 333", "io_pgetevents: docker allows it; databases read with it"),
    *((peer, what, _EXAMPLE) for peer in ("crun", "runc")
      for what in ("capability *", "act: chroot", "calls: 116", "no_new_privs")),
)  # fmt: skip


def recorded() -> dict[str, dict[str, prober.Answers]]:
    """peer -> {"version": ..., "answers": what prober.described() says}."""
    found: dict[str, dict[str, prober.Answers]] = json.loads(RECORDED.read_text())
    return found


def ours() -> prober.Answers:
    """What is recorded of pyrt."""
    answers: prober.Answers = json.loads(golden.path(MODE).read_text())
    return answers


def _run(*argv: str, **options: object) -> bytes:
    return subprocess.run([*argv], check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=300, **options).stdout  # type: ignore[call-overload,no-any-return]


def _unified(*argv: str, **options: object) -> bytes:
    """The same where /sys/fs/cgroup is a cgroup2, because crun refuses a machine that has both versions."""
    unified = "[ -e /sys/fs/cgroup/cgroup.controllers ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup"
    script = f'mount --make-rprivate / && {{ {unified}; }}; exec "$@"'
    return _run("unshare", "--mount", "sh", "-c", script, "sh", *argv, **options)


def _version(*argv: str) -> str:
    return _run(*argv).decode().splitlines()[0]


@contextmanager
def _docker_daemon(place: str) -> Iterator[tuple[str, ...]]:
    argv = ["dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false", "--data-root", f"{place}/data", "--exec-root",
            f"{place}/exec", "--host", f"unix://{place}/socket", "--pidfile", f"{place}/pid"]  # fmt: skip
    with open(f"{place}/log", "wb") as log:
        daemon = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        for _ in range(200):
            if os.path.exists(f"{place}/socket"):
                break
            time.sleep(0.1)
        yield ("docker", "--host", f"unix://{place}/socket")
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)


def _docker(place: str, archive: str, _rootfs: str) -> tuple[str, bytes]:
    with _docker_daemon(place) as docker:
        _run(*docker, "load", "-q", "-i", archive)
        version = "docker version " + _run(*docker, "version", "--format", "{{.Server.Version}}").decode().strip()
        return version, _run(*docker, "run", "--rm", "--network", "none", "prober:latest")


def _podman(place: str, archive: str, _rootfs: str) -> tuple[str, bytes]:
    podman = ("podman", "--root", f"{place}/root", "--runroot", f"{place}/run", "--cgroup-manager", "cgroupfs")
    _run(*podman, "load", "-q", "-i", archive)
    # Its own default limits are higher than what root may set where CAP_SYS_RESOURCE is missing.
    options = ("--rm", "--network", "none", "--cgroups=disabled", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000")
    return _version("podman", "--version"), _unified(*podman, "run", *options, "prober:latest")


def _runtime(program: str) -> Callable[[str, str, str], tuple[str, bytes]]:
    """A low-level runtime with the configuration that it writes itself as an example."""

    def start(place: str, _archive: str, rootfs: str) -> tuple[str, bytes]:
        _run(program, "spec", cwd=place)
        path = Path(place, "config.json")
        spec = json.loads(path.read_text())
        spec["process"].update({"terminal": False, "args": ["/prober"]})
        spec["root"] = {"path": rootfs, "readonly": True}
        path.write_text(json.dumps(spec))
        manager = ("--cgroup-manager=disabled",) if program == "crun" else ()
        return _version(program, "--version"), _unified(program, *manager, "run", f"prober-{os.getpid()}", cwd=place)

    return start


PEERS: dict[str, Callable[[str, str, str], tuple[str, bytes]]] = {
    "docker": _docker, "podman": _podman, "crun": _runtime("crun"), "runc": _runtime("runc"),
}  # fmt: skip


def _record() -> None:
    found = recorded() if RECORDED.exists() else {}
    for name, start in PEERS.items():
        if shutil.which("dockerd" if name == "docker" else name) is None:
            print(f"{name}: not installed, what is recorded stays", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
            layout, archive, rootfs = f"{place}/layout", f"{place}/archive.tar", f"{place}/rootfs"
            images.write_layout(layout, {"prober": prober.image()})
            _run("skopeo", "copy", "--quiet", f"oci:{layout}:prober", f"docker-archive:{archive}:prober:latest")
            for folder in ("proc", "sys", "dev", "etc", "tmp"):
                os.makedirs(f"{rootfs}/{folder}")
            Path(rootfs, "prober").write_bytes(prober.program())
            Path(rootfs, "prober").chmod(0o755)
            version, output = start(place, archive, rootfs)
        answers = prober.described(prober.parse(output), prober.bare())
        kept = {key: answers[key] for key in KEPT if key in answers}
        kept["status"] = {key: kept["status"][key] for key in ("NoNewPrivs", "Seccomp")}
        kept["dev"] = {path: what for path, what in kept["dev"].items() if what[:1] in "cb"}
        found[name] = {"version": version, "answers": kept}  # type: ignore[dict-item]
        print(name, version)
    RECORDED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


# ---- comparison


def weaker(mine: prober.Answers, theirs: prober.Answers) -> list[str]:
    """The barriers at which ``mine`` lets through what ``theirs`` does not, each as one text."""
    found = []
    for kind in ("bounding", "permitted", "effective", "inheritable", "ambient"):
        found += [
            f"capability {name} ({kind})" for name in mine["capabilities"][kind] if name not in theirs["capabilities"][kind]
        ]
    found += [
        f"{kind} namespace" for kind, whose in theirs["namespaces"].items() if whose == "own" != mine["namespaces"].get(kind)
    ]
    found += [
        f"act: {name}" for name, answer in theirs["acts"].items() if answer != "works" and mine["acts"].get(name) == "works"
    ]
    for table in ("calls", "calls_x32", "calls_32"):
        here, there = prober.expand(mine[table]), prober.expand(theirs[table])
        found += [f"{table}: {n}" for n, kind in there.items() if kind != "kernel" and here.get(n) == "kernel"]
    for family, answer in theirs["sockets"].items():
        if answer != "works" and mine["sockets"].get(family, "works" if not family.isdigit() else "") in ("works", ""):
            found.append(f"socket {family}")
    order = ("missing", "hidden", "refused", "read-only", "writable")
    found += [
        f"path {path}"
        for path, state in theirs["paths"].items()
        if "missing" not in (state, mine["paths"][path]) and order.index(mine["paths"][path]) > order.index(state)
    ]
    found += [f"writable below {path}" for path, count in theirs["writable"].items() if mine["writable"][path] > count]
    found += [f"device {path}" for path in mine["dev"] if mine["dev"][path][0] in "cb" and path not in theirs["dev"]]
    for place, how in theirs["mounts"].items():
        if place in mine["mounts"]:
            found += [
                f"mount {place} without {flag}"
                for flag in how.split()[1:]
                if flag in prober.FLAGS and flag not in mine["mounts"][place]
            ]
    found += ["mknod"] if mine["mknod"] != "refused" == theirs["mknod"] else []
    found += ["no_new_privs"] if int(theirs["status"]["NoNewPrivs"]) > int(mine["status"]["NoNewPrivs"]) else []
    found += ["seccomp"] if int(theirs["status"]["Seccomp"]) > int(mine["status"]["Seccomp"]) else []
    return found + [f"fd {number}" for number in mine["fds"] if number not in theirs["fds"]]


def unexplained(peer: str, barriers: list[str]) -> list[str]:
    """Those that no exception covers; an exception ends in ``*`` where it means every barrier that begins so."""
    return [
        barrier
        for barrier in barriers
        if not any(
            who in ("*", peer) and (barrier == what or (what.endswith("*") and barrier.startswith(what[:-1])))
            for who, what, _ in EXCEPTIONS
        )
    ]


# ---- the page


def _count(answers: prober.Answers, table: str) -> str:
    calls = prober.expand(answers[table])
    return f"{sum(kind != 'kernel' for kind in calls.values())} of {len(calls)}"


def _flags(answers: prober.Answers, place: str) -> str:
    how = answers["mounts"].get(place)
    return "-" if how is None else ", ".join(word for word in how.split() if word in prober.FLAGS) or "none"


def _rows() -> Iterator[tuple[str, Callable[[prober.Answers], str]]]:
    yield "capabilities of root", lambda a: " ".join(name[4:].lower() for name in a["capabilities"]["effective"]) or "none"
    yield (
        "inheritable, ambient",
        lambda a: str(len(a["capabilities"]["inheritable"]) + len(a["capabilities"]["ambient"]) or "none"),
    )
    yield "no_new_privs", lambda a: "on" if a["status"]["NoNewPrivs"] == "1" else "off"
    yield "seccomp", lambda a: "filter" if a["status"]["Seccomp"] == "2" else "off"
    yield "system calls refused, of 0-600", lambda a: _count(a, "calls")
    yield "by int 0x80 (32 bit)", lambda a: _count(a, "calls_32")
    yield "by x32 numbers", lambda a: _count(a, "calls_x32")
    for act in ("unshare user", "clone3", "mount tmpfs", "keyctl", "io_uring_setup", "userfaultfd", "bpf", "perf_event_open",
                "open_by_handle_at", "ptrace", "syslog", "clock_settime", "chroot", "lower oom_score_adj"):  # fmt: skip
        yield act, lambda a, act=act: str(a["acts"][act])  # type: ignore[misc]
    for family, name in (("38", "AF_ALG"), ("40", "AF_VSOCK"), ("audit", "NETLINK_AUDIT"), ("icmp", "raw IP socket")):
        yield f"socket {name}", lambda a, family=family: a["sockets"].get(family, "works")  # type: ignore[misc]
    yield "mknod of a device, opened", lambda a: str(a["mknod"])
    yield "device nodes", lambda a: " ".join(sorted(path[5:] for path, what in a["dev"].items() if what[0] in "cb"))
    for path in ("/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sys", "/proc/irq",
                 "/proc/bus", "/proc/fs", "/proc/sysrq-trigger", "/sys", "/sys/firmware", "/sys/fs/cgroup"):  # fmt: skip
        yield path, lambda a, path=path: str(a["paths"][path])  # type: ignore[misc]
    yield (
        "files that open for writing below /proc/sys and /sys",
        lambda a: str(a["writable"]["/proc/sys"] + a["writable"]["/sys"]),
    )
    for place in ("/", "/proc", "/dev", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"):
        yield f"mount {place}", lambda a, place=place: _flags(a, place)  # type: ignore[misc]
    yield "own namespaces", lambda a: " ".join(kind for kind, whose in a["namespaces"].items() if whose == "own")
    yield "keyctl of the session keyring", lambda a: str(a["session_keyring"])
    yield (
        "RLIMIT_CORE",
        lambda a: "1 (no helper of the host)" if a["limits"]["core"] == [1, 1] else "the caller's or the daemon's",
    )


def table() -> str:
    """The end of the page: each barrier, and what each engine answers by default, with a network of the container's own."""
    peers = recorded()
    columns = {"pyrt": ours(), **{name: peers[name]["answers"] for name in PEERS}}
    versions = ", ".join(str(peers[name]["version"]) for name in PEERS)
    lines = [
        HEADING,
        "Generated by `python -m tests.security.peers table` from what the prober (tests/support/prober.c) found as root in a",
        "container with default options and `--network none`; do not edit.",
        "",
        f"{versions}, on {golden.DIRECTORY.name} without a security module. crun and runc are run with the configuration that",
        'they write themselves as an example. "missing" is a file that the recording kernel does not have; "works" means that',
        "the kernel did it.",
        "",
        "| barrier | " + " | ".join(columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for name, show in _rows():
        lines.append(f"| {name} | " + " | ".join(show(answers) for answers in columns.values()) + " |")
    if EXCEPTIONS:
        lines += ["", "Where another one is stronger, and why:", ""]
        lines += [f"- {'every peer' if who == '*' else who}, {what}: {why}" for who, what, why in EXCEPTIONS]
    return "\n".join(lines) + "\n"


def page() -> str:
    """The whole page with the table as it has to be."""
    before, _, _ = PAGE.read_text().partition(HEADING)
    return before + table()


if __name__ == "__main__":
    {"record": _record, "table": lambda: PAGE.write_text(page())}[sys.argv[1]]()
