"""A place where pyrt runs: how it is made, how a command is run there, and what pyrt is expected to be there."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

# The distribution's own: every user of this machine has it, and the images made of the same distribution have the same.
PYTHON = "/usr/bin/python3"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# With one id, setgroups(2) is denied for good (user_namespaces(7)).
OWN_GROUPS = frozenset({"own groups"})
# Where parts of /proc are hidden (mount_too_revealing() in the kernel's fs/namespace.c).
OWN_PROC = frozenset({"own /proc"})
# By chroot alone: only what a process can give up by itself is left.
NO_NAMESPACES = OWN_PROC | {
    "pid namespace", "mount namespace", "uts namespace", "ipc namespace", "cgroup namespace", "masked paths", "read-only paths",
    "root directory",
}  # fmt: skip
IDS = frozenset({"user ids"})  # what pyrt doctor raises


@dataclass(frozen=True, kw_only=True)
class Expected:
    """``rung`` is pyrt's in this place. ``ids`` says which users a container has: "all" of the image, or "one". ``off`` are
    barriers that are on elsewhere by default. ``refused`` is what the refusal has to say where there is no rung;
    ``raised`` is what ``pyrt doctor`` knows a line for."""

    rung: str
    ids: str = "all"
    off: frozenset[str] = frozenset()
    refused: str = ""
    raised: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Shelf:
    """A directory that everybody on this machine may read, with the same path in every place: ``site`` (this checkout and what
    it depends on, for PYTHONPATH), ``base`` (the root of a distribution with Python, also as ``base.tar``) and ``images``
    (OCI layouts: busybox, software)."""

    root: Path

    @property
    def site(self) -> Path:
        return self.root / "site"

    @property
    def base(self) -> Path:
        return self.root / "base"

    @property
    def base_tar(self) -> Path:
        return self.root / "base.tar"

    def image(self, name: str) -> Path:
        return self.root / "images" / name

    def agent(self, channel: Path | str) -> list[str]:
        """The command line that a place has to run for as long as it is open."""
        return [PYTHON, "-B", str(self.root / "agent.py"), str(channel)]


@dataclass
class Inside:
    """An open place. ``home`` is a directory there that is the user's own; ``environment`` what every command sees. ``network``
    says whether package servers are reached, ``slow`` how many times longer things take than here."""

    channel: Path
    home: str
    environment: Mapping[str, str] = field(default_factory=dict)
    network: bool = True
    slow: int = 1
    _count: int = 0

    def run(
        self, *argv: str, env: Mapping[str, str] | None = None, input: str = "", timeout: float = 120, cwd: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the place; its exit code is in the answer. Raises AssertionError where it could not be run."""
        request = {
            "argv": argv,
            "env": {"PATH": PATH, "HOME": self.home, "LC_ALL": "C.UTF-8", **self.environment, **(env or {})},
            "input": input,
            "timeout": timeout * self.slow,
            "cwd": cwd or self.home,
        }
        number, self._count = self._count, self._count + 1
        unfinished = self.channel / "request.new"
        unfinished.write_text(json.dumps(request))
        unfinished.rename(self.channel / f"request-{number}")
        answer = self.wait(f"reply-{number}", timeout * self.slow + 10)
        assert "error" not in answer, f"{argv}: {answer['error']}"
        return subprocess.CompletedProcess(argv, answer["returncode"], answer["stdout"], answer["stderr"])  # type: ignore[arg-type]

    def check(self, *argv: str, **options: object) -> str:
        """Standard output of a command that has to succeed."""
        done = self.run(*argv, **options)  # type: ignore[arg-type]
        assert done.returncode == 0, done
        return done.stdout

    def pyrt(self, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
        """The command line of this checkout."""
        return self.run(PYTHON, "-m", "pyrt", *words, **options)  # type: ignore[arg-type]

    def wait(self, name: str, seconds: float) -> dict[str, object]:
        deadline = time.monotonic() + seconds
        while not (self.channel / name).exists():
            assert time.monotonic() < deadline, f"{self.channel}: no {name} after {seconds:.0f} s"
            time.sleep(0.01)
        answer: dict[str, object] = json.loads((self.channel / name).read_text())
        return answer


Open = Callable[[Shelf, Path], AbstractContextManager[Inside]]


@dataclass(frozen=True, kw_only=True)
class Place:
    """``about`` says in one sentence what the place is. ``open`` makes it, below the empty directory that it is given,
    and takes it down again."""

    name: str
    about: str
    expected: Expected
    open: Open


def make_channel(work: Path) -> Path:
    """The directory of requests and answers: whoever the place runs as writes there."""
    channel = work / "channel"
    channel.mkdir()
    channel.chmod(0o777)
    return channel


def make_home(work: Path, uid: int = 0) -> Path:
    """A home directory of the user's own."""
    home = work / "home"
    home.mkdir(mode=0o700)
    os.chown(home, uid, uid)
    return home


@contextmanager
def serving(
    argv: list[str],
    inside: Inside,
    shelf: Shelf,
    work: Path,
    *,
    env: Mapping[str, str] | None = None,
    up: Callable[[], bool] | None = None,
    seconds: float = 60,
    cwd: Path = Path("/"),
) -> Iterator[Inside]:
    """Runs ``argv``, which ends in the agent's command line, for as long as the context lasts. ``up`` says that the agent is
    there, where that is not told by the channel."""
    up = up or (inside.channel / "ready").exists
    inside.environment = {"PYTHONPATH": str(shelf.site), "PYTHONDONTWRITEBYTECODE": "1", **inside.environment}
    log = work / "log"
    with log.open("wb") as out:
        given = {"PATH": PATH} if env is None else env
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=given, cwd=cwd)
    try:
        deadline = time.monotonic() + seconds
        while not up():
            assert process.poll() is None, f"{argv[0]} ended: {log.read_text(errors='replace')}"
            assert time.monotonic() < deadline, f"{argv[0]} is not up: {log.read_text(errors='replace')}"
            time.sleep(0.02)
        yield inside
    finally:
        with suppress(OSError):
            (inside.channel / "stop").touch()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def left_behind(work: Path) -> list[str]:
    """Processes, mounts and control groups of this machine that have to do with ``work``, the directory of a closed place."""
    found = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(work) in line]
    for process in Path("/proc").glob("[1-9]*"):
        if process.name == str(os.getpid()):
            continue
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(work) in words or str(work) in os.readlink(process / "cwd") or str(work) in os.readlink(process / "root"):
                found.append(f"process {process.name}: {words}")
    for directory, folders, _ in os.walk("/sys/fs/cgroup"):
        found += [f"{directory}/{folder}" for folder in folders if cgroup_name(work) in folder]
    return found


def cgroup_name(work: Path) -> str:
    """What a place calls its control groups."""
    return f"{work.parent.name}-{work.name}"
