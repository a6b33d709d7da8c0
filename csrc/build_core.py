"""The cffi module ``pyrt._native._core``: what it is made of. Run by ``setup.py`` (cffi_modules).

The public headers are the ABI and the cdef alike: their preprocessor lines are stripped, everything else is declared to
cffi as it stands. So a public header has no macros that Python would need, and includes only what is listed before it.
"""

from __future__ import annotations

import os
import re
import runpy

from cffi import FFI

HERE = os.path.relpath(os.path.dirname(os.path.abspath(__file__)))

VERSION_FILE = os.path.join(HERE, "..", "pyrt", "_version.py")
VERSION = runpy.run_path(VERSION_FILE)["VERSION"]

HEADERS = [
    *("error.h", "resolve.h", "layer_step.h", "layer.h", "listing.h", "xxh64.h", "tree_digest.h"),
    *("payload.h", "keeper_table.h", "launch.h", "device_filter.h", "landlock.h"),
]

RESOLVE = ["resolve.c", "path_walk.c"]
TAR = ["tar.c", "tar_entry.c", "header.c", "pax.c", "sparse.c", "bytes.c"]
WRITER = [
    *("extract.c", "entry_name.c", "regular.c", "node.c", "whiteout.c"),
    *("directories.c", "deferred.c", "metadata.c", "removal.c"),
]
LAYER = ["layer.c", "listing.c", *TAR, *WRITER]
TREE = ["tree_digest.c", "tree_entry.c", "tree_links.c", "xxh64.c"]
LAUNCH = ["launch.c", "clone.c", "walk.c", "mounts.c", "submounts.c", "inroot.c", "private_proc.c", "console.c", "place.c"]
SOURCES = ["error.c", *RESOLVE, *LAYER, *TREE, *LAUNCH, "device_filter.c", "landlock.c"]


def declarations(header: str) -> str:
    """A public header without its preprocessor lines, for ``FFI.cdef``."""
    with open(os.path.join(HERE, header), encoding="ascii") as file:
        return re.sub(r"^[ \t]*#(?:.*\\\n)*.*$", "", file.read(), flags=re.MULTILINE)


ffibuilder = FFI()
ffibuilder.cdef("\n".join(map(declarations, HEADERS)))
# New Python files beside an old module, half an upgrade, are refused at the import (pyrt/_native/__init__.py).
ffibuilder.cdef("static char *const PYRT_BUILT_FOR;")
ffibuilder.set_source(
    "pyrt._native._core",
    "\n".join([*(f'#include "{header}"' for header in HEADERS), f'#define PYRT_BUILT_FOR "{VERSION}"']),
    sources=[os.path.join(HERE, source) for source in SOURCES],
    depends=[VERSION_FILE, *sorted(os.path.join(HERE, name) for name in os.listdir(HERE) if name.endswith(".h"))],
    # -iquote and not -I: a header of ours never stands in for one of the system's.
    extra_compile_args=["-std=gnu11", "-O2", "-fvisibility=hidden", "-iquote", HERE],
    py_limited_api=True,
)
