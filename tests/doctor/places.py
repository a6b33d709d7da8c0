"""Recorded facts: what ladder and machine find in places of each kind, as values."""

from __future__ import annotations

import errno

from pyrt.host import CHROOT, NONE, USERNS, Host
from pyrt.ids import SUBORDINATE, Ids, Range
from pyrt.machine import Cgroups, FileSystem, Machine
from pyrt.subordinate import Mapper
from pyrt.values import replace

ALL = (1 << 41) - 1
DOCKERS = 0xA80425FB  # docker's default capabilities
STEPS = (
    "chroot", "unshare", "map", "namespaces", "private", "directory", "overlay", "tmpfs", "overlay-memory", "sysfs", "proc",
)  # fmt: skip
_BEFORE_ALL = STEPS[1:6]


def steps(**failed: int) -> tuple[tuple[str, int], ...]:
    """The probe's answers: these failed; after one that everything else needs it ends."""
    found = []
    for name in STEPS:
        number = failed.get(name.replace("-", "_"), 0)
        found.append((name, number))
        if number and name in _BEFORE_ALL:
            break
    return tuple(found)


HOST = Host(uid=1000, gid=1000, capabilities=0, last_capability=40)
SINGLE = Ids.single(1000, 1000)
RANGES = (Range(0, 1000, 1), Range(1, 100000, 65536))

ROOT = replace(HOST, uid=0, gid=0, capabilities=ALL)
USER = replace(HOST, rung=USERNS, ids=SINGLE, steps=steps(chroot=errno.EPERM))
WITH_IDS = replace(USER, ids=Ids(how=SUBORDINATE, users=RANGES, groups=RANGES))
REFUSED = replace(HOST, rung=NONE, steps=steps(chroot=errno.EPERM, unshare=errno.EPERM))
CONTAINER_ROOT = replace(ROOT, capabilities=DOCKERS, rung=CHROOT, sandboxed=True, steps=steps(unshare=errno.EPERM))

MACHINE = Machine(
    user="ann",
    kernel=(6, 1),
    distribution=("debian",),
    container="",
    has_user_namespaces=True,
    max_user_namespaces=63000,
    unprivileged_userns_clone=None,
    apparmor_restricts=None,
    no_new_privileges=False,
    seccomp=False,
    label="unconfined",
    rooted=True,
    ids=2**32 - 1,
    subordinate_users=(("ann", 100000, 65536),),
    subordinate_groups=(("ann", 100000, 65536),),
    mappers=(Mapper(path="/usr/bin/newuidmap", lacks=""), Mapper(path="/usr/bin/newgidmap", lacks="")),
    over_proc=(),
    lacks_for_apparmor="",
    cgroups=Cgroups(version=2, hybrid=False, delegated=("memory", "pids")),
    store=FileSystem(path="/home/ann/.local/share/pyrt", kind="ext4"),
)
MASKED = ("/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/sys")
DOCKER = replace(
    MACHINE, user="root", container="docker", seccomp=True, label="docker-default (enforce)", over_proc=MASKED,
    store=FileSystem(path="/var/lib/pyrt", kind="overlay"), subordinate_users=(), subordinate_groups=(),
)  # fmt: skip
POD = replace(DOCKER, container="kubernetes", label="unconfined", seccomp=False)

