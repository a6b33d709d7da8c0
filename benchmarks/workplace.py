"""A directory for everything that the benchmarks write, on a disk, and an environment without the user's configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PARENT = "/var/tmp"  # on a disk even where /tmp is in memory; short, because podman takes no runroot over 50 characters


@contextmanager
def workplace(environ: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """A new directory, on a file system of its own where that can be had: what others do on this disk in the meantime, and
    what they removed before (see fresh_directories.py), is then felt less. Gone with all that is mounted below it when
    the block ends. PYRT_BENCH_DIR is another place for it, to be used as it is.
    """
    given = environ.get("PYRT_BENCH_DIR")
    place = Path(tempfile.mkdtemp(prefix="pyrt-", dir=given or PARENT))
    try:
        yield place if given else own_file_system(place)
    finally:
        remove(place)


def own_file_system(place: Path) -> Path:
    """The root of a new ext4, whose disk is a file in ``place``; ``place`` itself where the machine cannot do that."""
    disk, root = place / "disk", place / "m"
    with disk.open("wb") as file:
        file.truncate(shutil.disk_usage(place).free * 4 // 5)
    root.mkdir()
    try:
        _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=1,lazy_journal_init=1", str(disk))
        device = _run("losetup", "--find", "--show", "--direct-io=on", str(disk)).strip()
    except (OSError, subprocess.CalledProcessError):
        return place
    try:
        _run("mount", "-o", "noinit_itable", device, str(root))
    except subprocess.CalledProcessError:
        return place
    finally:
        _run("losetup", "--detach", device)  # at once, or when it is unmounted
    return root


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def remove(directory: Path) -> None:
    """Removes a directory and unmounts what is below it: storage drivers leave a mount of their own."""
    if not directory.exists():
        return
    with open("/proc/self/mountinfo") as file:
        mounted = [line.split()[4] for line in file]
    for point in reversed([point for point in mounted if Path(point).is_relative_to(directory)]):
        _run("umount", "-l", point)
    _run("rm", "-rf", str(directory))


def environment(home: Path) -> dict[str, str]:
    """For every contestant: HOME is ``home``, and nothing says anything else than the machine's own configuration."""
    (home / "run").mkdir(parents=True, exist_ok=True)
    found = {"HOME": str(home), "PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(home / "run"), "LC_ALL": "C.UTF-8"}
    if installed_script() is None:
        found["PYTHONPATH"] = str(REPOSITORY)
    return found


def have(*programs: str) -> bool:
    """Whether all of them are on PATH."""
    return all(shutil.which(program) for program in programs)


def installed_script() -> str | None:
    """The command ``pyrt`` of the environment whose Python runs this."""
    return shutil.which("pyrt", path=os.path.dirname(sys.executable))


def pyrt_command(root: Path) -> list[str]:
    """pyrt as a user types it, on the store at ``root``; where it is not installed, as a module of this Python."""
    script = installed_script()
    return [*([script] if script else [sys.executable, "-m", "pyrt"]), "--root", str(root)]
