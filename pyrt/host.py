"""What this machine and this process can do. The rest of the code asks these values, never the environment."""

from __future__ import annotations

import os
from functools import lru_cache

from pyrt.errors import PrivilegeError
from pyrt.ids import Ids
from pyrt.values import dataclass

CHOWN, SETGID, SETUID, SYS_ADMIN, MKNOD = 0, 6, 7, 21, 27  # capabilities(7)

FULL, USERNS, CHROOT, NONE = "full", "userns", "chroot", "none"  # the rungs, from the best one down (ARCHITECTURE.md)
DOCTOR = "pyrt doctor says what would change that"
RUNGS = (FULL, USERNS, CHROOT)

_FIRST = 0xEFFFFFFD  # PROC_USER_INIT_INO, linux/proc_ns.h
_entered: list[bool] = []
_FREE = ("", "unconfined", "kernel")  # what attr/current says of a process that no profile confines


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Facts about the calling process and its kernel, and the rung of the isolation ladder that it stands on.

    ``capabilities`` is the effective set, ``last_capability`` the highest number that this kernel knows. ``initial``: in the
    kernel's first user namespace; ``alone``: in one with a single id. ``sandboxed``: somebody's seccomp filter or security
    profile is in force already; ``no_new_privileges``: set-user-id programs give us nothing. On the rung "userns", ``ids``
    are those of a container's user namespace, and ``steps`` what csrc/userns.c found: the errno of each step by its name, 0
    where it works. ``refused`` says for each rung above this one why it is not to be had.
    """

    uid: int
    gid: int
    capabilities: int
    last_capability: int
    initial: bool = True
    alone: bool = False
    sandboxed: bool = False
    no_new_privileges: bool = False
    rung: str = FULL
    ids: Ids | None = None
    steps: tuple[tuple[str, int], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    entered: bool = False  # we are in the containers' user namespace ourselves: the worker

    @staticmethod
    def enter() -> None:
        """From now on this process is a worker, in the containers' user namespace (pyrt.worker)."""
        _entered.append(True)

    @classmethod
    def probe(cls, proc: str = "/proc") -> Host:
        """The facts alone: proc_pid_status(5), user_namespaces(7). ``pyrt.ladder`` finds the rung. Raises PrivilegeError where
        there is no procfs: no container starts without it."""
        status = _read(f"{proc}/self/status")
        if not status:
            raise PrivilegeError(f"{proc}: no procfs is mounted there", hint="mount -t proc proc /proc")
        initial, alone = _namespace(proc, _user_namespace(proc))
        return cls(
            uid=os.geteuid(),
            gid=os.getegid(),
            capabilities=int(_field(status, "CapEff") or "0", 16),
            last_capability=_last_capability(proc),
            entered=bool(_entered),
            initial=initial,
            alone=alone,
            sandboxed=_field(status, "Seccomp") not in ("", "0") or _label(proc) not in _FREE,
            no_new_privileges=_field(status, "NoNewPrivs") == "1",
        )

    def step(self, name: str) -> int:
        """The errno of a step of the probe, 0 where it works, or where nothing had to be probed."""
        return dict(self.steps).get(name, 0)

    @property
    def held(self) -> int:
        """The capabilities that a container may be given (bits): all, where the user namespace is its own."""
        return (1 << self.last_capability + 1) - 1 if self.rung == USERNS else self.capabilities

    def is_mapped_alone(self) -> bool:
        """Whether a container has no other ids than one user and one group."""
        return self.ids is not None and self.ids.is_single

    @staticmethod
    def available_memory(proc: str = "/proc") -> int:
        """Bytes that can be had without swapping: MemAvailable of proc_meminfo(5), 0 where that is not known."""
        lines = _read(f"{proc}/meminfo").splitlines()
        return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), 0)

    @staticmethod
    def kernel() -> tuple[str, tuple[int, int]]:
        """The machine's name and the kernel's version, major and minor: uname(2)."""
        names = os.uname()
        major, _, rest = names.release.partition(".")
        minor = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        return names.machine, (int(major), int(minor or "0"))

    def holds(self, capability: int) -> bool:
        """Whether the effective set has this bit."""
        return bool(self.capabilities >> capability & 1)

    def require(self) -> None:
        """Raises PrivilegeError where no container can be started, and says why."""
        if self.rung == NONE:
            why = "; ".join(dict.fromkeys(reason for _, reason in self.refused))
            raise PrivilegeError(f"starting a container: {why}", hint=DOCTOR)


def _field(status: str, name: str) -> str:
    """One line of proc_pid_status(5), "" where this kernel has none."""
    begin = status.find(f"\n{name}:")
    return status[begin + len(name) + 2 : status.find("\n", begin + 1)].strip() if begin >= 0 else ""


def _user_namespace(proc: str) -> int:
    """Its inode, the kernel's first one's where there are no user namespaces."""
    try:
        return os.stat(f"{proc}/self/ns/user").st_ino
    except OSError:
        return _FIRST


@lru_cache(maxsize=4)
def _namespace(proc: str, inode: int) -> tuple[bool, bool]:
    """Whether this user namespace is the kernel's first one, and whether it has a single id. The first has the same number on
    every machine; another one may map all ids too."""
    uid_map = _read(f"{proc}/self/uid_map").split()
    return uid_map in ([], ["0", "0", str(2**32 - 1)]) and inode == _FIRST, len(uid_map) == 3 and uid_map[2] == "1"


@lru_cache(maxsize=4)
def _label(proc: str) -> str:
    """What a security module says of this process, which it is from its first instruction on."""
    return _read(f"{proc}/self/attr/current").strip("\0\n")


def start_time(pid: int, proc: str = "/proc") -> int:
    """When a process was started, in clock ticks since the boot (proc_pid_stat(5), field 22), 0 where there is none: with its
    pid a name that is not used twice."""
    fields = _read(f"{proc}/{pid}/stat").rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 else 0


def boot_id(proc: str = "/proc") -> str:
    """Which boot of the kernel this is (random(4)), "" where that is not known."""
    return _read(f"{proc}/sys/kernel/random/boot_id").strip()


@lru_cache(maxsize=4)
def _last_capability(proc: str) -> int:
    return int(_read(f"{proc}/sys/kernel/cap_last_cap") or "40")


def _read(path: str) -> str:
    """A small file of procfs, "" where it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 1 << 16).decode("ascii", "replace")
    except OSError:  # attr/current without a security module
        return ""
    finally:
        os.close(fd)
