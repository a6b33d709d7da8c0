"""The C sources compile for both architectures, and the static programs are what they have to be."""

from __future__ import annotations

import runpy
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.parts import need

CSRC = Path(__file__).parents[2] / "csrc"
STATIC = runpy.run_path(str(CSRC / "build_static.py"))
MACHINES = {"gcc": {62, 183}, "aarch64-linux-gnu-gcc": {183}}  # EM_X86_64, EM_AARCH64: elf(5)


@pytest.mark.parametrize("source", sorted(CSRC.glob("*.c")), ids=lambda path: path.name)
def test_c_compiles_for_aarch64(source: Path, tmp_path: Path) -> None:
    need("aarch64-linux-gnu-gcc")
    command = ["aarch64-linux-gnu-gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-c", "-o"]
    compiled = subprocess.run([*command, tmp_path / "object", source], capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr


@pytest.mark.parametrize("program", STATIC["PROGRAMS"])
@pytest.mark.parametrize("compiler", MACHINES)
def test_static_program(program: str, compiler: str, tmp_path: Path) -> None:
    need(compiler)
    content = Path(STATIC["compile_static"](program, str(tmp_path), [compiler])).read_bytes()
    assert content[:4] == b"\x7fELF" and int.from_bytes(content[18:20], "little") in MACHINES[compiler]
    assert len(content) < (16 if program == "stage2" else 64) << 10  # all of stage2 is mapped into each container
    kinds = {kind for kind, _ in segments(content)}
    assert not kinds & {2, 3}, "PT_DYNAMIC or PT_INTERP: it would want a loader"
    assert all(not (flags & 1 and flags & 2) for kind, flags in segments(content) if kind == 1), "writable code"
    assert all(not flags & 1 for kind, flags in segments(content) if kind == 0x6474E551), "an executable stack"


def segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Type and flags of each program header of a 64-bit little-endian file, elf(5)."""
    start = int.from_bytes(content[32:40], "little")
    size, count = int.from_bytes(content[54:56], "little"), int.from_bytes(content[56:58], "little")
    for at in range(start, start + size * count, size):
        yield int.from_bytes(content[at : at + 4], "little"), int.from_bytes(content[at + 4 : at + 8], "little")


def test_a_failed_compilation_leaves_the_old_program(tmp_path: Path) -> None:
    program = next(iter(STATIC["PROGRAMS"]))
    path = Path(STATIC["compile_static"](program, str(tmp_path)))
    before = path.read_bytes()
    with pytest.raises(subprocess.CalledProcessError):
        STATIC["compile_static"](program, str(tmp_path), ["cc", "-DUNKNOWN", "--no-such-option"])
    assert path.read_bytes() == before
