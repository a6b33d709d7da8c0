"""Pulls one image and prints the most memory that this process has had resident, in kB (proc(5), VmHWM):

    python -m benchmarks.puller STORE IMAGE

From inside, because wait4's ru_maxrss also counts the parent's memory that a child shares before it executes.
"""

from __future__ import annotations

import sys

import pyrt
from pyrt.store.store import Store


def main(root: str, image: str) -> None:
    pyrt.pull(image, store=Store.open(root))
    with open("/proc/self/status") as status:
        (line,) = (line for line in status if line.startswith("VmHWM:"))
    print(line.split()[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
