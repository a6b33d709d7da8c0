"""A container of pyrt itself, as pyrt makes it by default."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.places.place import NO_NAMESPACES, OWN_PROC, Expected, Inside, Place, Shelf, make_channel, serving

ROOT = Path(__file__).parents[2]


@contextmanager
def _open(shelf: Shelf, work: Path) -> Iterator[Inside]:
    channel = make_channel(work)
    pyrt = [sys.executable, "-m", "pyrt", "--root", f"{work}/outer"]
    subprocess.run(
        [*pyrt, "pull", "-q", f"oci:{shelf.image('base')}:docker.io/library/base:latest"],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    run = [*pyrt, "run", "--rm", f"-v{shelf.root}:{shelf.root}:ro", f"-v{channel}:{channel}", "base"]
    with serving([*run, *shelf.agent(channel)], inside := Inside(channel, "/root"), shelf, work, cwd=ROOT):
        yield inside


PLACES = (
    Place(
        name="pyrt",
        about="root in a container of pyrt, started by root with no options",
        expected=Expected(rung="chroot", off=NO_NAMESPACES, raised=OWN_PROC | {"userns"}),
        open=_open,
    ),
)
