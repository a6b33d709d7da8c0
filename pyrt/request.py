"""What was asked for: the values that the command line and the Python API hand to ``pyrt.run``, and what comes back.

Nothing here decides anything; defaults are docker's. Frozen, complete, comparable.
"""

from __future__ import annotations

from pyrt.isolation import NONE, Isolation
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PRIVATE, HOST = "private", "host"  # whose namespace a container is in
UNCONFINED = "unconfined"  # in the place of a profile's name: none
TRANSPORTS = ("oci:", "oci-archive:", "docker-archive:")  # how the name of an image in a file begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A mount that the caller asked for (docker's ``-v``, ``--mount``, ``--tmpfs``).

    ``kind`` is "bind", "volume" or "tmpfs"; ``source`` an absolute host path for a bind, the volume's name for a volume
    ("" for an anonymous one), "" for a tmpfs; ``target`` an absolute path in the container.
    """

    kind: str
    target: str
    source: str = ""
    read_only: bool = False
    create_source: bool = False  # -v makes a missing host directory, --mount does not
    propagation: str = "rprivate"
    recursive: bool = True  # bind: with the mounts below it (docker's bind-recursive)
    copy: bool = True  # volume: filled from the image when new
    size: int | None = None  # tmpfs: bytes
    mode: int | None = None  # tmpfs: permission bits of its root
    options: tuple[str, ...] = ()  # tmpfs: exec, noexec, suid, nosuid, dev, nodev, uid=, gid=


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device node of the host (docker's ``--device``); ``permissions`` of the letters r, w, m."""

    source: str
    target: str
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRule:
    """What may be done with device nodes beside the usual ones, wherever they lie (docker's ``--device-cgroup-rule``).

    ``kind`` is c, b or a for both; a number that is None stands for every one; ``permissions`` of the letters r, w, m.
    """

    kind: str
    major: int | None
    minor: int | None
    permissions: str = "rwm"

    def __str__(self) -> str:
        major, minor = ("*" if number is None else number for number in (self.major, self.minor))
        return f"{self.kind} {major}:{minor} {self.permissions}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ulimit:
    """A resource limit by its docker name, "nofile" for RLIMIT_NOFILE; -1 is unlimited (setrlimit(2))."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One ``pyrt run``. Either ``image`` (a reference or a transport, see pyrt.pull) or ``rootfs`` (a directory)."""

    image: str = ""
    rootfs: str = ""
    argv: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None  # None: the image's; (): none at all
    env: tuple[tuple[str, str], ...] = ()  # in order; a later one wins
    workdir: str | None = None
    user: str | None = None  # user[:group], names or numbers
    group_add: tuple[str, ...] = ()
    name: str | None = None
    hostname: str | None = None
    domainname: str | None = None
    mounts: tuple[Mount, ...] = ()
    read_only: bool = False
    shm_size: int = 64 << 20  # bytes
    init: bool = False
    network: str = "host"  # "host" or "none"
    pull: str = "missing"  # "missing", "always" or "never"
    platform: str | None = None
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    privileged: bool = False
    apparmor: str = ""  # the name of a profile, "unconfined", "" for the default
    label: tuple[str, ...] = ()  # SELinux: "disable", "user:USER", "role:ROLE", "type:TYPE", "level:LEVEL"
    seccomp: str = ""  # "" the default profile (none where privileged), "unconfined", or the absolute path of a profile
    no_new_privileges: bool = False
    mask: tuple[str, ...] = ()  # paths to hide beside the default ones
    unmask: tuple[str, ...] = ()  # of the default masked and read-only paths those to leave open: paths, patterns or "ALL"
    pid: str = ""  # whose namespace: the container's own or the host's, "" for its own where that can be had
    ipc: str = ""
    uts: str = ""
    cgroupns: str = ""
    userns: str = HOST
    isolation: str = ""  # the rung of the isolation ladder, "" for the best one that there is
    min_isolation: str = ""  # no rung below this one
    devices: tuple[Device, ...] = ()
    device_rules: tuple[DeviceRule, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    add_host: tuple[tuple[str, str], ...] = ()  # (name, address or "host-gateway")
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_option: tuple[str, ...] = ()
    cidfile: str | None = None
    stop_signal: str | None = None
    stop_timeout: int | None = None  # seconds
    remove: bool = False
    scratch: str = "auto"  # where what it writes lies while ``remove``: "memory", "disk", "auto" for memory if there is much
    interactive: bool = False
    tty: bool = False
    timeout: float | None = None  # seconds; then everything in the container is killed

    def confinement(self) -> dict[str, Any]:
        """What was asked of the confinement, in docker's words (HostConfig), as a record keeps it."""
        options = [f"label={label}" for label in self.label]
        options += [f"{name}={value}" for name in ("seccomp", "apparmor") if (value := getattr(self, name))]
        options += [f"{name}={':'.join(paths)}" for name in ("mask", "unmask") if (paths := getattr(self, name))]
        return {
            "Privileged": self.privileged,
            "CapAdd": [*self.cap_add] or None,
            "CapDrop": [*self.cap_drop] or None,
            "SecurityOpt": [*(["no-new-privileges"] if self.no_new_privileges else []), *options] or None,
            "PidMode": HOST if self.pid == HOST else "",
            "IpcMode": self.ipc,
            "UTSMode": HOST if self.uts == HOST else "",
            "CgroupnsMode": self.cgroupns,
            "UsernsMode": "",
            "Devices": [
                {"PathOnHost": device.source, "PathInContainer": device.target, "CgroupPermissions": device.permissions}
                for device in self.devices
            ],
            "DeviceCgroupRules": [str(rule) for rule in self.device_rules] or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedRun:
    """What a finished run left: like ``subprocess.CompletedProcess``, and what only a container has: ``isolation`` names each
    barrier that stood between it and the host.

    ``returncode`` is the program's exit code, or 128 + n where signal n ended it. ``stdout`` and ``stderr`` are bytes, b""
    where they were not captured. ``duration`` is in seconds, from clone to the end of PID 1. ``image_digest`` is the digest
    of the image's manifest, "" for a plain root directory.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes = b""
    stderr: bytes = b""
    duration: float = 0.0
    image_digest: str = ""
    container_id: str = ""
    isolation: Isolation = NONE
