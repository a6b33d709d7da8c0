"""From a request and an image to an OCI spec: every default of a container is decided here, and nothing is touched.

The tables are those of docker, podman and runc: mounts in their order, device nodes, masked and read-only paths as the union
of docker's and podman's.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat

from pyrt.errors import Unsupported, UsageError
from pyrt.host import RUNGS
from pyrt.ids import Ids
from pyrt.oci.image import ImageConfig
from pyrt.oci.spec import (
    Spec,
    SpecCapabilities,
    SpecDevice,
    SpecDeviceRule,
    SpecMount,
    SpecProcess,
    SpecRlimit,
    SpecUser,
)
from pyrt.request import HOST, PRIVATE, UNCONFINED, Device, DeviceRule, Mount, RunRequest
from pyrt.runtime import capabilities, etcfiles, rlimits, seccomp
from pyrt.runtime.users import Account
from pyrt.values import dataclass

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
    "/sys/firmware", "/sys/fs/selinux",
)  # fmt: skip
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

NODES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))

# Directories of the host's /dev that hold everything but nodes.
WITHOUT_NODES = ("/dev/shm", "/dev/mqueue", "/dev/hugepages")

# Files of /proc that a volume may replace, because file systems like lxcfs serve them (runc has the same list).
PROC_FILES = ("cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo", "stat", "swaps", "uptime", "sys/kernel/ns_last_pid")

IPC_SYSCTLS = (
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
    "kernel.shm_rmid_forced",
)  # fmt: skip

_CGROUP = SpecMount(
    destination="/sys/fs/cgroup", type="cgroup2", source="cgroup2", options=("ro", "nosuid", "noexec", "nodev")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the bundle needs to know of the container's place: where its own /etc files and each named volume are, the
    root's path for the record, the capabilities that we hold (bits), and the label that the security module has for it."""

    hostname: str
    root_path: str
    etc_files: tuple[tuple[str, str], ...]  # (path in the container, host path)
    volumes: tuple[tuple[str, str], ...]  # (target, host directory) of each named volume
    held: int
    apparmor_profile: str = ""
    selinux_label: str = ""
    ids: Ids | None = None  # of the user namespace that the container starts in
    fresh_proc: bool = True  # whether it may mount a procfs of its own


def make(request: RunRequest, image: ImageConfig | None, account: Account, place: Surroundings) -> Spec:
    """The spec of one container. Raises UsageError for what only shows here: no command, a mount on a forbidden place."""
    cwd = working_directory(request, image)
    bounding = bounding_set(request, place.held)
    permitted = bounding if account.uid == 0 else 0
    rules = () if place.ids else device_rules(request, bounding)
    alone = place.ids is not None and place.ids.is_single
    process = SpecProcess(
        args=arguments(request, image),
        env=environment(request, image, account, place.hostname, as_root=_configures_apt(place)),
        cwd=cwd,
        user=SpecUser(uid=account.uid, gid=account.gid, additional_gids=() if alone else account.groups),
        capabilities=SpecCapabilities(
            bounding=capabilities.names(bounding), permitted=capabilities.names(permitted)
        ),
        rlimits=tuple(
            SpecRlimit(
                type=f"RLIMIT_{limit.name.upper()}", soft=rlimits.value(limit.soft), hard=rlimits.value(limit.hard)
            )
            for limit in request.ulimits
        ),
        terminal=request.tty,
        no_new_privileges=request.no_new_privileges,
        apparmor_profile=place.apparmor_profile,
        selinux_label=place.selinux_label,
    )
    masked, read_only = covered_paths(request)
    return Spec(
        root_path=place.root_path,
        root_readonly=request.read_only,
        hostname=place.hostname,
        domainname=request.domainname or "",
        process=process,
        mounts=mounts(request, image, place, open_nodes=request.privileged or bool(rules)),
        namespaces=(*namespaces(request), *(("user",) if place.ids else ())),
        ids=place.ids,
        devices=devices(request),
        device_rules=rules,
        masked_paths=masked,
        readonly_paths=read_only,
        sysctl=sysctls(request),
        rootfs_propagation="slave" if any("slave" in m.propagation for m in request.mounts) else "private",
        seccomp=seccomp_profile(request),
        annotations=request.annotations,
    )


def bounding_set(request: RunRequest, held: int) -> int:
    """The capabilities that the container may ever have, of those that we hold (bits)."""
    return capabilities.effective(request.cap_add, request.cap_drop, held=held, privileged=request.privileged)


def seccomp_profile(request: RunRequest) -> str:
    """The path of a profile, "default" for pyrt's own, "" for none: --privileged has only one that is asked for (docker)."""
    profile = request.seccomp or (UNCONFINED if request.privileged else seccomp.DEFAULT)
    return "" if profile == UNCONFINED else profile


def check(request: RunRequest) -> None:
    """Values that no RunRequest may have, whoever made it. Raises UsageError, Unsupported."""
    if request.network not in ("host", "none"):
        raise Unsupported(f"network {request.network!r}: this version has host and none")
    for option in ("pid", "ipc", "uts", "cgroupns"):
        if getattr(request, option) not in ("", PRIVATE, HOST):
            raise UsageError(f"{option} {getattr(request, option)!r}: not {PRIVATE} or {HOST}")
    if request.userns != HOST:
        raise Unsupported(f"userns {request.userns!r}: not {HOST}", hint="isolation='userns' gives a user namespace")
    if request.uts == HOST and (request.hostname is not None or request.domainname is not None):
        raise UsageError("a host name of the container's own and the host's UTS namespace exclude each other")
    for rung in (request.isolation, request.min_isolation):
        if rung and rung not in RUNGS:
            raise UsageError(f"isolation {rung!r}: not one of {', '.join(RUNGS)}")
    if request.pull not in ("missing", "always", "never"):
        raise UsageError(f"pull {request.pull!r}: not missing, always or never")
    if request.seccomp not in ("", UNCONFINED) and not request.seccomp.startswith("/"):
        raise UsageError(f"seccomp profile {request.seccomp!r}: neither an absolute path nor {UNCONFINED}")
    for mount in request.mounts:
        check_mount(mount)
    for device in request.devices:
        if not device.permissions or not set(device.permissions) <= set("rwm"):
            raise UsageError(f"--device {device.source}: {device.permissions!r} are no permissions of r, w and m")
    for rule in request.device_rules:
        check_device_rule(rule)
    texts = [*request.argv, *(request.entrypoint or ()), request.workdir or ""]
    texts += [text for pair in request.env for text in pair]
    texts += [text for mount in request.mounts for text in (mount.source, mount.target, *mount.options)]
    for text in texts:
        try:
            valid = b"\0" not in os.fsencode(text)
        except UnicodeEncodeError:
            valid = False
        if not valid:
            raise UsageError(f"{text!r}: a NUL or a lone surrogate, which the kernel cannot be told")


def namespaces(request: RunRequest) -> tuple[str, ...]:
    """The namespaces of the container's own, by the runtime specification's names."""
    own = {
        "pid": request.pid != HOST,
        "mount": True,
        "uts": request.uts != HOST,
        "ipc": request.ipc != HOST,
        "cgroup": request.cgroupns != HOST,
        "network": request.network == "none",
    }
    return tuple(name for name, private in own.items() if private)


def covered_paths(request: RunRequest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is hidden and what can only be read: the defaults without those to leave open, and what else is to be hidden."""
    masked: tuple[str, ...] = () if request.privileged else (*MASKED, *thermal_throttles())
    read_only: tuple[str, ...] = () if request.privileged else READ_ONLY
    if request.unmask:
        masked = tuple(path for path in masked if not _is_open(path, request.unmask))
        read_only = tuple(path for path in read_only if not _is_open(path, request.unmask))
    return tuple(dict.fromkeys((*masked, *map(normal, request.mask)))), read_only


def _is_open(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether one of the patterns means this path: podman's, where ``/proc/*`` is every default below /proc."""
    from fnmatch import fnmatchcase

    return any(pattern == "ALL" or fnmatchcase(path, normal(pattern)) for pattern in patterns)


def check_mount(mount: Mount) -> None:
    """A kind that there is, absolute paths, and a propagation that can be given. Raises UsageError, Unsupported."""
    if mount.kind not in ("bind", "volume", "tmpfs"):
        raise UsageError(f"mount {mount.target}: {mount.kind!r} is none of bind, volume and tmpfs")
    if not mount.target.startswith("/"):
        raise UsageError(f"mount {mount.target!r}: the place in the container must be an absolute path")
    if mount.kind == "bind" and not mount.source.startswith("/"):
        raise UsageError(f"bind mount {mount.source!r}: the source must be an absolute path")
    if "shared" in mount.propagation:
        raise Unsupported(f"mount {mount.target}: {mount.propagation}, mounts that appear on the host, is not supported")
    if mount.propagation not in ("private", "rprivate", "slave", "rslave"):
        raise UsageError(f"mount {mount.target}: {mount.propagation!r} is no propagation")


def arguments(request: RunRequest, image: ImageConfig | None) -> tuple[str, ...]:
    """Entrypoint and command. docker's rule: an entrypoint given by the caller also drops the image's command."""
    own_entrypoint = (image.entrypoint if image else None) or ()
    own_command = (image.cmd if image else None) or ()
    if request.entrypoint is None:
        result = (*own_entrypoint, *(request.argv or own_command))
    else:
        result = (*request.entrypoint, *request.argv)
    if not result:
        raise UsageError("no command: the image names none, and none was given", hint="add one after the image's name")
    if not result[0]:
        raise UsageError("the command is an empty string")
    for word in result:
        if "\0" in word:
            raise UsageError("a word of the command has a NUL in it")
    return result


def environment(
    request: RunRequest, image: ImageConfig | None, account: Account, hostname: str, *, as_root: bool = False
) -> tuple[str, ...]:
    """The whole environment, in docker's order; nothing of the caller's own is in it."""
    values = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname}
    if as_root:
        values["APT_CONFIG"] = etcfiles.APT_CONFIG
    if request.tty:
        values["TERM"] = "xterm"
    for text in image.env if image else ():
        name, _, value = text.partition("=")
        if name:
            values[name] = value
    values.update(request.env)
    values.setdefault("HOME", account.home)
    for name, value in values.items():
        if not name or "\0" in name or "\0" in value or "=" in name:
            raise UsageError(f"environment variable {name!r}: no name, or a NUL or an equals sign where none can be")
    return tuple(f"{name}={value}" for name, value in values.items())


def working_directory(request: RunRequest, image: ImageConfig | None) -> str:
    """An absolute path of the container, without dots."""
    asked = request.workdir if request.workdir is not None else (image.working_dir if image else "") or "/"
    if not asked.startswith("/"):
        if request.workdir is not None:
            raise UsageError(f"working directory {asked!r}: not an absolute path")
        asked = "/" + asked
    if "\0" in asked:
        raise UsageError("the working directory has a NUL in it")
    return normal(asked)


def normal(path: str) -> str:
    """A path of the container without ``//``, ``.`` and ``..`` (by name: links are followed in the root, later)."""
    return "/" + posixpath.normpath("/" + path).lstrip("/")


def mounts(
    request: RunRequest, image: ImageConfig | None, place: Surroundings, *, open_nodes: bool = False
) -> tuple[SpecMount, ...]:
    """The default mounts, then the caller's and those of our /etc files, a parent always before what is below it. A mount of
    the caller takes the place of a default one with the same destination."""
    wanted = [user_mount(mount, dict(place.volumes), devices=open_nodes) for mount in request.mounts]
    wanted += image_volumes(image, {mount.destination for mount in wanted})
    for mount in wanted:
        check_target(mount.destination)
    if len({mount.destination for mount in wanted}) < len(wanted):
        raise UsageError("two mounts have the same place in the container")
    taken = {mount.destination for mount in wanted}
    files = [
        SpecMount(destination=target, type="bind", source=source, options=("bind", "rprivate"))
        for target, source in place.etc_files
    ]
    rw = "rw" if request.privileged else "ro"
    defaults = [
        _proc(place),
        SpecMount(
            destination="/dev",
            type="tmpfs",
            source="tmpfs",
            options=("nosuid", "noexec", "strictatime", "mode=755", "size=65536k"),
        ),
        SpecMount(
            destination="/dev/pts",
            type="devpts",
            source="devpts",
            options=("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", *_tty_group(place)),
        ),
        _shared_memory(request),
        SpecMount(destination="/dev/mqueue", type="mqueue", source="mqueue", options=("nosuid", "noexec", "nodev")),
        *_sys(request, place, rw),
        _CGROUP if not request.privileged else _replace_option(_CGROUP, "ro", "rw"),
    ]
    kept = [mount for mount in defaults if not _covered(mount.destination, taken)]
    wanted += [file for file in files if not _covered(file.destination, taken)]
    return (*kept, *sorted(wanted, key=lambda mount: mount.destination.count("/")))


def _configures_apt(place: Surroundings) -> bool:
    return any(target == etcfiles.APT_CONFIG for target, _ in place.etc_files)


def _proc(place: Surroundings) -> SpecMount:
    """A procfs of its own, or the one that pyrt sees: where that is masked (a pod), the kernel lets nobody mount another."""
    bits = ("nosuid", "noexec", "nodev")
    if place.fresh_proc:
        return SpecMount(destination="/proc", type="proc", source="proc", options=bits)
    return SpecMount(destination="/proc", type="bind", source="/proc", options=("rbind", "rslave", *bits))


def _sys(request: RunRequest, place: Surroundings, access: str) -> tuple[SpecMount, ...]:
    """A sysfs shows a network namespace, so a user namespace may mount one of its own network alone. The host's brings the
    host's cgroups along; they are covered, because a cgroup2 does not go on top of a cgroup2 (mount(2), EBUSY)."""
    bits = ("nosuid", "noexec", "nodev")
    if place.ids is None or request.network == "none":
        return (SpecMount(destination="/sys", type="sysfs", source="sysfs", options=(*bits, access)),)
    empty = (*bits, "ro", "mode=755", "size=4k")
    cover = SpecMount(destination=_CGROUP.destination, type="tmpfs", source="tmpfs", options=empty)
    return (SpecMount(destination="/sys", type="bind", source="/sys", options=("rbind", "rslave", *bits, access)), cover)


def _tty_group(place: Surroundings) -> tuple[str, ...]:
    """Terminals belong to the group tty, where there is an id for it."""
    return ("gid=5",) if place.ids is None or place.ids.has_group(5) else ()


def _shared_memory(request: RunRequest) -> SpecMount:
    """/dev/shm; with the host's IPC namespace the host's own."""
    bits = ("nosuid", "noexec", "nodev")
    if request.ipc == HOST:
        return SpecMount(destination="/dev/shm", type="bind", source="/dev/shm", options=("bind", "rprivate", *bits))
    options = (*bits, "mode=1777", f"size={request.shm_size}")
    return SpecMount(destination="/dev/shm", type="tmpfs", source="shm", options=options)


def _covered(destination: str, taken: set[str]) -> bool:
    """Whether a mount of the caller's is there, or above: what is below a directory of the caller's is the caller's, but for
    our files in an /etc of his (docker's way)."""
    return destination in taken or any(destination.startswith(target + "/") for target in taken if target != "/etc")


def _replace_option(mount: SpecMount, old: str, new: str) -> SpecMount:
    options = tuple(new if option == old else option for option in mount.options)
    return SpecMount(destination=mount.destination, type=mount.type, source=mount.source, options=options)


def device_request(request: RunRequest, bounding: int) -> str:
    """What was asked for that takes device rules, "" where nothing does: then mount flags keep every node shut that is not
    of our /dev, and nobody in the container can make one. With --privileged all nodes are open."""
    if request.privileged:
        return ""
    if bounding >> capabilities.number("MKNOD") & 1:
        return "capability MKNOD"
    if request.device_rules:
        return "--device-cgroup-rule"
    for device in request.devices:
        if not {"r", "w"} <= set(device.permissions):
            return f"--device {device.source} with {device.permissions} alone"
    carried = (mount.source for mount in request.mounts if mount.kind == "bind" and carries_devices(mount.source))
    return next((f"bind mount {source}" for source in carried), "")


def carries_devices(path: str) -> bool:
    """Whether this is the host's /dev or a directory below it that has nodes."""
    real = os.path.realpath(path)
    return (real == "/dev" or real.startswith("/dev/")) and os.path.isdir(real) and not _is_below(real, WITHOUT_NODES)


def _is_below(path: str, directories: tuple[str, ...]) -> bool:
    return any(path == directory or path.startswith(directory + "/") for directory in directories)


def device_rules(request: RunRequest, bounding: int) -> tuple[SpecDeviceRule, ...]:
    """The device rules of the container's cgroup, () where it needs none."""
    if not device_request(request, bounding):
        return ()
    from pyrt.runtime import device_rules

    # With m, for it is we who make the node; in the container that takes CAP_MKNOD, and with that any node may be made.
    nodes = tuple(
        SpecDeviceRule(type=node.type, major=node.major, minor=node.minor, access=device.permissions + "m")
        for device in request.devices
        for node in device_nodes(device)
    )
    asked = tuple(
        SpecDeviceRule(type=kind, major=rule.major, minor=rule.minor, access=rule.permissions)
        for rule in request.device_rules
        for kind in ("cb" if rule.kind == "a" else rule.kind)
    )
    return device_rules.allowed(nodes, asked, mknod=bool(bounding >> capabilities.number("MKNOD") & 1))


def check_device_rule(rule: DeviceRule) -> None:
    """Raises UsageError for what no device has."""
    numbers = ((rule.major, 0xFFF, "major"), (rule.minor, 0xFFFFF, "minor"))
    for number, last, name in numbers:
        if number is not None and not 0 <= number <= last:
            raise UsageError(f"device rule: {number} is no {name} number, which are 0 to {last}")
    if rule.kind not in ("a", "b", "c"):
        raise UsageError(f"device rule: {rule.kind!r} is none of a, b and c")
    if not rule.permissions or not set(rule.permissions) <= set("rwm"):
        raise UsageError(f"device rule: {rule.permissions!r} are no permissions of r, w and m")


def is_harmless_node(path: str) -> bool:
    """Whether this is one of the nodes that every container has (``-v /dev/null:/some/file`` hides a file)."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    number = (os.major(status.st_rdev), os.minor(status.st_rdev))
    return stat.S_ISCHR(status.st_mode) and any(number == (major, minor) for _, major, minor in NODES)


def user_mount(mount: Mount, volumes: dict[str, str], *, devices: bool = False) -> SpecMount:
    """One mount of the caller's as the spec has it; nodes in it open only with ``devices``."""
    target = normal(mount.target)
    if mount.kind == "tmpfs":
        options = ["nosuid", "nodev", *([] if "exec" in mount.options else ["noexec"])]
        options = [o for o in options if {"nosuid": "suid", "nodev": "dev"}.get(o, "") not in mount.options]
        options += [o for o in mount.options if o not in ("exec", "suid", "dev", "rw", *options)]
        if mount.size is not None:
            options.append(f"size={mount.size}")
        if mount.mode is not None or not any(o.startswith("mode=") for o in mount.options):
            options.append(f"mode={mount.mode if mount.mode is not None else 0o1777:o}")
        if mount.read_only and "ro" not in options:
            options.append("ro")
        return SpecMount(destination=target, type="tmpfs", source="tmpfs", options=tuple(options))
    if mount.kind == "volume" and not mount.source:
        # An anonymous one: the image's own content of that place, writable, and gone with the container.
        return SpecMount(destination=target, type="volume", source="", options=("ro",) if mount.read_only else ())
    source = volumes[target] if mount.kind == "volume" else mount.source
    bind = "rbind" if mount.recursive else "bind"
    access = "ro" if mount.read_only else "rw"
    nodev = () if devices or is_harmless_node(source) else ("nodev",)
    return SpecMount(destination=target, type="bind", source=source, options=(bind, mount.propagation, access, *nodev))


def image_volumes(image: ImageConfig | None, taken: set[str]) -> list[SpecMount]:
    """The image's VOLUMEs that the caller has put nothing on."""
    targets = [normal(path) for path in image.volumes] if image else []
    return [
        SpecMount(destination=target, type="volume", source="")
        for target in dict.fromkeys(targets)
        if target not in taken and target != "/"
    ]


def check_target(target: str) -> None:
    """Places that no mount may take: the root, and procfs but for the files that lxcfs serves. Raises UsageError."""
    if target == "/":
        raise UsageError("a mount on /: the root is the image's own", hint="use --rootfs for a root of your own")
    if target == "/proc" or (target.startswith("/proc/") and target.removeprefix("/proc/") not in PROC_FILES):
        raise UsageError(f"a mount on {target}: /proc is not to be covered")


def sysctls(request: RunRequest) -> tuple[tuple[str, str], ...]:
    """The kernel parameters, if each is one of the container's own namespaces (the OCI runtimes' list). Raises UsageError
    for any other: it would be set for the whole machine."""
    for name, value in request.sysctls:
        if not re.fullmatch(r"[a-z0-9_]+(\.[a-zA-Z0-9_-]+)+", name) or any(not c.isprintable() for c in value):
            raise UsageError(f"sysctl {name!r}: not a name and a value of sysctl(8)")
        of_ipc = request.ipc != HOST and (name in IPC_SYSCTLS or name.startswith("fs.mqueue."))
        if not of_ipc and not (name.startswith("net.") and request.network == "none"):
            hint = "with --network host it would be the host's" if name.startswith("net.") else ""
            raise UsageError(f"sysctl {name}: not one of the container's own namespaces", hint=hint)
    return request.sysctls


def thermal_throttles() -> tuple[str, ...]:
    """CPU directories whose counters tell what other containers do (moby's list); only where they exist."""
    base = "/sys/devices/system/cpu"
    try:
        names = os.listdir(base)
    except OSError:
        return ()
    paths = (f"{base}/{name}/thermal_throttle" for name in sorted(names) if name[:3] == "cpu" and name[3:].isdigit())
    return tuple(path for path in paths if os.path.isdir(path))


def devices(request: RunRequest) -> tuple[SpecDevice, ...]:
    """The six nodes that every container has, and what was asked for; with --privileged every node of the host's /dev."""
    nodes = [SpecDevice(path=f"/dev/{n}", type="c", major=a, minor=b, mode=0o666, source=f"/dev/{n}") for n, a, b in NODES]
    if request.privileged:
        known = {node.path for node in nodes}
        nodes += [node for node in host_devices() if node.path not in known]
    for device in request.devices:
        added = device_nodes(device)
        places = {node.path for node in added}
        nodes = [node for node in nodes if node.path not in places] + added
    return tuple(nodes)


def device_nodes(device: Device) -> list[SpecDevice]:
    """The node of the host as it is there; of a directory every one below it. Raises UsageError where there is none."""
    try:
        status = os.stat(device.source)
    except OSError as error:
        raise UsageError(f"--device {device.source}: {error.strerror}") from error
    target = normal(device.target)
    if not target.startswith("/dev/"):
        raise UsageError(f"--device {device.source}: its place in the container must be below /dev, not {target}")
    if stat.S_ISDIR(status.st_mode):
        return host_devices(device.source, target)
    if not (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)):
        raise UsageError(f"--device {device.source}: not a device node")
    return [_node(target, status, device.source)]


def _node(path: str, status: os.stat_result, source: str) -> SpecDevice:
    return SpecDevice(
        path=path,
        type="c" if stat.S_ISCHR(status.st_mode) else "b",
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        source=source,
    )


def host_devices(root: str = "/dev", target: str = "/dev") -> list[SpecDevice]:
    """Every device node of the host's /dev but those of other mounts' own business (pts, shm, mqueue, the console); or of
    another directory, with its place in the container."""
    found = []
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if os.path.join(directory, name) not in (f"{root}/pts", f"{root}/shm",
                    f"{root}/mqueue", f"{root}/fd")]  # fmt: skip
        for name in files:
            path = os.path.join(directory, name)
            if name in ("console", "ptmx"):
                continue
            try:
                status = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                found.append(_node(target + path.removeprefix(root), status, path))
    return found
