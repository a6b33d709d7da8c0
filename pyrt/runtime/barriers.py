"""Which barriers a container has: read off its spec, so that what is said is what is carried out."""

from __future__ import annotations

from functools import lru_cache

from pyrt.errors import PrivilegeError
from pyrt.host import CHROOT, DOCTOR, FULL, RUNGS, USERNS, Host
from pyrt.ids import DIRECT, SINGLE, SUBORDINATE
from pyrt.isolation import Barrier, Isolation
from pyrt.oci.spec import Spec
from pyrt.request import HOST, UNCONFINED, RunRequest
from pyrt.runtime.capabilities import DEFAULT

CONVENIENCE = "served by a process of pyrt's: a convenience of paths, not a boundary"
NAMESPACES = ("pid", "mount", "uts", "ipc", "cgroup", "network")  # of a full rung; a user namespace is another rung's

_IDS = {
    DIRECT: "root is no root outside of it; the ids of this place",
    SUBORDINATE: "root is the caller outside of it, other users are subordinate ids",
    SINGLE: "root is the caller outside of it, and there is no other user",
}


def require(request: RunRequest, host: Host) -> None:
    """Raises PrivilegeError for a barrier, or a thing, that was asked for and that this rung cannot give."""
    least = request.min_isolation
    if least and RUNGS.index(host.rung) > RUNGS.index(least):
        why = dict(host.refused).get(least, "")
        raise PrivilegeError(f"isolation {host.rung}, which is less than {least}: {why}", hint=DOCTOR)
    if host.rung == CHROOT:
        from pyrt.runtime import compile_chroot

        compile_chroot.refuse(request)
    if host.rung != USERNS:
        return
    asked = {
        "--pid host": request.pid == HOST,
        "--device-cgroup-rule": bool(request.device_rules),
        "--device with less than rw": any(not {"r", "w"} <= set(device.permissions) for device in request.devices),
        "--group-add": bool(request.group_add) and host.is_mapped_alone(),
    }
    for option, wanted in asked.items():
        if wanted:
            raise PrivilegeError(f"{option}: not to be had without root ({dict(host.refused).get(FULL, 'a user namespace')})")


def of(spec: Spec, host: Host, absent: tuple[tuple[str, str], ...] = ()) -> Isolation:
    """The isolation of one container. ``absent`` are (barrier, reason) of what this machine cannot give."""
    process = spec.process
    found = _of(
        host.rung,
        spec.ids.how if spec.ids else "",
        any(mount.destination == "/proc" and mount.type == "bind" for mount in spec.mounts),
        spec.namespaces,
        process.capabilities.bounding,
        process.user.uid,
        process.no_new_privileges,
        spec.seccomp,
        process.apparmor_profile,
        process.selinux_label,
        spec.masked_paths,
        spec.readonly_paths,
        len(spec.device_rules),
        absent,
    )
    return found if host.rung != CHROOT else _in_chroot(found)


def _in_chroot(found: Isolation) -> Isolation:
    """What is a convenience there is called one, and no barrier."""
    from pyrt._native import landlock
    from pyrt.runtime.compile_chroot import LANDLOCK

    version = landlock.version()
    scopes = ", no signals to others" if version >= 6 else ""
    changed = {
        **{f"{name} namespace": "none can be made here: the host's own" for name in NAMESPACES},
        "user namespace": "root is root of this place, with few capabilities",
        "own /proc": CONVENIENCE,
        "masked paths": CONVENIENCE,
        "read-only paths": CONVENIENCE,
        "AppArmor": "what pyrt itself is confined by",
    }
    barriers = [
        Barrier(name=one.name, on=False, why=changed[one.name]) if one.name in changed else one for one in found.barriers
    ]
    barriers.append(Barrier(name="root directory", on=False, why="chroot: a change of paths, not a boundary"))
    if version >= LANDLOCK:
        what = f"no file is opened but below the root and the volumes{scopes}"
        barriers.append(Barrier(name="Landlock", on=True, why=what))
    else:
        why = "this kernel's forbids renames (5.13 to 5.18)" if version else "the kernel has none, or a filter forbids it"
        barriers.append(Barrier(name="Landlock", on=False, why=why))
    return Isolation(rung=found.rung, barriers=tuple(barriers))


@lru_cache(maxsize=64)
def _of(
    rung: str,
    ids: str,
    outer_proc: bool,
    namespaces: tuple[str, ...],
    bounding: tuple[str, ...],
    uid: int,
    no_new_privileges: bool,
    seccomp: str,
    apparmor: str,
    selinux: str,
    masked: tuple[str, ...],
    read_only: tuple[str, ...],
    device_rules: int,
    absent: tuple[tuple[str, str], ...],
) -> Isolation:
    reasons = dict(absent)

    def barrier(name: str, on: bool, what: str = "", off: str = "") -> Barrier:
        return Barrier(name=name, on=on, why=what if on else reasons.get(name, off))

    beyond = [name.removeprefix("CAP_") for name in bounding if name.removeprefix("CAP_") not in DEFAULT]
    more = f", {', '.join(beyond) if len(beyond) < 5 else len(beyond)} beyond the default" if beyond else ""
    open_nodes = "CAP_MKNOD" in bounding and not device_rules
    nodes = f"{device_rules} rules of a cgroup" if device_rules else "only the nodes that pyrt made"
    return Isolation(
        rung=rung,
        barriers=(
            *(barrier(f"{name} namespace", name in namespaces, off="the host's own") for name in NAMESPACES),
            barrier("user namespace", bool(ids), _IDS.get(ids, ""), "root is the host's root, with few capabilities"),
            *(barrier("own groups", False, off="the caller's supplementary groups stay") for _ in [0] if ids == SINGLE),
            barrier("own /proc", not outer_proc, off="a fresh one is refused here: /proc shows what pyrt itself can see"),
            barrier("capabilities", len(beyond) < 20, f"{len(bounding)}{more}", f"all {len(bounding)} that pyrt has"),
            barrier("seccomp", bool(seccomp), seccomp, UNCONFINED),
            barrier("no_new_privs", no_new_privileges, "set-user-id gives nothing", "not asked for"),
            barrier("AppArmor", bool(apparmor), apparmor, UNCONFINED),
            barrier("SELinux", bool(selinux), selinux, "no label"),
            barrier("masked paths", bool(masked), f"{len(masked)} hidden", "nothing is hidden"),
            barrier("read-only paths", bool(read_only), ", ".join(read_only), "nothing is closed"),
            barrier("devices", not open_nodes, nodes, "the container may make device nodes"),
            barrier("non-root user", uid != 0, f"uid {uid}", "uid 0"),
        ),
    )  # fmt: skip
