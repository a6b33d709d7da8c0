"""What is asked of the kernel that an older one, or a filter, may not give; and what is done without it.

The rows of docs/kernel-features.md, which has the rest of each: a test holds the two together.
"""

from __future__ import annotations

import os

from pyrt._native.kernel_calls import is_there
from pyrt.host import Host
from pyrt.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """``since`` are versions of Linux, all of which it takes, () for what depends on the kernel's configuration. ``without`` is
    what happens where it is missing. ``call`` is the number of a system call that is asked for it, the same on every
    architecture, ``files`` are looked for; without either the version decides."""

    name: str
    since: tuple[str, ...]
    without: str
    call: int = 0
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A feature, and whether this kernel gives it to this process."""

    feature: Feature
    present: bool


FEATURES = (
    Feature(name="clone3", since=("5.3",), without="clone(2) with the same flags", call=435),
    Feature(name="CLONE_INTO_CGROUP", since=("5.7",), without="the child writes itself into cgroup.procs"),
    Feature(
        name="cgroup v1 devices", since=("2.6.26",), without="a program of the next row", files=("/sys/fs/cgroup/devices",)
    ),
    Feature(name="BPF_PROG_TYPE_CGROUP_DEVICE", since=("4.15",), without="what needs them is refused by name"),
    Feature(
        name="cgroup.kill",
        since=("5.14",),
        without="fork is stopped where pids.max or cgroup.freeze are, and every member killed until none is left",
    ),
    Feature(name="overlayfs whiteouts without device rules", since=("5.8",), without="the rule c 0:0 m"),
    Feature(
        name="CLONE_PIDFD, waitid(P_PIDFD), pidfd_send_signal", since=("5.2", "5.4", "5.1"), without="needed", call=424
    ),
    Feature(
        name="openat2, RESOLVE_IN_ROOT", since=("5.6",), without="a walk over the components with the same answers", call=437
    ),
    Feature(
        name="fchmodat2", since=("6.6",), without="libc's fchmodat, which goes by way of /proc/self/fd", call=452
    ),
    Feature(
        name="open_tree, move_mount",
        since=("5.2",),
        without="mount(2) on /proc/self/fd, then the mount is looked up again and recognised",
        call=428,
    ),
    Feature(
        name="mount_setattr",
        since=("5.12",),
        without="every mount below by itself, as /proc/self/mountinfo lists them",
        call=442,
    ),
    Feature(
        name="fsopen, fsconfig, fsmount",
        since=("5.2",),
        without="it is mounted on the new root's empty place for a moment, and detached",
        call=430,
    ),
    Feature(
        name="/proc/self/attr/apparmor",
        since=("5.8",),
        without="/proc/self/attr, which the security modules share",
        files=("/proc/self/attr/apparmor",),
    ),
    Feature(
        name="AppArmor's .access file",
        since=("4.8",),
        without="the default profile is not used; a name that was asked for is tried",
        files=("/sys/kernel/security/apparmor/.access",),
    ),
    Feature(name="close_range", since=("5.9",), without="close-on-exec for what /proc/self/fd lists", call=436),
    Feature(name="overlayfs volatile", since=("5.10",), without="needed with scratch=disk and --rm"),
    Feature(name="memfd_create with seals", since=("3.17",), without="needed"),
    Feature(name="cgroup2, mqueue", since=(), without="left out where the kernel has no such file system"),
    Feature(name="unshare(CLONE_FS) per thread", since=("2.6.16",), without="fchmod on every entry"),
    Feature(
        name="user namespaces", since=("3.8",), without="chroot for root, else nothing starts", files=("/proc/self/ns/user",)
    ),
    Feature(name="overlayfs in a user namespace", since=("5.11",), without="the root is a copy of the layers"),
    Feature(name="extended attributes of users on tmpfs", since=("6.6",), without="it is on the disk"),
    Feature(name="seccomp notifications", since=("5.0",), without="needed on the rung chroot"),
    Feature(name="SECCOMP_ADDFD_FLAG_SEND", since=("5.14",), without="the fd and the answer in two steps"),
    Feature(name="SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", since=("5.19",), without="a signal has a call asked about again"),
    Feature(name="SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP", since=("6.6",), without="slower answers"),
    Feature(name="slices of sched_setattr", since=("6.12",), without="on a busy machine answers take longer"),
    Feature(name="landlock_create_ruleset", since=("5.19",), without="files are kept by nothing but the chroot", call=444),
    Feature(name="Landlock's scopes", since=("6.12",), without="the container may signal what root of this place may"),
    Feature(name="faccessat2", since=("5.8",), without="faccessat on /proc/self/fd", call=439),
    Feature(name="sync_file_range", since=("2.6.17",), without="the one syncfs writes them"),
    Feature(name="syncfs", since=("2.6.39",), without="needed"),
)


def look(kernel: tuple[int, int] | None = None, root: str = "") -> tuple[Found, ...]:
    """Each of FEATURES as it is here, or on a kernel of this version with the files below ``root``."""
    version = kernel or Host.kernel()[1]
    return tuple(Found(feature=feature, present=_is_present(feature, version, root)) for feature in FEATURES)


def _is_present(feature: Feature, kernel: tuple[int, int], root: str) -> bool:
    if feature.call:
        return is_there(feature.call)
    if feature.files:
        return all(os.path.exists(root + file) for file in feature.files)
    if not feature.since:
        return set(feature.name.split(", ")) <= _file_systems(root)
    return kernel >= max(_version(since) for since in feature.since)


def _version(text: str) -> tuple[int, int]:
    major, minor, *_ = text.split(".")
    return int(major), int(minor)


def _file_systems(root: str) -> set[str]:
    """Those that the kernel knows now: proc_filesystems(5)."""
    try:
        with open(f"{root}/proc/filesystems", encoding="ascii", errors="replace") as file:
            return {line.split()[-1] for line in file if line.strip()}
    except OSError:
        return set()
