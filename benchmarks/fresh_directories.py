"""Where contestants write many files: always somewhere new, and nothing is removed before the end.

ext4 does not give out again what was an inode less than five minutes ago, and looks at each such inode for every file that
it makes (``recently_deleted`` in fs/ext4/ialloc.c): after ``rm -rf`` of twenty thousand files, unpacking as many takes
ten times as long, for whoever happens to come next.
"""

from __future__ import annotations

import os
from pathlib import Path


class FreshDirectories:
    """Numbered directories below ``parent``."""

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._number = 0

    @property
    def directory(self) -> Path:
        """The newest one."""
        return self._parent / str(self._number)

    def next(self) -> None:
        """Makes another one, when all that was written to the others is on the disk."""
        self._number += 1
        self.directory.mkdir(parents=True)
        os.sync()
