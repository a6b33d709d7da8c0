"""A worker (see worker.py): what the first ``pyrt.run`` of a process pays for the filter beyond its other modules.

    python -m benchmarks.filterer CACHE

Imports, and compiling, or reading it where CACHE has it already. One sample for each process.
"""

from __future__ import annotations

import sys
import time

import pyrt

CAPABILITIES = 0x800405FB  # the default ones


def main(cache: str) -> None:
    pyrt.run  # noqa: B018, its modules are loaded now
    sys.stdin.readline()
    begun = time.perf_counter_ns()
    from pyrt.runtime import seccomp

    seccomp.compiled(seccomp.DEFAULT, capabilities=CAPABILITIES, cache=cache)
    print(time.perf_counter_ns() - begun, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
