"""Containers of Debian's docker, as root, which is what an image that names no user gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.places.place import NO_NAMESPACES, OWN_PROC, Expected, Inside, Open, Place, Shelf, make_channel, serving
from tests.support.dockerd import running_dockerd

IMAGE = "base:latest"


def _with(*options: str) -> Open:
    @contextmanager
    def opened(shelf: Shelf, work: Path) -> Iterator[Inside]:
        channel = make_channel(work)
        with running_dockerd(work / "docker") as docker:
            docker.check("import", shelf.base_tar, IMAGE)
            run = [
                "docker",
                "run",
                "--rm",
                "--network=host",
                f"-v{shelf.root}:{shelf.root}:ro",
                f"-v{channel}:{channel}",
                *options,
            ]
            inside = Inside(channel, "/root")
            with serving([*run, IMAGE, *shelf.agent(channel)], inside, shelf, work, env=docker.environment):
                yield inside

    return opened


PLACES = (
    Place(
        name="docker",
        about="root in a container of docker, with its default sandbox",
        expected=Expected(rung="chroot", off=NO_NAMESPACES, raised=OWN_PROC | {"userns"}),
        open=_with(),
    ),
    Place(
        name="docker, seccomp=unconfined",
        about="the same with `--security-opt seccomp=unconfined`",
        expected=Expected(rung="userns", off=OWN_PROC, raised=OWN_PROC | {"layers"}),
        open=_with("--security-opt=seccomp=unconfined"),
    ),
)
