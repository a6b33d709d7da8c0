"""From an OCI spec to a plan: which operation, in which order. Pure; the order is the whole point.

Devices before masks, because a mask is a bind of the container's own, verified /dev/null. Sysctls after /proc is mounted
and before /proc/sys becomes read-only. The caller's mounts before the masks, so that none of them can lift one. The root
becomes read-only last, when every mount point has been made.
"""

from __future__ import annotations

import os
from functools import lru_cache

from pyrt.errors import Unsupported
from pyrt.oci.spec import Spec, SpecDevice, SpecMount
from pyrt.plan import Limit, Op, Plan, Program
from pyrt.runtime import apparmor, capabilities, rlimits
from pyrt.runtime.bundle import NODES, PROC_FILES
from pyrt.values import dataclass

# mount(2)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_SYNCHRONOUS = 1, 2, 4, 8, 16
MS_NOATIME, MS_NODIRATIME, MS_REC, MS_RELATIME, MS_STRICTATIME = 1 << 10, 1 << 11, 1 << 14, 1 << 21, 1 << 24
MS_PRIVATE, MS_SLAVE = 1 << 18, 1 << 19

# option -> (bits set, bits cleared); what is not here is the file system's own and goes into its options
_FLAGS = {
    "ro": (MS_RDONLY, 0), "rw": (0, MS_RDONLY), "nosuid": (MS_NOSUID, 0), "suid": (0, MS_NOSUID), "nodev": (MS_NODEV, 0),
    "dev": (0, MS_NODEV), "noexec": (MS_NOEXEC, 0), "exec": (0, MS_NOEXEC), "sync": (MS_SYNCHRONOUS, 0),
    "noatime": (MS_NOATIME, 0), "nodiratime": (MS_NODIRATIME, 0), "relatime": (MS_RELATIME, 0),
    "strictatime": (MS_STRICTATIME, 0),
}  # fmt: skip
_PROPAGATION = {
    "private": MS_PRIVATE, "rprivate": MS_PRIVATE | MS_REC, "slave": MS_SLAVE, "rslave": MS_SLAVE | MS_REC,
}  # fmt: skip
_BIND_FLAGS = {
    "rbind": "recursive", "ro": "read_only", "nosuid": "nosuid", "nodev": "nodev", "noexec": "noexec",
}  # fmt: skip

_DEV_LINKS = (
    Op("symlink", target="/dev/fd", source="/proc/self/fd"),
    Op("symlink", target="/dev/stdin", source="/proc/self/fd/0"),
    Op("symlink", target="/dev/stdout", source="/proc/self/fd/1"),
    Op("symlink", target="/dev/stderr", source="/proc/self/fd/2"),
    Op("symlink", target="/dev/ptmx", source="pts/ptmx"),
    Op("symlink", target="/dev/core", source="/proc/kcore"),
)

# What a container gets of the caller's own limits: podman's ceiling for both. A program that closes all fds that it may have
# open would take minutes with systemd's thousand million.
_CEILING = 1 << 20
_AT_MOST = tuple(
    Limit(resource=rlimits.NUMBERS[name], soft=_CEILING, hard=_CEILING, at_most=True) for name in ("nofile", "nproc")
)

# A helper in kernel.core_pattern runs as root in the host's namespaces, fed by whoever crashes. Of all limits 1 alone keeps it
# away (core(5): 0 means nothing to a pipe), and the seccomp profile keeps the 1.
_NO_CORE = Limit(resource=rlimits.NUMBERS["core"], soft=1, hard=1, if_possible=True)

OWNER_STAYS = 2**32 - 1  # chown(2): -1

# Their place must be a directory of the image itself: what is mounted there is trusted afterwards.
_REAL = ("/proc", "/sys", "/dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayRoot:
    """Layers, uppermost first, with a writable directory on top; ``volatile`` never waits for the disk (overlayfs.rst)."""

    layers: tuple[str, ...]
    volatile: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainRoot:
    """A directory that is the root as it is (``--rootfs``)."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where on the host a plan is carried out, and the facts about the process and the terminal that it needs.

    ``directory`` is the container's own, absolute. ``memory`` are bytes of a tmpfs that covers it (and with it everything
    that the container writes), 0 to have it on disk. ``files`` are (name, text) of what is bound over /etc.
    """

    directory: str
    memory: int
    files: tuple[tuple[str, str], ...]
    last_capability: int
    cgroup: str = ""  # a cgroup2 directory to start in
    joins: tuple[str, ...] = ()  # files of cgroup v1 directories that take the caller in
    with_init: bool = False
    window: tuple[int, int] = (0, 0)  # rows, columns
    filter: bytes = b""  # Program.filter
    any_name: bool = False  # nobody has asked for the host name: another one will do


def plan(spec: Spec, root: OverlayRoot | PlainRoot, place: Placement) -> Plan:
    """The plan for one container. Raises Unsupported for a combination that no order of operations gives."""
    own_dev = any(mount.destination == "/dev" and mount.type == "tmpfs" for mount in spec.mounts)
    if spec.process.terminal and not own_dev:
        raise Unsupported("-t together with a mount on /dev: the terminal needs a /dev of the container's own")
    if len(spec.devices) > len(NODES) and not own_dev:
        raise Unsupported("--device together with a mount on /dev: the nodes need a /dev of the container's own")
    user = spec.process.user
    in_cgroup = bool(place.cgroup or place.joins)
    namespaces = spec.namespaces
    if in_cgroup:
        # Not by a flag of clone, which would take the caller's cgroups for the roots of the namespace.
        namespaces = tuple(name for name in namespaces if name != "cgroup")
    namespaces = tuple(name for name in namespaces if name != "user")  # entered, not made: Plan.ids
    ops = [
        *(Op("join", target=file) for file in place.joins),
        *([Op("cgroup_namespace")] if in_cgroup and "cgroup" in spec.namespaces else []),
        Op("private", mount_flags=MS_REC | (MS_SLAVE if spec.rootfs_propagation == "slave" else MS_PRIVATE)),
        *_scratch(root, place),
        *([Op("proc")] if label(spec, with_init=place.with_init)[0] else []),
        _root(root, place, devices=_opens_devices(spec), in_userns=spec.ids is not None),
        *_mounts(spec, place, own_dev),
        *(Op("sysctl", target="sys/" + name.replace(".", "/"), data=value) for name, value in spec.sysctl),
        *_covers("mask", spec.masked_paths),
        *_covers("readonly", spec.readonly_paths),
        *([Op("console", uid=user.uid, mode=place.window[0] << 16 | place.window[1])] if spec.process.terminal else []),
        *([_hostname(spec, place)] if spec.hostname and "uts" in spec.namespaces else []),
        *([Op("domainname", data=spec.domainname)] if spec.domainname else []),
        *([Op("loopback")] if "network" in spec.namespaces else []),
        *([Op("mkdir", target=spec.process.cwd, mode=0o755, uid=user.uid, gid=user.gid)] if spec.process.cwd != "/" else []),
        *([Op("remount_root")] if spec.root_readonly else []),
        Op("pivot"),
    ]
    return Plan(
        ops=tuple(ops),
        namespaces=namespaces,
        newroot=f"{place.directory}/root",
        cgroup=place.cgroup,
        ids=spec.ids,
        program=program(spec, place),
    )


@lru_cache(maxsize=64)
def _covers(kind: str, paths: tuple[str, ...]) -> tuple[Op, ...]:
    return tuple(Op(kind, target=path) for path in paths)


def _scratch(root: OverlayRoot | PlainRoot, place: Placement) -> list[Op]:
    """The container's own files: made by the child, so that those in memory are nobody's to clean up."""
    base = place.directory
    cover = [Op("scratch", target=base, data=f"mode=700,size={place.memory}")] if place.memory else []
    directories = [("root", 0o700), ("etc", 0o700)]
    if isinstance(root, OverlayRoot):
        directories += [("upper", 0o755), ("work", 0o700)]  # upper is the root directory that the container sees
        directories += [] if root.layers else [("lower", 0o755)]  # overlayfs wants one below
    return [
        *cover,
        *(Op("scratch_directory", target=f"{base}/{name}", mode=mode) for name, mode in directories),
        *(Op("scratch_file", target=f"{base}/{name}", data=text, mode=0o644) for name, text in place.files),
    ]


def _opens_devices(spec: Spec) -> bool:
    """Whether nodes of the root may open: a cgroup has rules for them, or the container may make nodes anyway (MKNOD), which
    nobody may in a user namespace."""
    return bool(spec.device_rules) or ("CAP_MKNOD" in spec.process.capabilities.bounding and spec.ids is None)


def _root(root: OverlayRoot | PlainRoot, place: Placement, *, devices: bool, in_userns: bool) -> Op:
    """A layer can hold a node for the host's disk that everybody may open, so no node of the root opens but where it has to."""
    if isinstance(root, PlainRoot):
        return Op("root", source=root.path, flags=("recursive",) if devices else ("recursive", "nodev"))
    flags = (*(("volatile",) if root.volatile else ()), *(("userxattr",) if in_userns else ()))
    base = place.directory
    layers = "\0".join(root.layers or (f"{base}/lower",)) + "\0"
    bits = 0 if devices else MS_NODEV
    return Op("overlay", source=layers, target=f"{base}/upper", data=f"{base}/work", flags=flags, mount_flags=bits)


def _mounts(spec: Spec, place: Placement, own_dev: bool) -> list[Op]:
    ops: list[Op] = []
    for mount in spec.mounts:
        if mount.type == "volume":
            ops += _volume(spec, mount)
            continue
        ops.append(_bind(mount, in_userns=spec.ids is not None) if mount.type == "bind" else _filesystem(mount))
        if own_dev and mount.destination == "/dev":
            ops += [node(device) if spec.ids is None else _bound_node(device) for device in spec.devices]
            ops += _DEV_LINKS
    return ops


def _volume(spec: Spec, mount: SpecMount) -> list[Op]:
    """An anonymous volume. Where the root is writable the place itself is one; where it is not, it is kept open."""
    read_only = [Op("readonly", target=mount.destination)] if "ro" in mount.options else []
    made = Op("volume", target=mount.destination) if spec.root_readonly else _directory(mount.destination)
    return [made, *read_only]


def _directory(path: str) -> Op:
    """Owned by whoever makes it: root, or the single id that there is."""
    return Op("mkdir", target=path, mode=0o755, uid=OWNER_STAYS, gid=OWNER_STAYS)


def _hostname(spec: Spec, place: Placement) -> Op:
    """Filters that let an ordinary user have namespaces may refuse the name of one (podman's own does)."""
    return Op("hostname", data=spec.hostname, flags=("optional",) if place.any_name else ())


@lru_cache(maxsize=256)
def _filesystem(mount: SpecMount) -> Op:
    flags, data = split_options(mount.options)
    real = ("real_directory",) if mount.destination in _REAL else ()
    optional = ("optional",) if mount.type in ("cgroup2", "mqueue") or mount.destination == "/sys/fs/cgroup" else ()
    words = (*real, *optional)
    return Op("mount", target=mount.destination, source=mount.type, data=data or None, mount_flags=flags, flags=words)


def split_options(options: tuple[str, ...]) -> tuple[int, str]:
    """mount(2)'s flags and the file system's own options, comma separated."""
    flags, own = 0, []
    for option in options:
        if option in _FLAGS:
            bits, cleared = _FLAGS[option]
            flags = (flags | bits) & ~cleared
        else:
            own.append(option)
    return flags, ",".join(own)


def _bind(mount: SpecMount, *, in_userns: bool) -> Op:
    flags = tuple(_BIND_FLAGS[option] for option in mount.options if option in _BIND_FLAGS)
    if mount.destination.removeprefix("/proc/") in PROC_FILES:
        flags += ("on_proc",)
    if in_userns and mount.source == mount.destination in ("/proc", "/sys"):
        flags += ("real_directory",)
    propagation = next((_PROPAGATION[option] for option in mount.options if option in _PROPAGATION), 0)
    return Op("bind", target=mount.destination, source=mount.source, flags=flags, mount_flags=propagation)


@lru_cache(maxsize=256)
def node(device: SpecDevice) -> Op:
    """A device node, made."""
    kind = {"c": 0o020000, "b": 0o060000, "p": 0o010000}[device.type]
    return Op(
        "node",
        target=device.path,
        mode=kind | device.mode,
        device=os.makedev(device.major, device.minor),
        uid=device.uid,
        gid=device.gid,
    )


@lru_cache(maxsize=256)
def _bound_node(device: SpecDevice) -> Op:
    """A node of the host's, where none can be made."""
    return Op("bind", target=device.path, source=device.source, flags=("nosuid", "noexec"))


def program(spec: Spec, place: Placement) -> Program:
    """What stage2 does."""
    process = spec.process
    limits = [Limit(resource=rlimits.number(limit.type), soft=limit.soft, hard=limit.hard) for limit in process.rlimits]
    asked = {limit.resource for limit in limits}
    limits += [limit for limit in (*_AT_MOST, _NO_CORE) if limit.resource not in asked]
    words, files, last = label(spec, with_init=place.with_init)
    return Program(
        argv=process.args,
        env=process.env,
        candidates=candidates(process.args[0], process.env),
        workdir=process.cwd,
        uid=process.user.uid,
        gid=process.user.gid,
        groups=process.user.additional_gids,
        bounding=capabilities.bits(process.capabilities.bounding),
        permitted=capabilities.bits(process.capabilities.permitted),
        last_capability=place.last_capability,
        umask=process.user.umask,
        limits=tuple(limits),
        no_new_privileges=process.no_new_privileges,
        with_init=place.with_init,
        controlling_tty=process.terminal,
        filter=place.filter,
        label=words,
        label_files=files,
        label_last=last,
        keep_groups=spec.ids is not None and spec.ids.is_single,
    )


def label(spec: Spec, *, with_init: bool) -> tuple[str, tuple[str, ...], bool]:
    """The words for the security module, the files of procfs that take them, and whether they come last. Raises Unsupported for
    two modules at once, which no kernel so far has in force together."""
    process = spec.process
    if process.selinux_label and process.apparmor_profile:
        raise Unsupported(f"SELinux label {process.selinux_label} and AppArmor profile {process.apparmor_profile} together")
    if process.selinux_label:
        from pyrt.runtime import selinux

        return selinux.writes(process.selinux_label, with_init=with_init)
    if process.apparmor_profile:
        return apparmor.writes(process.apparmor_profile, with_init=with_init)
    return "", (), False


def candidates(program: str, env: tuple[str, ...]) -> tuple[str, ...]:
    """The paths that execvp(3) would try, by the container's own PATH; an empty element of it is the working directory."""
    if "/" in program:
        return (program,)
    path = next((text[5:] for text in env if text.startswith("PATH=")), "")
    return tuple(f"{directory or '.'}/{program}" for directory in path.split(":")) if path else (program,)
