"""The prober (prober.c) as an image and as answers: what a process can see and do where it runs, in words that are the same on
every machine.

What this machine's root can do outside of any container (``bare``) is the measure: an answer that differs from it is a
barrier, an answer that does not is the kernel's own.
"""

from __future__ import annotations

import errno
import functools
import json
import resource
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from pyrt.runtime.capabilities import names
from tests.support import images
from tests.support.parts import need

SOURCE = Path(__file__).with_name("prober.c")
LIMITS = {"core": resource.RLIMIT_CORE, "nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC,
          "memlock": resource.RLIMIT_MEMLOCK, "stack": resource.RLIMIT_STACK}  # fmt: skip
NODES = ("null", "zero", "full", "random", "urandom", "tty")
FLAGS = ("ro", "nosuid", "nodev", "noexec")
Answers = dict[str, Any]


@functools.cache
def program() -> bytes:
    """The static program. Skips or fails the test where there is no gcc."""
    need("gcc")
    with tempfile.TemporaryDirectory() as directory:
        command = [
            "gcc",
            "-std=gnu11",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-static",
            "-s",
            "-o",
            f"{directory}/prober",
            str(SOURCE),
        ]
        subprocess.run(command, check=True, timeout=120)
        return Path(directory, "prober").read_bytes()


def image(*entries: images.Entry) -> images.BuiltImage:
    """The prober alone, as an image FROM scratch."""
    own = images.Entry(name="prober", content=program(), mode=0o755)
    folders = [images.Entry(name=name, kind="dir", mode=0o755) for name in ("etc", "tmp")]
    passwd = images.Entry(name="etc/passwd", content=images.PASSWD.encode())
    layer = images.layer(images.tar([own, *folders, passwd, *entries]))
    return images.image([layer], config={"Env": [images.PATH], "Entrypoint": ["/prober"]})


@functools.cache
def bare() -> Answers:
    """The prober's answers outside of any container, as the user who runs the tests."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "prober")
        path.write_bytes(program())
        path.chmod(0o755)
        output = subprocess.run([str(path)], check=True, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
    return parse(output.stdout)


def parse(output: bytes) -> Answers:
    """The answers; what a terminal made of the line ends is undone."""
    answers: Answers = json.loads(output.replace(b"\r\n", b"\n"))
    return answers


def word(answer: object) -> str:
    """An errno by its name, "signal N" as it is."""
    if isinstance(answer, int):
        return "works" if answer == 0 else errno.errorcode.get(answer, str(answer))
    return str(answer)


def described(answers: Answers, outside: Answers) -> Answers:
    """Everything that is said of a container, without what belongs to this machine, this run and this kernel."""
    return {
        **_identity(answers, outside),
        "capabilities": {
            kind: _capabilities(answers["status"][field], outside["status"]["CapEff"])
            for kind, field in (
                ("bounding", "CapBnd"),
                ("permitted", "CapPrm"),
                ("effective", "CapEff"),
                ("inheritable", "CapInh"),
                ("ambient", "CapAmb"),
            )
        },  # fmt: skip
        "namespaces": {
            kind: "host" if link == outside["namespaces"][kind] else "own"
            for kind, link in answers["namespaces"].items()
            if kind in outside["namespaces"]
        },
        "fds": {number: fd_kind(target) for number, target in sorted(answers["fds"].items())},
        "mounts": mounts(answers["mounts"]),
        "dev": {path: what for path, what in sorted(answers["dev"].items()) if _is_standard(path)},
        "open": {path: word(answer) for path, answer in answers["open"].items() if path.removeprefix("/dev/") in NODES},
        "mknod": " ".join(sorted(name for name, answer in answers["mknod"].items() if answer == 0)) or "refused",
        "sockets": _sockets(answers, outside),
        "acts": {name: word(answer) for name, answer in answers["acts"].items()},
        "paths": {path: path_kind(state) for path, state in answers["paths"].items()},
        "writable": {path: counts[-2] for path, counts in answers["writable"].items()},
        **{name: ranges(answers[name], outside[name]) for name in ("calls", "calls_x32", "calls_32") if name in answers},
    }


def _identity(answers: Answers, outside: Answers) -> Answers:
    status = answers["status"]
    same = ("Uid", "Gid", "Groups", "Umask", "SigBlk", "SigIgn", "SigCgt", "NoNewPrivs", "Seccomp", "NSpid")
    hostname = next((text for text in answers["environ"] if text.startswith("HOSTNAME=")), "")
    limits = {}
    for name, number in LIMITS.items():
        here = resource.getrlimit(number)
        there = answers["limits"][name]
        limits[name] = "the caller's" if tuple(there) == tuple(here) else there
    keyring = answers["session_keyring"]
    return {
        "status": {name: " ".join(status[name].split()) for name in same if name in status},
        "environ": [text if text != hostname else "HOSTNAME=..." for text in answers["environ"]],
        "limits": limits,
        "session_keyring": word(-keyring) if keyring <= 0 else _whose(keyring, outside["session_keyring"], "own"),
        "keys": len(answers["keys"]),
        "oom_score_adj": _whose(answers["oom_score_adj"], outside["oom_score_adj"], answers["oom_score_adj"]),
        "controlling_tty": word(answers["controlling_tty"]),
        **{name: answers[name] for name in ("pid", "ppid", "session", "dumpable", "cwd", "exe_self", "exe_1", "root_1")},
        "processes": len(answers["processes"]),
    }  # fmt: skip


def _whose(value: object, outside: object, other: object) -> object:
    return "the caller's" if value == outside else other


def _capabilities(mask: str, held: str) -> list[str] | str:
    bits = int(mask, 16)
    return "all that the caller has" if bits == int(held, 16) else [*names(bits)]


def fd_kind(target: object) -> str:
    """What an fd leads to, without numbers and places of the host."""
    text = str(target)
    return text.partition(":")[0] if ":[" in text else text if text.startswith("/dev/") else "file"


def mounts(lines: list[str]) -> dict[str, str]:
    """Where something is mounted, of which type and how; the masks are left out, which depend on what the machine has."""
    found = {}
    for line in lines:
        fields, _, rest = line.partition(" - ")
        place, options = fields.split()[4], fields.split()[5].split(",")
        if place.startswith(("/proc/", "/sys/")) and not place.startswith("/sys/fs/cgroup"):
            continue
        if place.startswith("/sys/fs/cgroup/"):
            continue
        kind = rest.split()[0]
        kind = "file of the host" if place.startswith("/etc/") else "root" if place == "/" else kind
        kind = "cgroup" if place == "/sys/fs/cgroup" else kind
        found[place] = " ".join([kind, *(flag for flag in FLAGS if flag in options)])
    return found


def _is_standard(path: str) -> bool:
    name = path.removeprefix("/dev/")
    return name in (*NODES, "core", "fd", "ptmx", "stdin", "stdout", "stderr", "pts", "shm", "mqueue", "console", "pts/ptmx")


def _sockets(answers: Answers, outside: Answers) -> dict[str, str]:
    """The families that are refused, and three protocols; what the machine itself lacks is left out."""
    found = {}
    for family, (inside, out) in enumerate(zip(answers["sockets"], outside["sockets"], strict=True)):
        refused = {word(a) for a, b in zip(inside, out, strict=True) if a != b}
        if refused:
            found[str(family)] = " ".join(sorted(refused))
    for name in ("audit", "icmp", "ping"):
        found[name] = word(answers[f"socket_{name}"])
    return found


def path_kind(state: Answers) -> str:
    """ "hidden" where nothing of the kernel's is to be seen, else how far it opens."""
    if "missing" in state:
        return "missing"
    if "entries" in state:
        open_to_writing = state["create"] in (0, errno.EEXIST)
        return "hidden" if state["entries"] == 0 and not open_to_writing else "writable" if open_to_writing else "read-only"
    if state.get("null"):
        return "hidden"
    return "writable" if state["write"] == 0 else "read-only" if state["read"] >= 0 else "refused"


def ranges(answers: list[object], outside: list[object]) -> dict[str, str]:
    """System calls by what becomes of them: "kernel" for the answer that the bare machine gives, else the answer."""
    groups: dict[str, list[int]] = {}
    for number, (inside, out) in enumerate(zip(answers, outside, strict=True)):
        if inside != "-":
            groups.setdefault(call_kind(inside, out), []).append(number)
    return {kind: _compact(numbers) for kind, numbers in sorted(groups.items())}


def call_kind(inside: object, outside: object) -> str:
    """What one call's answer means: refused, or the kernel's own. ENOSYS is always itself: a filter's and an old kernel's
    cannot be told apart."""
    refused = isinstance(inside, str) or inside in (errno.EPERM, errno.EACCES)
    return "ENOSYS" if inside == errno.ENOSYS else word(inside) if refused and inside != outside else "kernel"


def _compact(numbers: list[int]) -> str:
    pieces: list[list[int]] = []
    for number in numbers:
        if pieces and pieces[-1][1] == number - 1:
            pieces[-1][1] = number
        else:
            pieces.append([number, number])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in pieces)


def expand(groups: dict[str, str]) -> dict[int, str]:
    """The inverse of ``ranges``: what becomes of each number."""
    found = {}
    for kind, text in groups.items():
        for piece in text.split():
            begin, _, end = piece.partition("-")
            found.update(dict.fromkeys(range(int(begin), int(end or begin) + 1), kind))
    return found


def differences(expected: Answers, found: Answers, outside: Answers) -> list[str]:
    """What is not as it was recorded, but for what this machine lacks altogether."""
    lines = []
    for key in [*expected, *(key for key in found if key not in expected)]:
        there, here = expected.get(key), found.get(key)
        if key.startswith("calls") and isinstance(there, dict) and isinstance(here, dict):
            lines += [f"{key} {line}" for line in _calls_differ(expand(there), expand(here), outside[key])]
        elif isinstance(there, dict) and isinstance(here, dict):
            names_of_both = [*there, *(name for name in here if name not in there)]
            lines += [
                f"{key} {name}: {there.get(name)!r} was recorded, {here.get(name)!r} is found"
                for name in names_of_both
                if there.get(name) != here.get(name) and not _lacks(key, name, outside, there.get(name), here.get(name))
            ]
        elif there != here:
            lines.append(f"{key}: {there!r} was recorded, {here!r} is found")
    return lines


def _calls_differ(there: dict[int, str], here: dict[int, str], outside: list[object]) -> list[str]:
    old = {number for number, answer in enumerate(outside) if answer == errno.ENOSYS}
    return [
        f"{number}: {kind} was recorded, {here.get(number)} is found"
        for number, kind in there.items()
        if here.get(number) != kind and not (number in old and here.get(number) == "ENOSYS")
    ]


def _lacks(key: str, name: str, outside: Answers, there: object, here: object) -> bool:
    """Whether a difference is the machine's: a file, a call, a capability, a family that it does not have."""
    if key == "paths":
        return "missing" in (there, here) or "missing" in outside["paths"][name] or outside["paths"][name].get("entries") == 0
    if key == "acts":
        return outside["acts"][name] != 0
    if key == "mounts":
        return name in ("/dev/mqueue", "/sys/fs/cgroup") and here is None
    if key == "sockets":
        family = outside["sockets"][int(name)] if name.isdigit() else [outside[f"socket_{name}"]]
        return 0 not in family
    if key == "capabilities" and isinstance(there, list) and isinstance(here, list):
        held = names(int(outside["status"]["CapEff"], 16))
        return [one for one in there if one in held] == here
    return False
