"""What a layer's tree was when it was unpacked: a digest, kept beside the tree, by which ``pyrt check`` sees that it has
changed since. How it is made stands in csrc/tree_digest.h.
"""

from __future__ import annotations

import json
import os
import re

from pyrt._native.tree_digest import ALGORITHM, TreeDigest
from pyrt.values import dataclass

VERSION = 1
MAX_BYTES = 4096
DIGEST = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeRecord:
    """The digest of a tree, and what it is over: ``entries`` with the root, ``size`` the bytes of files."""

    digest: str
    entries: int
    size: int

    @classmethod
    def of(cls, tree: TreeDigest) -> TreeRecord:
        return cls(digest=tree.value, entries=tree.entries, size=tree.bytes)

    @classmethod
    def parse(cls, raw: bytes) -> TreeRecord:
        """A record of this version and algorithm. Raises ValueError for anything else."""
        data = json.loads(raw)
        if not isinstance(data, dict) or (data.get("version"), data.get("algorithm")) != (VERSION, ALGORITHM):
            raise ValueError("not a record of this version")
        digest, entries, size = data.get("digest"), data.get("entries"), data.get("bytes")
        if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
            raise ValueError("without a digest")
        if not isinstance(entries, int) or not isinstance(size, int):
            raise ValueError("without its numbers")
        return cls(digest=digest, entries=entries, size=size)

    @classmethod
    def read(cls, path: str) -> TreeRecord | None:
        """The record in a file, None where there is none. Raises ValueError, OSError."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        with open(fd, "rb", buffering=0) as file:
            return cls.parse(file.read(MAX_BYTES))

    def encode(self) -> bytes:
        """The bytes that ``parse`` reads."""
        fields = {"digest": self.digest, "entries": self.entries, "bytes": self.size}
        return json.dumps({"version": VERSION, "algorithm": ALGORITHM, **fields}).encode() + b"\n"
