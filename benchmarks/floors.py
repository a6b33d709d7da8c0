"""The C floor of a start, built from floor/ with the machine's compiler."""

from __future__ import annotations

import subprocess
from pathlib import Path

from csrc.build_static import FREESTANDING, default_compiler
from pyrt.values import dataclass

SOURCES = Path(__file__).parent / "floor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The programs; see the head of floor/start_floor.c."""

    program: Path
    last_step: Path

    def container(self, directory: Path, layer: Path) -> list[str]:
        """The command that starts /bin/true of ``layer`` in containers like pyrt's."""
        return [str(self.program), "container", str(directory), str(layer), "/bin/true", str(self.last_step)]

    def direct(self, directory: Path, layer: Path) -> list[str]:
        """The same without the last step between the container's root and its program."""
        return [str(self.program), "direct", str(directory), str(layer), "/bin/true"]

    def exec(self, program: str) -> list[str]:
        """The command that clones, executes ``program`` and waits, without a container."""
        return [str(self.program), "exec", program]


def build(directory: Path) -> Floor:
    """Compiles the floor into ``directory``. Raises CalledProcessError."""
    floor = Floor(program=directory / "start_floor", last_step=directory / "last_step")
    compiler = default_compiler()
    subprocess.run([*compiler, "-std=gnu11", "-O2", str(SOURCES / "start_floor.c"), "-o", str(floor.program)], check=True)
    subprocess.run([*compiler, *FREESTANDING, str(SOURCES / "last_step.c"), "-o", str(floor.last_step)], check=True)
    return floor


def build_loader(directory: Path) -> Path:
    """Compiles floor/load_filter.c into ``directory``. Raises CalledProcessError."""
    program = directory / "load_filter"
    subprocess.run([*default_compiler(), "-std=gnu11", "-O2", str(SOURCES / "load_filter.c"), "-o", str(program)], check=True)
    return program
