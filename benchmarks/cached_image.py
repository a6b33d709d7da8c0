"""The image that start benchmarks start, where it is cached."""

from __future__ import annotations

from pathlib import Path

from pyrt.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedImage:
    """An image ``name`` in the store of pyrt's at ``store``; ``layer`` is its one unpacked layer, ``transport`` where it came
    from, as podman names it."""

    store: Path
    name: str
    layer: Path
    transport: str
