"""What pytest-benchmark has written with ``--benchmark-json``, by group and name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One contestant. Times are in seconds; ``samples`` is how many were taken; ``peak_mb`` is memory, where that is
    what was measured."""

    name: str
    median: float
    minimum: float
    samples: int
    peak_mb: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All entries, in the order in which they were measured."""

    groups: Mapping[str, tuple[Entry, ...]]

    @classmethod
    def load(cls, path: Path) -> Results:
        """Reads a file of pytest-benchmark's."""
        groups: dict[str, tuple[Entry, ...]] = {}
        for found in json.loads(path.read_bytes())["benchmarks"]:
            stats = found["stats"]
            entry = Entry(
                name=found["params"]["name"],
                median=stats["median"],
                minimum=stats["min"],
                samples=stats["rounds"],
                peak_mb=found["extra_info"].get("peak_mb"),
            )
            groups[found["group"]] = (*groups.get(found["group"], ()), entry)
        return cls(groups=groups)

    def median(self, group: str, name: str) -> float | None:
        """Seconds, None where it was not measured."""
        entry = self._find(group, name)
        return None if entry is None else entry.median

    def peak(self, group: str, name: str) -> float | None:
        """MB, None where it was not measured."""
        entry = self._find(group, name)
        return None if entry is None else entry.peak_mb

    def _find(self, group: str, name: str) -> Entry | None:
        return next((entry for entry in self.groups.get(group, ()) if entry.name == name), None)
