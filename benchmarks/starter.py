"""A worker (see worker.py) that starts /bin/true again and again from a Python process with a heap.

    python -m benchmarks.starter HOW HEAP STORE IMAGE

HOW is "run" (``pyrt.run``, measured from outside), "duration" (what CompletedRun says of the same), or "subprocess"
(``subprocess.run`` of the host's /bin/true). HEAP are MB of resident memory in small pages, as a Python heap has.
"""

from __future__ import annotations

import mmap
import subprocess
import sys
import time

import pyrt
from pyrt.store.store import Store

PAGE = 4096


def main(how: str, heap: str, root: str, image: str) -> None:
    held = resident(int(heap))
    store = Store.open(root)
    for line in sys.stdin:
        print(*(round(sample(how, store, image) * 1e9) for _ in range(int(line))), flush=True)
    held.close()


def resident(megabytes: int) -> mmap.mmap:
    memory = mmap.mmap(-1, max(megabytes, 1) << 20)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    for offset in range(0, len(memory), PAGE):
        memory[offset] = 1
    return memory


def sample(how: str, store: Store, image: str) -> float:
    """Seconds of one start."""
    begun = time.perf_counter()
    if how == "subprocess":
        subprocess.run(["/bin/true"], capture_output=True, check=True)
        return time.perf_counter() - begun
    result = pyrt.run(image, ["/bin/true"], store=store, check=True)
    return result.duration if how == "duration" else time.perf_counter() - begun


if __name__ == "__main__":
    main(*sys.argv[1:])
