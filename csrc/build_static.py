"""How the static programs of pyrt are compiled: no libc, no shared library, a few hundred bytes each.

setup.py makes the command below part of ``build_ext``, so they travel in the wheel next to the cffi module. Run as a
program, this file needs nothing but a compiler, and cross compiles:

    python csrc/build_static.py --cc aarch64-linux-gnu-gcc --into build/aarch64
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sysconfig
from collections.abc import Sequence

SOURCES = os.path.dirname(os.path.abspath(__file__))

# program -> the C files it is made of
PROGRAMS = {
    "stage2": ["stage2.c"],
    "pyrt-userns": ["userns.c", "freestanding_text.c"],
    "pyrt-keeper": [
        *("keeper.c", "keeper_calls.c", "keeper_open.c", "keeper_path.c", "keeper_mirror.c", "keeper_asker.c"),
        *("keeper_landlock.c", "keeper_kill.c", "keeper_fd.c", "freestanding_text.c"),
    ],
}

# They run where there is no libc and no loader: between pivot_root and the image's own program, or as its PID 1.
FREESTANDING = [
    *("-std=gnu11", "-Os", "-static", "-nostdlib", "-ffreestanding", "-fno-pie", "-no-pie"),
    # Without a libc there is no __stack_chk_fail to call, and nobody unwinds a stack here.
    *("-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"),
    # One page of program: no padding between segments, no build id, no symbols.
    *("-Wl,-z,noseparate-code", "-Wl,-z,noexecstack", "-Wl,--build-id=none", "-Wl,--gc-sections", "-s"),
]


def compile_static(program: str, directory: str, compiler: Sequence[str] = ("cc",)) -> str:
    """Compiles one of PROGRAMS into ``directory`` and returns its path; raises CalledProcessError."""
    os.makedirs(directory, exist_ok=True)
    result = os.path.join(directory, program)
    sources = [os.path.join(SOURCES, name) for name in PROGRAMS[program]]
    # A rename at the end: a running container may be executing the program that stands there now.
    subprocess.run([*compiler, *FREESTANDING, *sources, "-o", result + ".new"], check=True)
    os.chmod(result + ".new", 0o755)
    os.replace(result + ".new", result)
    return result


def default_compiler() -> list[str]:
    """What the environment's CC says, else the compiler that this Python's extensions are built with, else cc."""
    return shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")


def main() -> None:
    parser = argparse.ArgumentParser(description="compiles the static programs of pyrt")
    parser.add_argument("--cc", type=shlex.split, default=default_compiler(), help="the compiler, with arguments")
    parser.add_argument("--into", required=True, metavar="DIR", help="where the programs shall be")
    options = parser.parse_args()
    for program in PROGRAMS:
        print(compile_static(program, options.into, options.cc))


if __name__ == "__main__":
    main()
