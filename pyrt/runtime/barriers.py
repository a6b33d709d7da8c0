"""Which barriers a container has: read off its spec, so that what is said is what is carried out."""

from __future__ import annotations

from functools import lru_cache

from pyrt.isolation import Barrier, Isolation
from pyrt.oci.spec import Spec
from pyrt.request import UNCONFINED
from pyrt.runtime.capabilities import DEFAULT

FULL = "full"
NAMESPACES = ("pid", "mount", "uts", "ipc", "cgroup", "network")  # of a full rung; a user namespace is another rung's


def of(spec: Spec, absent: tuple[tuple[str, str], ...] = ()) -> Isolation:
    """The isolation of one container. ``absent`` are (barrier, reason) of what this machine cannot give."""
    process = spec.process
    return _of(
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


@lru_cache(maxsize=64)
def _of(
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
        rung=FULL,
        barriers=(
            *(barrier(f"{name} namespace", name in namespaces, off="the host's own") for name in NAMESPACES),
            barrier("user namespace", "user" in namespaces, off="root is the host's root, with few capabilities"),
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
