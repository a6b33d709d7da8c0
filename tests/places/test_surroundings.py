"""What is odd about a machine, made for an ordinary user alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places.checks import Visit
from tests.places.here import PLACES as HERE
from tests.places.place import PYTHON, Place, Shelf, left_behind
from tests.places.user import PLACES, as_user
from tests.support import enosys
from tests.support.parts import need

ROOT = Path(__file__).parents[2]


@pytest.fixture
def work(shelf: Shelf) -> Iterator[Path]:
    directory = shelf.root / "places" / "odd"
    directory.mkdir(parents=True)
    yield directory
    assert left_behind(directory) == []
    shutil.rmtree(directory)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_a_machine_with_nothing_but_cgroup_v2(place: Place, shelf: Shelf, work: Path) -> None:
    """The kernel takes no cgroup2 on top of a cgroup2, and the host's /sys brings one along."""
    one_hierarchy = "umount -R /sys/fs/cgroup 2>/dev/null || :; mount -t cgroup2 cgroup2 /sys/fs/cgroup"
    with as_user(place.expected.ids == "all", one_hierarchy)(shelf, work) as inside:
        visit = Visit(place, inside, shelf, lambda name, value: None)
        visit.pull("busybox")
        assert inside.check("stat", "-f", "-c", "%T", "/sys/fs/cgroup").strip() == "cgroup2fs"
        seen = visit.run(
            "busybox", "sh", "-c", "cat /proc/self/cgroup; mount | grep ' /sys/fs/cgroup ' | tail -n 1"
        ).splitlines()
        assert "0::/" in seen and seen[-1].startswith("cgroup2 on /sys/fs/cgroup type cgroup2 (ro,"), seen


@pytest.mark.parametrize("place", [*HERE, *PLACES], ids=lambda place: place.name)
def test_a_filter_that_refuses_the_host_name(place: Place, shelf: Shelf, work: Path) -> None:
    """As podman's does, which lets an ordinary user have namespaces: only who asks for a name is told."""
    run = [PYTHON, str(shelf.root / "refuse.py"), PYTHON, "-m", "pyrt", "run", "--rm"]
    (shelf.root / "refuse.py").write_text(f"{Path(enosys.__file__).read_text().partition('def main')[0]}{_REFUSE}")
    with place.open(shelf, work) as inside:
        Visit(place, inside, shelf, lambda name, value: None).pull("busybox")
        assert inside.check(*run, "busybox", "hostname").strip() == os.uname().nodename
        asked = inside.run(*run, "--hostname", "mine", "busybox", "hostname")
        refused = "pyrt: cannot set the host name mine: Operation not permitted\n"
        assert (asked.returncode, asked.stderr) == (125, refused), asked


_REFUSE = """
forbid(("sethostname",), errno.EPERM)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_namespace_that_maps_every_id_is_not_the_first_one() -> None:
    """Root of a pod maps them for a container: mknod and trusted attributes are still the first one's alone."""
    need("unshare", "nsenter")
    there = [sys.executable, "-c", "from pyrt.host import Host; print(Host.probe().initial)"]
    assert subprocess.run(there, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "True\n"
    with subprocess.Popen(
        ["unshare", "--user", "sh", "-c", "echo; read _"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline()
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{holder.pid}/{name}").write_text(f"0 0 {2**32 - 1}")
        enter = ["nsenter", "--user", f"--target={holder.pid}"]
        found = subprocess.run([*enter, *there], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        holder.communicate()
    assert found == "False\n"
