"""The numbers of the system calls, from syscalls.txt (made by csrc/syscall_table.py)."""

from __future__ import annotations

import os
from functools import lru_cache

TABLE = os.path.join(os.path.dirname(__file__), "syscalls.txt")
ABIS = ("x86_64", "aarch64", "i386", "arm")  # in the order of the table's columns


@lru_cache(maxsize=4)
def numbers(abi: str) -> dict[str, int]:
    """Name -> number of every system call of one ABI. Not to be changed by the caller."""
    column = 1 + ABIS.index(abi)
    with open(TABLE, encoding="utf-8") as file:
        rows = [line.split() for line in file]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}
