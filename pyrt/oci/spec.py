"""A container as the OCI runtime specification describes it (config.json, runtime-spec 1.2), as far as pyrt carries it out.

Pure values. ``Spec.to_json()`` is the document that ``pyrt run --dry-run`` prints and ``pyrt inspect`` keeps; field names
there are the specification's.
"""

from __future__ import annotations

from pyrt.ids import Ids, Range
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

OCI_VERSION = "1.2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecMount:
    """config.md, Mounts. ``options`` are mount(8)'s words: ro, nosuid, rbind, rprivate, size=64m ..."""

    destination: str
    type: str
    source: str
    options: tuple[str, ...] = ()

    def to_json(self) -> Json:
        return {"destination": self.destination, "type": self.type, "source": self.source, "options": [*self.options]}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecDevice:
    """config-linux.md, Devices. ``type`` is c, b or p; ``mode`` the permission bits. ``source`` is the host's node, for who may
    make none."""

    path: str
    type: str
    major: int
    minor: int
    mode: int
    uid: int = 0
    gid: int = 0
    source: str = ""

    def to_json(self) -> Json:
        return {
            "path": self.path,
            "type": self.type,
            "major": self.major,
            "minor": self.minor,
            "fileMode": self.mode,
            "uid": self.uid,
            "gid": self.gid,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecDeviceRule:
    """config-linux.md, Allowed Device list: one entry that allows. ``type`` is c or b, ``access`` letters of r, w and m; a
    number that is None stands for all."""

    type: str
    major: int | None
    minor: int | None
    access: str

    def to_json(self) -> Json:
        numbers = {"major": self.major, "minor": self.minor}
        given = {name: number for name, number in numbers.items() if number is not None}
        return {"allow": True, "type": self.type, **given, "access": self.access}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecRlimit:
    """config.md, POSIX process, rlimits. ``type`` is RLIMIT_NOFILE and so on; values as getrlimit(2)'s."""

    type: str
    soft: int
    hard: int

    def to_json(self) -> Json:
        return {"type": self.type, "soft": self.soft, "hard": self.hard}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecUser:
    """config.md, User: numbers of the container's user namespace."""

    uid: int
    gid: int
    additional_gids: tuple[int, ...] = ()
    umask: int = 0o022

    def to_json(self) -> Json:
        return {"uid": self.uid, "gid": self.gid, "umask": self.umask, "additionalGids": [*self.additional_gids]}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecCapabilities:
    """config.md, Linux process, capabilities. Inheritable and ambient are always empty (CVE-2022-29162)."""

    bounding: tuple[str, ...]
    permitted: tuple[str, ...]

    def to_json(self) -> Json:
        permitted = [*self.permitted]
        return {
            "bounding": [*self.bounding],
            "effective": permitted,
            "permitted": permitted,
            "inheritable": [],
            "ambient": [],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecProcess:
    """config.md, Process."""

    args: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    user: SpecUser
    capabilities: SpecCapabilities
    rlimits: tuple[SpecRlimit, ...] = ()
    terminal: bool = False
    no_new_privileges: bool = False
    apparmor_profile: str = ""
    selinux_label: str = ""

    def to_json(self) -> Json:
        return {
            "terminal": self.terminal,
            "user": self.user.to_json(),
            "args": [*self.args],
            "env": [*self.env],
            "cwd": self.cwd,
            "capabilities": self.capabilities.to_json(),
            "rlimits": [limit.to_json() for limit in self.rlimits],
            "noNewPrivileges": self.no_new_privileges,
            **({"apparmorProfile": self.apparmor_profile} if self.apparmor_profile else {}),
            **({"selinuxLabel": self.selinux_label} if self.selinux_label else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One container. ``root_path`` is the directory that the bundle's root stands for, as the record keeps it. ``seccomp``
    names the profile ("" for none), whose filter is in the plan; a document has no place for a name, so it is not in there.
    Where there are ``device_rules`` they allow all that is allowed; where there are none, mount flags stand before a node."""

    root_path: str
    root_readonly: bool
    hostname: str
    domainname: str = ""
    process: SpecProcess
    mounts: tuple[SpecMount, ...]
    namespaces: tuple[str, ...]  # of pid, network, mount, ipc, uts, cgroup, user
    devices: tuple[SpecDevice, ...] = ()
    device_rules: tuple[SpecDeviceRule, ...] = ()
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    sysctl: tuple[tuple[str, str], ...] = ()
    rootfs_propagation: str = "private"
    seccomp: str = ""
    ids: Ids | None = None  # of a user namespace; root of the kernel's first one makes nodes and mounts what nobody else may
    annotations: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> Json:
        """The whole document, ready for json.dump."""
        return {
            "ociVersion": OCI_VERSION,
            "process": self.process.to_json(),
            "root": {"path": self.root_path, "readonly": self.root_readonly},
            "hostname": self.hostname,
            **({"domainname": self.domainname} if self.domainname else {}),
            "mounts": [mount.to_json() for mount in self.mounts],
            "annotations": dict(self.annotations),
            "linux": {
                "namespaces": [{"type": name} for name in self.namespaces],
                **(_mappings(self.ids) if self.ids else {}),
                "devices": [device.to_json() for device in self.devices],
                **({"resources": {"devices": self._devices_list()}} if self.device_rules else {}),
                "maskedPaths": [*self.masked_paths],
                "readonlyPaths": [*self.readonly_paths],
                "sysctl": dict(self.sysctl),
                "rootfsPropagation": self.rootfs_propagation,
            },
        }

    def _devices_list(self) -> list[Json]:
        """The first entry denies everything, as the specification wants it."""
        return [{"allow": False, "access": "rwm"}, *(rule.to_json() for rule in self.device_rules)]


def _mappings(ids: Ids) -> Json:
    """config-linux.md, User namespace mappings."""

    def maps(ranges: tuple[Range, ...]) -> list[Json]:
        return [{"containerID": one.inside, "hostID": one.outside, "size": one.count} for one in ranges]

    return {"uidMappings": maps(ids.users), "gidMappings": maps(ids.groups)}
