"""An OCI bundle for crun and runc: the spec that pyrt itself has for the same command, and the same files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OCI_VERSION = "1.0.2"
ETC = ("hostname", "hosts", "resolv.conf")


def write_bundle(directory: Path, spec: Mapping[str, Any], layer: Path) -> Path:
    """Makes ``directory`` a bundle. ``spec`` is what ``pyrt run --dry-run`` prints, ``layer`` the unpacked layer that becomes
    its root (a copy: a runtime makes directories in it)."""
    directory.mkdir()
    subprocess.run(["cp", "-a", str(layer), str(directory / "rootfs")], check=True)
    for name in ETC:
        (directory / name).write_text("127.0.0.1 localhost\n")
    (directory / "config.json").write_text(json.dumps(_portable(spec, directory)))
    return directory


def _portable(spec: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """The spec with a root and /etc files that exist while no container of pyrt's does, in the words of older runtimes: they
    refuse a newer version of the spec, and the cgroup mount is called "cgroup" whichever version the machine has. All
    devices are allowed: pyrt makes no device cgroup, and so nobody has to."""
    mounts = []
    for mount in spec["mounts"]:
        name = mount["destination"].removeprefix("/etc/")
        if name in ETC:
            mount = {**mount, "source": str(directory / name)}
        elif mount["type"] == "cgroup2":
            mount = {**mount, "type": "cgroup", "source": "cgroup"}
        mounts.append(mount)
    root = {"path": "rootfs", "readonly": False}
    linux = {**spec["linux"], "resources": {"devices": [{"allow": True, "access": "rwm"}]}}
    return {**spec, "ociVersion": OCI_VERSION, "root": root, "mounts": mounts, "linux": linux}
