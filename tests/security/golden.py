"""What the prober finds in each mode, recorded: golden/MACHINE/MODE.json. A test compares.

``python -m tests.security.golden`` records all of them anew, or those that are named; run it as root where pyrt works, read the
difference, and say in the commit why each line changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import images, prober

DIRECTORY = Path(__file__).with_name("golden") / os.uname().machine

# mode -> options of ``pyrt run``
MODES: dict[str, tuple[str, ...]] = {
    "default": (),
    "user": ("--user", "1000"),
    "named-user": ("--user", "app:2000", "--group-add", "3000"),
    "read-only": ("--read-only",),
    "no-network": ("--network", "none"),
    "terminal": ("-t",),
    "init": ("--init",),
    "no-capabilities": ("--cap-drop", "ALL"),
    "no-new-privileges": ("--security-opt", "no-new-privileges"),
    "unconfined": ("--security-opt", "seccomp=unconfined"),
    "host-namespaces": ("--pid", "host", "--ipc", "host", "--uts", "host", "--cgroupns", "host"),
    "privileged": ("--privileged",),
    "chroot": ("--isolation", "chroot"),
    "chroot-user": ("--isolation", "chroot", "--user", "1000"),
    "userns": ("--isolation", "userns"),
    "userns-user": ("--isolation", "userns", "--user", "1000"),
    "userns-no-network": ("--isolation", "userns", "--network", "none"),
}
_PROCESSES = ("processes", "pid", "ppid", "exe_1", "root_1", "status", "dev", "session")
_OF_THE_HOST = {
    "host-namespaces": _PROCESSES,
    "chroot": _PROCESSES,
    "chroot-user": _PROCESSES,
    "privileged": ("paths", "writable", "calls", "calls_32", "calls_x32", "acts", "dev", "keys", "mknod"),
}


def path(mode: str) -> Path:
    return DIRECTORY / f"{mode}.json"


def described(mode: str, answers: prober.Answers) -> prober.Answers:
    """What is recorded of a mode; what is the machine's own there is left out."""
    found = prober.described(answers, prober.bare())
    return {key: value for key, value in found.items() if key not in _OF_THE_HOST.get(mode, ())}


def _record(modes: list[str]) -> None:
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        images.write_layout(f"{directory}/layout", {"prober": prober.image()})
        pyrt = [sys.executable, "-m", "pyrt", "--root", f"{directory}/store"]
        subprocess.run([*pyrt, "pull", "-q", f"oci:{directory}/layout:prober"], check=True, stdout=subprocess.DEVNULL)
        name = subprocess.run([*pyrt, "images", "-q"], check=True, capture_output=True, text=True).stdout.split()[0]
        for mode in modes:
            argv = [*pyrt, "run", "--rm", *MODES[mode], name]
            result = subprocess.run(argv, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
            text = json.dumps(described(mode, prober.parse(result.stdout)), indent=1, sort_keys=True)
            path(mode).write_text(text + "\n")
            print(path(mode))


if __name__ == "__main__":
    _record(sys.argv[1:] or [*MODES])
