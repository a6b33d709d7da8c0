"""What this machine and this process can do. The rest of the code asks these values, never the environment."""

from __future__ import annotations

import os
from functools import lru_cache

from pyrt.errors import PrivilegeError
from pyrt.values import dataclass

SYS_ADMIN = 21  # capabilities(7)

DOC_ROOTLESS = "run it as root; starting without root comes with the next release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Facts about the calling process and its kernel.

    ``capabilities`` is the effective set, ``last_capability`` the highest number that this kernel knows.
    """

    uid: int
    capabilities: int
    last_capability: int

    @classmethod
    def probe(cls, proc: str = "/proc") -> Host:
        """Reads them: proc_pid_status(5). Raises PrivilegeError where there is no procfs: no container starts without it."""
        status = _read(f"{proc}/self/status")
        if not status:
            raise PrivilegeError(f"{proc}: no procfs is mounted there", hint="mount -t proc proc /proc")
        effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
        return cls(
            uid=os.geteuid(),
            capabilities=int(effective, 16),
            last_capability=_last_capability(proc),
        )

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

    def require_full(self) -> None:
        """The rung that this release has needs root with CAP_SYS_ADMIN. Raises PrivilegeError that says what is missing."""
        if self.uid != 0:
            raise PrivilegeError(f"starting a container: uid {self.uid} is not root", hint=DOC_ROOTLESS)
        if not self.holds(SYS_ADMIN):
            raise PrivilegeError(
                "starting a container: root without CAP_SYS_ADMIN may neither mount nor make namespaces",
                hint="inside docker: --cap-add SYS_ADMIN --security-opt seccomp=unconfined; "
                "the rung that needs neither comes with a later release",
            )


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
    finally:
        os.close(fd)
