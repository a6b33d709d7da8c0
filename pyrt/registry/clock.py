"""Time and chance as a parameter, so that tests do not wait."""

from __future__ import annotations

import random
import time
from typing import Protocol


class Clock(Protocol):
    """What the client asks about time. Durations are only ever taken from ``monotonic``."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never set back."""

    def wall(self) -> float:
        """Seconds since 1970, as this machine believes."""

    def sleep(self, seconds: float) -> None:
        """Waits."""

    def jitter(self) -> float:
        """A number from 0 to 1, so that many clients do not come back at the same moment."""


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def jitter(self) -> float:
        return random.random()
