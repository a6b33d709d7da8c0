"""What C shall do, as data: a flat list of operations for the time between clone and exec, and the last step's payload.

``pyrt.runtime.compile`` makes a Plan of a Spec, ``pyrt._native.launch`` hands it to C (csrc/launch.h has the same names).
A plan can be printed, and compared in a test without a kernel.
"""

from __future__ import annotations

from pyrt.ids import Ids
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True, slots=True)
class Op:
    """One operation. ``kind`` is the name after PYRT_OP_ in csrc/launch.h, in small letters; what the other fields mean
    is written there beside each kind. ``flags`` are names after PYRT_, ``mount_flags`` bits of mount(2)."""

    kind: str
    target: str | None = None
    source: str | None = None
    data: str | None = None
    flags: tuple[str, ...] = ()
    mount_flags: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    device: int = 0

    def to_json(self) -> dict[str, Any]:
        """The fields that are set."""
        names = ("target", "source", "data", "flags", "mount_flags", "mode", "uid", "gid", "device")
        fields = {name: getattr(self, name) for name in names}
        if self.kind == "overlay" and self.source is not None:
            fields["source"] = self.source.split("\0")
        return {"op": self.kind, **{name: value for name, value in fields.items() if value}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One resource limit: RLIMIT_* number, soft and hard as getrlimit(2) has them. ``at_most``: lower the caller's where they
    are higher, and leave them where they are not. ``if_possible``: leave them where a hard limit is in the way."""

    resource: int
    soft: int
    hard: int
    at_most: bool = False
    if_possible: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What stage2 does last: csrc/payload.h. Capabilities are bit sets by the numbers of capabilities(7).

    ``candidates`` are the paths to try in turn; ``argv`` and ``env`` ("NAME=value") go to the program as they are. ``filter``
    is the seccomp program, an array of struct sock_filter, b"" for none. ``label`` are words for the security module, written
    to the first of ``label_files`` that exists below a procfs (operation "proc"); ``label_last`` where they are in force at
    once and may forbid what comes before the exec.
    """

    argv: tuple[str, ...]
    env: tuple[str, ...]
    candidates: tuple[str, ...]
    workdir: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    bounding: int
    permitted: int
    last_capability: int
    umask: int = 0o022
    limits: tuple[Limit, ...] = ()
    no_new_privileges: bool = False
    with_init: bool = False
    die_with_parent: bool = True
    controlling_tty: bool = False
    filter: bytes = b""
    label: str = ""
    label_files: tuple[str, ...] = ()
    label_last: bool = False
    notify: bytes = b""  # the calls that a keeper answers: a filter like the other one
    keep_groups: bool = False  # the caller's supplementary ones: there are no ids for others


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One path of the container that a keeper serves from a path of the host. ``empty``: a directory of the host that is served
    instead where the source is a directory, and /dev/null where it is none: a mask. ``flags`` are names after PYRT_PLACE_ in
    csrc/keeper_table.h."""

    target: str
    source: str
    empty: str = ""
    flags: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The fields that are set."""
        fields = {"target": self.target, "source": self.source, "empty": self.empty, "flags": [*self.flags]}
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """What the process between pyrt and the program is told (csrc/keeper.c)."""

    places: tuple[Served, ...]
    landlock: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that C needs for one start. ``namespaces`` are names of clone(2)'s flags: pid, mount, uts, ipc, cgroup,
    network. ``newroot`` is an empty host directory to put the root together on. ``cgroup`` is a cgroup2 directory to start
    in, "" for the caller's own. ``ids`` are those of a user namespace to start in, None for the caller's own.
    ``keeper`` stands between pyrt and the program where there are no mounts, None elsewhere."""

    ops: tuple[Op, ...]
    namespaces: tuple[str, ...]
    newroot: str
    program: Program
    cgroup: str = ""
    ids: Ids | None = None
    keeper: Keeper | None = None

    def to_json(self) -> dict[str, Any]:
        """The plan as ``pyrt run --dry-run`` prints it."""
        program = {name: getattr(self.program, name) for name in Program.__slots__}
        program["filter"] = len(self.program.filter) // 8  # instructions
        program["notify"] = len(self.program.notify) // 8
        program["limits"] = [{name: getattr(limit, name) for name in Limit.__slots__} for limit in self.program.limits]
        return {
            "namespaces": [*self.namespaces],
            "newroot": self.newroot,
            **({"cgroup": self.cgroup} if self.cgroup else {}),
            **({"ids": self.ids.to_json()} if self.ids else {}),
            **({"served": [place.to_json() for place in self.keeper.places]} if self.keeper else {}),
            "operations": [op.to_json() for op in self.ops],
            "program": program,
        }
