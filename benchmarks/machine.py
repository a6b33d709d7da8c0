"""What a reader must know of the machine and the peers to make sense of a number; nothing that names the machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from benchmarks.workplace import PARENT

# program -> the arguments that make it say its version
PEERS = {
    "podman": ("--version",),
    "skopeo": ("--version",),
    "umoci": ("--version",),
    "crun": ("--version",),
    "runc": ("--version",),
    "bwrap": ("--version",),
    "tar": ("--version",),
    "bsdtar": ("--version",),
    "docker-registry": ("--version",),
}


def facts() -> list[tuple[str, str]]:
    """(what, value) of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        ("CPU", f"{_cpu()}, {os.cpu_count()} cores"),
        ("memory", f"{memory:.0f} GB"),
        ("kernel", f"Linux {platform.release()} {platform.machine()}"),
        ("system", _field("/etc/os-release", "PRETTY_NAME", "=").strip('"')),
        ("file system", _file_system(os.environ.get("PYRT_BENCH_DIR", PARENT))),
        ("Python", platform.python_version()),
    ]


def versions() -> list[tuple[str, str]]:
    """(program, the first line of what it says of itself) of every peer that is there."""
    found = []
    for program, arguments in PEERS.items():
        if shutil.which(program):
            said = subprocess.run([program, *arguments], capture_output=True, text=True)
            found.append((program, (said.stdout or said.stderr).splitlines()[0]))
    return found


def _cpu() -> str:
    return _field("/proc/cpuinfo", "model name", ":") or platform.processor() or platform.machine()


def _field(path: str, name: str, separator: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(separator)
        if key.strip() == name:
            return value.strip()
    return ""


def _file_system(directory: str) -> str:
    said = subprocess.run(["findmnt", "-n", "-o", "FSTYPE", "-T", directory], capture_output=True, text=True)
    return said.stdout.strip()
