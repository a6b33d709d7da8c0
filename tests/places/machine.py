"""A machine as our users have: Debian's kernel with systemd, AppArmor and a pure cgroup v2, in a virtual machine.

``PYRT_TEST_VM`` names a program that runs a command on such a machine, which shows this one's files as they are, and keeps what
the command writes below /vm-out in a directory ``out`` of its own below ``TMPDIR`` for as long as it runs. Without the variable
it is the one beside this repository, as the Makefile has it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.places.place import Expected, Inside, Open, Place, Shelf, serving
from tests.support import parts

BESIDE = Path(__file__).parents[3] / "shared" / "tools" / "vm"
START_SECONDS = 300  # emulated


def program() -> str:
    """The program that has the machine; skips where there is none."""
    named = os.environ.get("PYRT_TEST_VM", str(BESIDE))
    if not os.access(named, os.X_OK):
        parts.machine(f"no other machine: {named} is none; PYRT_TEST_VM names the program that has one")
    return named


# A login session of an ordinary user that root begins, after what is "$2".
_SESSION = """
useradd --create-home --shell /bin/bash "$1"; eval "$2"; user=$1; shift 2
exec systemd-run --quiet --wait --collect --uid="$user" --property=PAMName=login -- "$@"
"""


def _with(user: str = "", first: str = "") -> Open:
    @contextmanager
    def opened(shelf: Shelf, work: Path) -> Iterator[Inside]:
        vm = program()
        # The agent makes the directory; by its name we find where that machine's /vm-out lies here.
        name = f"{shelf.root.name}-{work.name}"
        inside = Inside(work, f"/home/{user}" if user else "/root", network=False, slow=10)

        def up() -> bool:
            for found in Path(os.environ.get("TMPDIR", "/var/tmp"), "vm").glob(f"run.*/out/{name}/ready"):
                inside.channel = found.parent
                return True
            return False

        session = ["sh", "-ec", _SESSION, "sh", user, first] if first else []
        environment = {**os.environ, "VM_USER": "" if first else user, "VM_TIMEOUT": "3000"}
        argv = [vm, *session, *shelf.agent(f"/vm-out/{name}")]
        with serving(argv, inside, shelf, work, env=environment, up=up, seconds=START_SECONDS):
            yield inside

    return opened


PLACES = (
    Place(
        name="Debian as root",
        about="root on a Debian with systemd, pure cgroup v2 and AppArmor",
        expected=Expected(rung="full"),
        open=_with(),
    ),
    Place(
        name="Debian as a user",
        about="the login session of an ordinary user there, who has subordinate ids, as `useradd` gives them",
        expected=Expected(rung="userns"),
        open=_with("guest"),
    ),
    Place(
        name="Debian, unprivileged_userns_clone=0",
        about="the same session with Debian's `kernel.unprivileged_userns_clone=0`",
        expected=Expected(rung="none", refused="unprivileged_userns_clone", raised=frozenset({"userns", "full"})),
        open=_with("guest", "echo 0 >/proc/sys/kernel/unprivileged_userns_clone"),
    ),
)
