"""A pod of Kubernetes as most are: runc with docker's capabilities and masked paths, no seccomp profile, on overlayfs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.places.place import (
    IDS,
    OWN_GROUPS,
    OWN_PROC,
    PATH,
    Expected,
    Inside,
    Open,
    Place,
    Shelf,
    cgroup_name,
    make_channel,
    serving,
)
from tests.support.parts import need

_CAPABILITIES = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip
_MASKED = ("acpi", "asound", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list", "timer_stats")
_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
_NO = ["nosuid", "noexec", "nodev"]
_MOUNTS: tuple[tuple[str, str, str, list[str]], ...] = (
    ("/proc", "proc", "proc", _NO),
    ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
    ("/sys", "sysfs", "sysfs", [*_NO, "ro"]),
    ("/sys/fs/cgroup", "cgroup", "cgroup", [*_NO, "ro"]),
    ("/dev/mqueue", "mqueue", "mqueue", _NO),
    ("/dev/shm", "tmpfs", "shm", [*_NO, "mode=1777", "size=65536k"]),
    ("/etc/resolv.conf", "bind", "/etc/resolv.conf", ["bind", "ro"]),
)

# The root is an overlay as docker's and containerd's are: what pyrt's store lies on decides how it stacks layers. Mounted in a
# namespace of its own, it is gone with runc.
_RUN = """
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/bundle/rootfs"
exec runc --root "$2/state" run --bundle "$2/bundle" "$3"
"""


def _as(uid: int) -> Open:
    @contextmanager
    def opened(shelf: Shelf, work: Path) -> Iterator[Inside]:
        need("runc", "unshare")
        channel = make_channel(work)
        for name in ("upper", "work", "state", "bundle", "bundle/rootfs"):
            (work / name).mkdir()
        # As a Dockerfile's RUN useradd leaves it.
        home = work / "upper" / "home" / "guest"
        home.mkdir(parents=True)
        home.chmod(0o700)
        os.chown(home, uid, uid)
        config = _config(shelf, channel, uid, cgroup_name(work))
        (work / "bundle" / "config.json").write_text(json.dumps(config))
        inside = Inside(channel, "/home/guest")
        run = ["sh", "-ec", _RUN, "sh", str(shelf.base), str(work), cgroup_name(work)]
        with serving(["unshare", "--mount", "--propagation", "private", *run], inside, shelf, work):
            yield inside

    return opened


def _config(shelf: Shelf, channel: Path, uid: int, name: str) -> dict[str, object]:
    capabilities = [f"CAP_{capability}" for capability in _CAPABILITIES]
    shared = [(str(shelf.root), ["rbind", "ro"]), (str(channel), ["rbind", "rw"])]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": uid, "gid": uid},
            "args": shelf.agent(channel),
            "env": [f"PATH={PATH}"],
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
        },
        "root": {"path": "rootfs"},
        "hostname": "pod",
        "mounts": [
            *({"destination": to, "type": kind, "source": source, "options": how} for to, kind, source, how in _MOUNTS),
            *({"destination": path, "type": "bind", "source": path, "options": how} for path, how in shared),
        ],
        "linux": {
            "cgroupsPath": f"/{name}",
            "resources": {"devices": [{"allow": False, "access": "rwm"}, *_devices()]},
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")],
            "maskedPaths": [*(f"/proc/{path}" for path in _MASKED), "/sys/firmware"],
            "readonlyPaths": [f"/proc/{path}" for path in _READ_ONLY],
        },
    }


def _devices() -> list[dict[str, object]]:
    """Docker's device rules: mknod of everything, use of the harmless ones and of terminals."""
    usable = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2))
    return [
        {"allow": True, "type": "c", "access": "m"},
        {"allow": True, "type": "b", "access": "m"},
        *({"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"} for major, minor in usable),
        {"allow": True, "type": "c", "major": 136, "access": "rwm"},
    ]


PLACES = (
    Place(
        name="pod as root",
        about="root in a container of runc with docker's capabilities and masked paths and no seccomp profile: most pods",
        expected=Expected(rung="userns", off=OWN_PROC, raised=OWN_PROC | {"layers"}),
        open=_as(0),
    ),
    Place(
        name="pod as uid 1000",
        about="the same pod as uid 1000",
        expected=Expected(rung="userns", ids="one", off=OWN_GROUPS | OWN_PROC, raised=IDS | OWN_PROC | {"layers"}),
        open=_as(1000),
    ),
)
