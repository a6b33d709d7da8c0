"""Facts about the place where pyrt runs, for ``pyrt doctor`` and ``pyrt info``: files that are read, nothing that is tried.

A start asks none of this: what it needs to know it has tried (``pyrt.ladder``). These are likely reasons of what was refused.
"""

from __future__ import annotations

import errno
import os

from pyrt._native.file_system import file_system_magic
from pyrt.runtime import apparmor
from pyrt.runtime.cgroup import hierarchies
from pyrt.subordinate import FILES, PROGRAMS, Mapper, mapper, rows
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyrt.host import Host

DOCKER, PODMAN, KUBERNETES = "docker", "podman", "kubernetes"

# statfs(2) and <linux/magic.h>, and those of file systems that are not in the kernel's own tree.
_FILE_SYSTEMS = {
    0xEF53: "ext4", 0x58465342: "xfs", 0x9123683E: "btrfs", 0x01021994: "tmpfs", 0x794C7630: "overlay", 0x6969: "nfs",
    0x2FC12FC1: "zfs", 0x65735546: "fuse", 0xFF534D42: "cifs", 0xFE534D42: "smb", 0x0BD00BD0: "lustre", 0x47504653: "gpfs",
    0x00C36400: "ceph", 0x01021997: "9p", 0x5346414F: "afs", 0xCA451A4E: "bcachefs", 0xF2F52010: "f2fs", 0xF15F: "ecryptfs",
    0x19830326: "beegfs", 0x858458F6: "ramfs", 0x73717368: "squashfs", 0xE0F5E1E2: "erofs", 0x3153464A: "jfs", 0x4D44: "vfat",
}  # fmt: skip
# Empty directories of the kernel's own, made to be mounted on: the kernel does not mind what hides them (fs/proc, sysctl).
_MOUNT_POINTS = ("/proc/sys/fs/binfmt_misc", "/proc/fs/nfsd", "/proc/openprom", "/proc/xen")
_REMOTE = ("nfs", "cifs", "smb", "lustre", "gpfs", "ceph", "9p", "afs", "beegfs", "fuse")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cgroups:
    """``version`` is 1 where any hierarchy of that kind is mounted (docker's word too), 2, or 0 for none; ``hybrid``: both.
    ``delegated`` are the controllers of which we may make cgroups: below our own, or, ``by_systemd``, below those
    that the user's service manager has been given and may give on."""

    version: int
    hybrid: bool
    delegated: tuple[str, ...]
    by_systemd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystem:
    """What holds a directory: ``kind`` is the name, or the number of statfs(2) for one without a name here."""

    path: str
    kind: str

    @property
    def remote(self) -> bool:
        """Whether it is of the kinds whose disk is elsewhere, or may be."""
        return self.kind in _REMOTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """``user`` is the caller's name, or its number where it has none. ``container`` is the kind of container around us as far
    as it has left its mark, else "". Sysctls are None where the kernel has no such one. ``subordinate_users`` and ``_groups``
    are subuid(5) and subgid(5) as they stand: owner, first, count. ``over_proc`` are the places below /proc that something else
    is mounted on. ``lacks_for_apparmor`` is what our AppArmor profile would take, "" where nothing is missing or no kernel has
    it. ``rooted``: the root directory is a mount, as it is everywhere but in a plain chroot."""

    user: str
    kernel: tuple[int, int]
    distribution: tuple[str, ...]
    container: str
    has_user_namespaces: bool
    max_user_namespaces: int | None
    unprivileged_userns_clone: int | None
    apparmor_restricts: int | None
    no_new_privileges: bool
    seccomp: bool
    label: str
    rooted: bool
    ids: int
    subordinate_users: tuple[tuple[str, int, int], ...]
    subordinate_groups: tuple[tuple[str, int, int], ...]
    mappers: tuple[Mapper, ...]
    over_proc: tuple[str, ...]
    lacks_for_apparmor: str
    cgroups: Cgroups
    store: FileSystem


def read(host: Host, store: str, *, root: str = "", environ: Mapping[str, str] = os.environ) -> Machine:
    """The facts, from the files below ``root``. ``store`` is the directory of the store."""
    proc = f"{root}/proc"
    status = _fields(f"{proc}/self/status")
    mounts = [line.split(" ")[4] for line in _lines(f"{proc}/self/mountinfo")]
    uid_map = [line.split() for line in _lines(f"{proc}/self/uid_map")]
    users, groups = (tuple(rows(root + file)) for file in FILES)
    return Machine(
        user=_user(host.uid, root),
        kernel=host.kernel()[1],
        distribution=_distribution(root),
        container=_container(root, environ, mounts),
        has_user_namespaces=os.path.lexists(f"{proc}/self/ns/user"),
        max_user_namespaces=_number(f"{proc}/sys/user/max_user_namespaces"),
        unprivileged_userns_clone=_number(f"{proc}/sys/kernel/unprivileged_userns_clone"),
        apparmor_restricts=_number(f"{proc}/sys/kernel/apparmor_restrict_unprivileged_userns"),
        no_new_privileges=status.get("NoNewPrivs") == "1",
        seccomp=status.get("Seccomp", "0") != "0",
        label=_text(f"{proc}/self/attr/current"),
        rooted="/" in mounts,
        ids=sum(int(row[2]) for row in uid_map),
        subordinate_users=users,
        subordinate_groups=groups,
        mappers=tuple(mapper(program, path=environ.get("PATH"), proc=proc) for program in PROGRAMS),
        over_proc=tuple(
            mount for mount in dict.fromkeys(mounts) if mount.startswith("/proc/") and mount not in _MOUNT_POINTS
        ),
        lacks_for_apparmor=_lacks_for_apparmor(host, f"{root}/sys"),
        cgroups=cgroups(root),
        store=FileSystem(path=store, kind=file_system(store)),
    )


def file_system(path: str) -> str:
    """The name of the file system that holds ``path``, "" where the path cannot be asked."""
    try:
        magic = file_system_magic(path)
    except OSError:
        return ""
    return _FILE_SYSTEMS.get(magic, f"0x{magic:x}")


def cgroups(root: str = "") -> Cgroups:
    """What is mounted, and in which hierarchies the caller may make a cgroup below its own: cgroups(7), "Delegation"."""
    own = {}
    for line in _lines(f"{root}/proc/self/cgroup"):
        _, names, path = line.split(":", 2)
        own.update(dict.fromkeys(names.split(","), path))
    try:
        mounted = hierarchies(f"{root}/proc/self/mountinfo")
    except OSError:
        mounted = ()
    versions = {hierarchy.version for hierarchy in mounted}
    delegated: list[str] = []
    for hierarchy in mounted:
        # Of a v1 the mount's options are controllers, but for "rw" and the like.
        controllers = [name for name in hierarchy.controllers or ("",) if name in own]
        directory = f"{root}{hierarchy.mount}{own[controllers[0]] if controllers else '/'}".rstrip("/")
        if hierarchy.version == 2:
            delegated += _given(directory)
        elif all(os.access(path, os.W_OK) for path in (directory, f"{directory}/cgroup.procs")):
            delegated += controllers
    real = tuple(name for name in delegated if "=" not in name)  # systemd has a hierarchy without one
    manager = [] if real else [each for one in mounted if one.version == 2 for each in _given(_manager(root + one.mount))]
    return Cgroups(
        version=min(versions, default=0),
        hybrid=len(versions) > 1,
        delegated=real or tuple(manager),
        by_systemd=bool(manager),
    )


def _given(directory: str) -> list[str]:
    """The controllers of a cgroup of v2 that is ours to divide."""
    ours = all(os.access(path, os.W_OK) for path in (directory, f"{directory}/cgroup.procs"))
    return _text(f"{directory}/cgroup.controllers").split() if ours else []


def _manager(mount: str) -> str:
    """Where systemd has the user's service manager: systemd.special(7), user@.service in user.slice."""
    uid = os.getuid()
    return f"{mount}/user.slice/user-{uid}.slice/user@{uid}.service"


def _user(uid: int, root: str) -> str:
    """By passwd(5) alone: what usermod(8) can change. Somebody whom only a directory service knows is a number here."""
    for line in _lines(f"{root}/etc/passwd"):
        name, _, rest = line.partition(":")
        if name and rest.split(":")[1:2] == [str(uid)]:
            return name
    return str(uid)


def _distribution(root: str) -> tuple[str, ...]:
    """os-release(5): its own id, and those that it is like."""
    fields = dict(line.partition("=")[::2] for line in _lines(f"{root}/etc/os-release"))
    return tuple(f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".replace('"', "").replace("'", "").split())


def _container(root: str, environ: Mapping[str, str], mounts: list[str]) -> str:
    """A pod's containers may have docker's or podman's marks as well, and docker's mark stays in machines that were made from
    an image: there nobody mounts a hosts file."""
    if "KUBERNETES_SERVICE_HOST" in environ or os.path.exists(f"{root}/var/run/secrets/kubernetes.io"):
        return KUBERNETES
    if os.path.exists(f"{root}/run/.containerenv"):
        return PODMAN
    if os.path.exists(f"{root}/.dockerenv") and "/etc/hosts" in mounts:
        return DOCKER
    return environ.get("container", "")


def _lacks_for_apparmor(host: Host, sys: str) -> str:
    if apparmor.unavailable(sys) or apparmor.known(apparmor.PROFILE, sys):
        return ""
    return apparmor.unloadable(host, sys)


def _fields(path: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in _lines(path))}


def _number(path: str) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None


def _lines(path: str) -> list[str]:
    return _text(path).splitlines()


def _text(path: str) -> str:
    """A small file, "" where it is not there or may not be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip("\0\n")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOTDIR, errno.EIO):
            return ""
        raise
