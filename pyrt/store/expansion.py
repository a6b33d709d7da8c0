"""How much a layer may become for the bytes that have come.

Those that have come, not those that its descriptor promises: a bomb would promise a terabyte.
"""

from __future__ import annotations

import threading

from pyrt.errors import LayerError
from pyrt.oci import limits


class Expansion:
    """Counts both sides of a decompressor, from two threads. ``grace`` bytes are allowed in any case; what is counted
    here counts for ``above`` too, the image that the layer is a part of."""

    def __init__(self, grace: int, most: int | None = None, above: Expansion | None = None) -> None:
        self._grace = grace
        self._most = most
        self._above = above
        self._lock = threading.Lock()
        self._received = self._expanded = 0

    @classmethod
    def of_image(cls) -> Expansion:
        return cls(limits.IMAGE_GRACE_BYTES)

    @classmethod
    def of_layer(cls, image: Expansion | None = None) -> Expansion:
        return cls(limits.EXPANSION_GRACE_BYTES, limits.LAYER_BYTES, image)

    def received(self, size: int) -> None:
        """So many more compressed bytes have come."""
        with self._lock:
            self._received += size
        if self._above is not None:
            self._above.received(size)

    def expanded(self, size: int) -> None:
        """They became so many more. Raises LayerError beyond all that is honest."""
        with self._lock:
            self._expanded += size
            allowed = limits.EXPANSION_RATIO * self._received + self._grace
            if self._most is not None:
                allowed = min(allowed, self._most)
            over = self._expanded > allowed
        if over:
            whole = "" if self._most is not None else "with the other layers of its image, "
            raise LayerError(f"{whole}expands to more than {allowed} bytes", step="limit")
        if self._above is not None:
            self._above.expanded(size)
