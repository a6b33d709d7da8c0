"""From an OCI spec to a plan for a place where nothing can be mounted and there are no namespaces: the rung "chroot".

The root is a directory, a copy of the image's layers or the caller's own. What others mount is either made in it (device nodes,
/dev/shm, the files of /etc), or served by a keeper (csrc/keeper.c): /proc, /sys, terminals, and the caller's volumes. That is a
convenience of paths and no boundary; what stands between such a container and the host are its capabilities, the seccomp filter
and, where the kernel has it, Landlock.
"""

from __future__ import annotations

import os

from pyrt.errors import PrivilegeError, Unsupported
from pyrt.oci.spec import Spec, SpecMount
from pyrt.plan import Keeper, Op, Plan, Served
from pyrt.request import HOST, PRIVATE, UNCONFINED, RunRequest
from pyrt.runtime import compile, notify_filter
from pyrt.values import dataclass, replace

LANDLOCK = 2  # the version of its interface from which on files can be renamed to another directory
MAX_PLACES = 128  # PYRT_KEEPER_MAX_PLACES
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_OWN = ("/proc", "/sys", "/dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the plan needs to know. ``copied``: the root is a copy of an image, and ours to change; ``nodes``: device nodes can
    be made in it, and open; ``landlock``: the kernel has it; ``machine``: uname(2)."""

    root: str
    copied: bool
    nodes: bool
    landlock: bool
    machine: str


def refuse(request: RunRequest) -> None:
    """Raises PrivilegeError for what was asked for by an option and takes namespaces or mounts."""
    asked = {
        "--network none": request.network == "none",
        "--read-only": request.read_only,
        **{f"--{name} {PRIVATE}": getattr(request, name) == PRIVATE for name in ("pid", "ipc", "uts", "cgroupns")},
        "--hostname": request.hostname is not None,
        "--domainname": request.domainname is not None,
        "--sysctl": bool(request.sysctls),
        "--tmpfs": any(mount.kind == "tmpfs" for mount in request.mounts),
        "--device-cgroup-rule": bool(request.device_rules),
        "--device with less than rw": any(not {"r", "w"} <= set(device.permissions) for device in request.devices),
        "--cap-add MKNOD": any(name.upper().removeprefix("CAP_") == "MKNOD" for name in request.cap_add),
        "--shm-size": request.shm_size != RunRequest().shm_size,
        "--scratch memory": request.scratch == "memory",
        "--security-opt mask": bool(request.mask),
        "--security-opt label": bool(request.label),
        f"--security-opt apparmor={request.apparmor}": request.apparmor not in ("", UNCONFINED),
    }
    for option, wanted in asked.items():
        if wanted:
            raise PrivilegeError(
                f"{option}: not to be had in a chroot: there are neither mounts nor namespaces here",
                hint="pyrt doctor says what would change that",
            )


def fitted(request: RunRequest) -> RunRequest:
    """The request as this rung can carry it out, after ``refuse``: everything that is not the root is the host's own, and what
    was set-user-id is not, because without CAP_SYS_ADMIN a filter wants no_new_privs (seccomp(2))."""
    return replace(request, uts=HOST, no_new_privileges=True)


def without_namespaces(spec: Spec) -> Spec:
    """The spec as it is carried out."""
    return replace(spec, namespaces=(), device_rules=(), hostname="")


def plan(spec: Spec, placement: compile.Placement, place: Place) -> Plan:
    """The plan for one container. Raises Unsupported for what this rung has no place for."""
    base = placement.directory
    ops = [Op("directory", source=place.root)]
    served: list[Served] = []
    own_dev = any(mount.destination == "/dev" and mount.type == "tmpfs" for mount in spec.mounts)
    for mount in spec.mounts:
        _mount(spec, mount, place, placement, ops, served)
        if own_dev and mount.destination == "/dev":
            _devices(spec, place, base, ops, served)
    for path in spec.masked_paths:
        served.append(Served(target=path, source=path, empty=f"{base}/empty", flags=("read_only", "optional", "devices")))
    if len(served) > MAX_PLACES:
        raise Unsupported(f"{len(served)} volumes and paths: in a chroot there is room for {MAX_PLACES}")
    user = spec.process.user
    window = placement.window[0] << 16 | placement.window[1]
    if spec.process.terminal:
        ops.append(Op("console", uid=user.uid, mode=window, flags=("host_terminal",)))
    if spec.process.cwd != "/":
        ops += _working_directory(spec.process.cwd, user.uid, user.gid, served)
    program = replace(compile.program(spec, placement), notify=notify_filter.compiled(place.machine))
    return Plan(
        ops=(*_scratch(placement, place, served), *ops),
        namespaces=(),
        newroot=place.root,
        program=program,
        keeper=Keeper(places=tuple(served), landlock=place.landlock),
    )


def _scratch(placement: compile.Placement, place: Place, served: list[Served]) -> list[Op]:
    """The container's own directories and files outside of its root, as far as it needs them: each costs a start a write."""
    base, sources = placement.directory, {one.source for one in served}
    files = [(name, text) for name, text in placement.files if f"{base}/{name}" in sources]
    directories = ("empty", "covered" if place.copied else "dev", *(("etc",) if files else ()))
    return [
        *(Op("scratch_directory", target=f"{base}/{name}", mode=0o700) for name in directories),
        *(Op("scratch_file", target=f"{base}/{name}", data=text, mode=0o644) for name, text in files),
        *(_dev_files(base) if not place.copied else ()),
    ]


def _dev_files(base: str) -> list[Op]:
    links = [Op("scratch_link", target=f"{base}/dev/{name}", source=source) for name, source in _LINKS.items()]
    return [*links, Op("scratch_directory", target=f"{base}/dev/shm", mode=0o1777)]


def _mount(
    spec: Spec, mount: SpecMount, place: Place, placement: compile.Placement, ops: list[Op], served: list[Served]
) -> None:
    target, base = mount.destination, placement.directory
    ours = ("ours",) if place.copied else ()
    if mount.type in ("proc", "sysfs"):
        flags = ("proc", "read_only", *ours) if mount.type == "proc" else ("read_only", "optional", *ours)
        ops.append(_place(target, target, place, base, len(ops)))
        served.append(Served(target=target, source=target, flags=flags))
    elif mount.type == "volume":
        if "ro" in mount.options:
            raise Unsupported(f"-v {target}:ro: in a chroot an anonymous volume cannot be read-only")
        ops.append(Op("mkdir", target=target, mode=0o755))
    elif mount.type == "bind":
        name = next((name for name, _ in placement.files if f"{base}/{name}" == mount.source), "")
        if name and place.copied and not _covering(target, served):
            ops.append(Op("file", target=target, data=dict(placement.files)[name], mode=0o644))
            return
        access = ("read_only",) if "ro" in mount.options else ()
        devices = () if "nodev" in mount.options else ("devices",)
        ops.append(_place(target, mount.source, place, base, len(ops)))
        served.append(Served(target=target, source=mount.source, flags=(*access, *devices, *ours)))
    elif target == "/dev/shm" and place.copied:
        ops.append(Op("mkdir", target=target, mode=0o1777))


def _place(target: str, source: str, place: Place, base: str, number: int) -> Op:
    """What is in the way of a place that will be served is moved out of a copy, so that the kernel never finds it; a root of
    the caller's is left as it is."""
    real = ("real_directory",) if target in _OWN else ()
    optional = ("optional",) if target == "/sys" else ()
    aside = f"{base}/covered/{number}" if place.copied else None
    return Op("place", target=target, source=source, data=aside, flags=(*real, *optional))


def _devices(spec: Spec, place: Place, base: str, ops: list[Op], served: list[Served]) -> None:
    """A /dev of the container's own. In a root that is not ours the whole of it is served, from a directory of the
    container's."""
    if place.copied:
        ops.append(Op("place", target="/dev", data=f"{base}/covered/dev", flags=("real_directory",)))
        ops += [Op("symlink", target=f"/dev/{name}", source=source) for name, source in _LINKS.items()]
    else:
        ops.append(Op("place", target="/dev", flags=("real_directory",)))
        served.append(Served(target="/dev", source=f"{base}/dev"))
    for device in spec.devices:
        if place.copied and place.nodes:
            ops.append(compile.node(device))
        else:
            _serve_device(device.path, device.source, place, ops, served)
    if os.path.exists("/dev/pts"):
        _serve_device("/dev/pts", "/dev/pts", place, ops, served)
    # Nothing stands for it in the root: whom the keeper cannot read, and who opens it natively, shall find that there is none.
    served.append(Served(target="/dev/ptmx", source="/dev/ptmx", flags=("devices", "optional", "absent")))


def _serve_device(target: str, source: str, place: Place, ops: list[Op], served: list[Served]) -> None:
    if place.copied:
        ops.append(Op("place", target=target, source=source, flags=("optional",)))
    served.append(Served(target=target, source=source, flags=("devices", "optional")))


def _working_directory(path: str, uid: int, gid: int, served: list[Served]) -> list[Op]:
    """Made where it is missing, also in a volume, if that can be written."""
    above = _covering(path, served)
    if above is None:
        return [Op("mkdir", target=path, mode=0o755, uid=uid, gid=gid)]
    rest = path.removeprefix(above.target)
    if not rest or "read_only" in above.flags:
        return []
    return [Op("mkdir", target=rest, source=above.source, mode=0o755, uid=uid, gid=gid)]


def _covering(path: str, served: list[Served]) -> Served | None:
    """The nearest of what is served at a path or above it."""
    above = [one for one in served if path == one.target or path.startswith(one.target + "/")]
    return max(above, key=lambda one: len(one.target), default=None)
