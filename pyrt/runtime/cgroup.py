"""The cgroup of a container, where one is needed: which hierarchy of this machine, how it is made, how processes get in.

A start without one is the rule, because a cgroup costs time and nothing of it is needed by default. Its directory is
``pyrt/<container id>`` below the hierarchy's mount. How it ends is in ``pyrt.cgroupfs``, for the store needs it as well.
"""

from __future__ import annotations

import os
from contextlib import suppress

from pyrt._native import device_filter
from pyrt.errors import Unsupported
from pyrt.runtime import device_rules
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.oci.spec import SpecDeviceRule

MOUNTS = "/proc/self/mountinfo"
DEVICES = "devices"
# v1 hierarchies that take processes in without any setting, the most useful first: in pids nothing forks away from a kill.
_TRACKING = ("pids", "freezer", DEVICES, "blkio")
_HINT = "--device gives single nodes and --privileged all of them, without rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """A mounted hierarchy of cgroups. ``controllers`` are the names in a v1's mount options, () for the cgroup2."""

    mount: str
    version: int
    controllers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cgroup:
    """Where a container's cgroup is to be, or is: an absolute path, the version of its hierarchy, and the option that it is
    needed for."""

    path: str
    version: int
    purpose: str

    @property
    def joins(self) -> tuple[str, ...]:
        """The files by which the container's first process gets in. None for v2: it is started there (``Plan.cgroup``)."""
        # ``tasks`` instead of cgroup.procs: it never waits for an RCU grace period (7 ms on an idle machine).
        return (f"{self.path}/tasks",) if self.version == 1 else ()


def hierarchies(mounts: str = MOUNTS) -> tuple[Hierarchy, ...]:
    """What is mounted, in the order of proc_pid_mountinfo(5)."""
    found = []
    with open(mounts) as file:
        lines = file.read().splitlines()
    for line in lines:
        place, _, source = line.partition(" - ")
        kind, _, rest = source.partition(" ")
        if kind == "cgroup2":
            found.append(Hierarchy(mount=place.split(" ")[4], version=2))
        elif kind == "cgroup":
            controllers = tuple(rest.split(" ")[-1].split(","))
            found.append(Hierarchy(mount=place.split(" ")[4], version=1, controllers=controllers))
    return tuple(found)


def find(container_id: str, purpose: str, *, devices: bool = False, mounts: str = MOUNTS) -> Cgroup:
    """The place for a container's cgroup: one that carries device rules, with ``devices``, else one that knows which
    processes belong to the container. Nothing is made. Raises Unsupported where this machine has mounted no such hierarchy.
    """
    mounted = hierarchies(mounts)
    second = [hierarchy for hierarchy in mounted if hierarchy.version == 2]
    if devices:
        # On a hybrid machine too, as systemd and docker do there: its kernel may be older than the programs of v2.
        ordered = [hierarchy for hierarchy in mounted if DEVICES in hierarchy.controllers] + second
    else:
        ordered = second + [hierarchy for name in _TRACKING for hierarchy in mounted if name in hierarchy.controllers]
    if not ordered:
        what = "a cgroup with device rules" if devices else "a cgroup"
        raise Unsupported(f"{purpose}: takes {what}, and this machine has mounted none", hint=_HINT if devices else "")
    chosen = ordered[0]
    return Cgroup(path=f"{chosen.mount}/pyrt/{container_id}", version=chosen.version, purpose=purpose)


def make(cgroup: Cgroup, rules: tuple[SpecDeviceRule, ...] = ()) -> None:
    """Makes the cgroup, with device rules where there are some. Raises Unsupported where this machine does not let us; what
    has been made by then the caller removes."""
    try:
        _make_directory(cgroup.path)
    except OSError as error:
        why = f"{cgroup.path} cannot be made: {error.strerror}"
        raise Unsupported(f"{cgroup.purpose}: takes a cgroup, and {why}", hint=_HINT if rules else "") from error
    try:
        if rules and cgroup.version == 1:
            _write_rules(cgroup.path, rules)
        elif rules:
            _attach_program(cgroup.path, rules)
    except OSError as error:
        why = f"{cgroup.path} takes none: {error.strerror}"
        raise Unsupported(f"{cgroup.purpose}: takes device rules, and {why}", hint=_HINT) from error


def _make_directory(path: str) -> None:
    """The last of several containers removes the directory above, so it can go away between two steps."""
    while True:
        with suppress(FileNotFoundError):
            os.mkdir(path, 0o755)
            return
        with suppress(FileExistsError):
            os.mkdir(os.path.dirname(path), 0o755)


def _write_rules(path: str, rules: tuple[SpecDeviceRule, ...]) -> None:
    """devices.rst. What the cgroup above denies cannot be allowed here, which matters for what was asked for alone."""
    _write(f"{path}/devices.deny", "a")
    for rule in rules:
        try:
            _write(f"{path}/devices.allow", device_rules.line(rule))
        except PermissionError:
            if rule not in device_rules.OWN:
                raise


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _attach_program(path: str, rules: tuple[SpecDeviceRule, ...]) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        program = _load(device_rules.program(rules))
        try:
            device_filter.attach(directory, program)
        finally:
            os.close(program)
    finally:
        os.close(directory)


def _load(program: bytes) -> int:
    """Before Linux 5.11 programs count as locked memory of their user, of which root has little too."""
    try:
        return device_filter.load(program)
    except PermissionError:
        from resource import RLIM_INFINITY, RLIMIT_MEMLOCK, getrlimit, setrlimit

        before = getrlimit(RLIMIT_MEMLOCK)
        with suppress(ValueError):  # without CAP_SYS_RESOURCE
            setrlimit(RLIMIT_MEMLOCK, (RLIM_INFINITY, RLIM_INFINITY))
        try:
            return device_filter.load(program)
        finally:
            setrlimit(RLIMIT_MEMLOCK, before)
