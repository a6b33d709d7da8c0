"""Builds the fuzz harnesses: ``python csrc/fuzz/build.py --into DIR [--cc gcc]``, for clang's libFuzzer by --libfuzzer.

Without --libfuzzer a harness is a program that eats the files on its command line: what CI does with the corpus, and
what one does with a file that libFuzzer has found.
"""

from __future__ import annotations

import argparse
import os
import runpy
import subprocess
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
CSRC = os.path.dirname(HERE)
BUILD = runpy.run_path(os.path.join(CSRC, "build_core.py"))

LAYER = ["error.c", *BUILD["RESOLVE"], *BUILD["LAYER"]]
# harness -> the sources under test, and those of its own
HARNESSES: dict[str, list[str]] = {
    "layer": [*LAYER, "fuzz/place.c", "fuzz/tree.c"],
    "entries": [*LAYER, *BUILD["TREE"], "fuzz/archive.c", "fuzz/place.c", "fuzz/tree.c"],
    "whiteouts": [*LAYER, "fuzz/archive.c", "fuzz/place.c"],
    "resolve": ["error.c", *BUILD["RESOLVE"], *BUILD["LAUNCH"], "removal.c", "fuzz/archive.c", "fuzz/place.c"],
    "tar": ["error.c", *BUILD["TAR"]],
    "pax": ["pax.c", "sparse.c", "bytes.c"],
    "sparse": ["header.c", "sparse.c"],
    "name": ["entry_name.c"],
}
FLAGS = [
    *("-std=gnu11", "-g", "-O1", "-fno-omit-frame-pointer", "-iquote", CSRC, "-Wall", "-Wextra"),
    "-fno-sanitize-recover=undefined",
]
SANITIZERS = "address,undefined"
# libFuzzer's convention: checks that a fuzzer cannot get past by chance (the checksum of a header) are left out. What makes
# its headers itself needs none of this.
UNCHECKED = "-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION"
HAS_CHECKS = {"header.c"}
MAKES_HEADERS = {"entries", "whiteouts"}


class Build:
    """Compiles each source once, however many harnesses it is in."""

    def __init__(self, into: str, compiler: str, libfuzzer: bool) -> None:
        self.into = into
        self.libfuzzer = libfuzzer
        sanitize = "-fsanitize=" + SANITIZERS + (",fuzzer" if libfuzzer else "")
        self.command = [compiler, *FLAGS, sanitize]

    def objects(self, harness: str) -> dict[str, list[str]]:
        """The object files of a harness, and what each is made of: flags and a source."""
        own = [f"fuzz/fuzz_{harness}.c", *([] if self.libfuzzer else ["fuzz/main.c"])]
        found = {}
        for name in [*HARNESSES[harness], *own]:
            unchecked = name in HAS_CHECKS and harness not in MAKES_HEADERS
            stem = name.replace("/", "-").removesuffix(".c") + ("-unchecked" if unchecked else "")
            found[os.path.join(self.into, stem + ".o")] = [*([UNCHECKED] if unchecked else []), os.path.join(CSRC, name)]
        return found

    def compile(self, item: tuple[str, list[str]]) -> None:
        target, what = item
        subprocess.run([*self.command, "-c", *what, "-o", target], check=True)

    def link(self, harness: str) -> str:
        program = os.path.join(self.into, "fuzz_" + harness)
        subprocess.run([*self.command, *self.objects(harness), "-o", program], check=True)
        return program

    def run(self) -> list[str]:
        """Builds every harness and returns their paths."""
        objects = {target: what for harness in HARNESSES for target, what in self.objects(harness).items()}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(self.compile, objects.items()))
            return list(pool.map(self.link, HARNESSES))


def main() -> None:
    parser = argparse.ArgumentParser(description="builds the fuzz harnesses of csrc")
    parser.add_argument("--into", required=True, metavar="DIR")
    parser.add_argument("--cc", default="clang")
    parser.add_argument("--libfuzzer", action="store_true")
    options = parser.parse_args()
    os.makedirs(options.into, exist_ok=True)
    print("\n".join(Build(options.into, options.cc, options.libfuzzer).run()))


if __name__ == "__main__":
    main()
