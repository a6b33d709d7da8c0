"""A race of command lines, run by a small process of its own: ``command_race`` starts it, the rest is that process.

Its mount namespace is private, and where the machine's cgroups are not unified it shows a fresh cgroup2 at
/sys/fs/cgroup, because crun refuses any other view. A small process also starts children equally fast for all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.race import Contestant, race, timed

REPOSITORY = Path(__file__).parents[1]
CGROUPS = "/sys/fs/cgroup"


def command_race(
    commands: Mapping[str, Sequence[str]], rounds: int, environ: Mapping[str, str], *, pause: float = 0.0
) -> dict[str, list[float]]:
    """The seconds from the start to the end of each command, taking turns; ``pause`` are seconds of idling before each.

    All of them run in the environment ``environ`` with the repository as working directory, and must succeed.
    """
    order = {"commands": {name: list(argv) for name, argv in commands.items()}, "rounds": rounds, "pause": pause}
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "benchmarks.command_race"],
        input=json.dumps(order),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        cwd=REPOSITORY,
        env=dict(environ),
    )
    times: dict[str, list[float]] = json.loads(done.stdout)
    return times


def main() -> None:
    order = json.load(sys.stdin)
    if not os.path.exists(f"{CGROUPS}/cgroup.controllers"):
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", CGROUPS], check=True)
    contestants = [
        Contestant(name=name, sample=timed(_Command(argv)), prepare=lambda: time.sleep(order["pause"]))
        for name, argv in order["commands"].items()
    ]
    json.dump(race(contestants, order["rounds"]), sys.stdout)


class _Command:
    """Calling it runs the command to its end; its output is dropped."""

    def __init__(self, argv: list[str]) -> None:
        self._argv = argv
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._streams = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)]

    def __call__(self) -> None:
        pid = os.posix_spawnp(self._argv[0], self._argv, os.environ, file_actions=self._streams)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            raise SystemExit(f"{' '.join(self._argv)}: exit code {status}")


if __name__ == "__main__":
    main()
