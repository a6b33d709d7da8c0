"""Builds the fuzz harnesses: ``python csrc/fuzz/build.py --into DIR [--cc gcc]``, for clang's libFuzzer by --libfuzzer.

Without --libfuzzer a harness is a program that eats the files on its command line: what CI does with the corpus, and
what one does with a file that libFuzzer has found.
"""

from __future__ import annotations

import argparse
import os
import runpy
import subprocess

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
]
# libFuzzer's convention: checks that a fuzzer cannot get past by chance (the checksum of a header) are left out. What makes
# its headers itself needs none of this.
UNCHECKED = "-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION"
MAKES_HEADERS = {"entries", "whiteouts"}
SANITIZERS = "address,undefined"


def build(harness: str, into: str, compiler: str, libfuzzer: bool) -> str:
    """Compiles one harness and returns its path."""
    program = os.path.join(into, "fuzz_" + harness)
    sources = [os.path.join(CSRC, name) for name in HARNESSES[harness]]
    sources.append(os.path.join(HERE, f"fuzz_{harness}.c"))
    if not libfuzzer:
        sources.append(os.path.join(HERE, "main.c"))
    sanitize = "-fsanitize=" + SANITIZERS + (",fuzzer" if libfuzzer else "")
    flags = FLAGS if harness in MAKES_HEADERS else [*FLAGS, UNCHECKED]
    subprocess.run([compiler, *flags, sanitize, "-fno-sanitize-recover=undefined", *sources, "-o", program], check=True)
    return program


def main() -> None:
    parser = argparse.ArgumentParser(description="builds the fuzz harnesses of csrc")
    parser.add_argument("--into", required=True, metavar="DIR")
    parser.add_argument("--cc", default="clang")
    parser.add_argument("--libfuzzer", action="store_true")
    options = parser.parse_args()
    os.makedirs(options.into, exist_ok=True)
    for harness in HARNESSES:
        print(build(harness, options.into, options.cc, options.libfuzzer))


if __name__ == "__main__":
    main()
