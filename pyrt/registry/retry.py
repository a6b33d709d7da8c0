"""When to ask again, and how long to wait before it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from pyrt.oci import limits
from pyrt.registry.clock import Clock
from pyrt.values import dataclass

RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_SECONDS = re.compile(r"[0-9]{1,12}")
_EPOCH = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently. Times are in seconds.

    The pause doubles from ``first`` up to ``cap``, plus up to a quarter of chance. A server's Retry-After is obeyed up
    to ``retry_after_cap``; one that asks for more is not asked again. ``budget`` bounds all pauses of one request.
    """

    tries: int = limits.TRIES
    first: float = 0.5
    cap: float = limits.PAUSE_SECONDS
    retry_after_cap: float = limits.RETRY_AFTER_SECONDS
    budget: float = limits.RETRY_BUDGET_SECONDS

    def once(self) -> RetryPolicy:
        """The same without repetition: for a mirror, after which there is somewhere else to go."""
        return RetryPolicy(tries=1, first=self.first, cap=self.cap, retry_after_cap=self.retry_after_cap)


class Attempts:
    """Counts the tries of one request and waits between them."""

    def __init__(self, policy: RetryPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._failed = 0
        self._slept = 0.0

    def again(self, retry_after: float | None = None) -> bool:
        """After a failure: waits and answers True, or answers False where it is time to give up."""
        self._failed += 1
        policy = self._policy
        if self._failed >= policy.tries or (retry_after is not None and retry_after > policy.retry_after_cap):
            return False
        pause = min(policy.cap, policy.first * 2.0 ** (self._failed - 1)) * (1 + 0.25 * self._clock.jitter())
        pause = max(pause, retry_after or 0.0)
        if self._slept + pause > policy.budget:
            return False
        self._slept += pause
        self._clock.sleep(pause)
        return True

    def progressed(self) -> None:
        """Enough has arrived since the last failure that the next one counts as the first."""
        self._failed = 0
        self._slept = 0.0


def retry_after(headers: Mapping[str, str], clock: Clock) -> float | None:
    """How many seconds the server wants us to wait, None where it does not say.

    Retry-After in seconds or as a date (RFC 9110, section 10.2.3), else the reset of the rate limit: RateLimit-Reset in
    seconds, X-RateLimit-Reset and X-Retry-After in seconds or as a moment. ``headers`` ignore case, as httpx's do.
    """
    value = headers.get("retry-after", "").strip()
    if value and not _SECONDS.fullmatch(value):
        return _until_date(value, clock)
    for name in ("retry-after", "ratelimit-reset", "x-ratelimit-reset", "x-retry-after"):
        match = _SECONDS.match(headers.get(name, "").strip())
        if match:
            number = float(match[0])
            return max(0.0, number - clock.wall()) if number >= _EPOCH else number
    return None


def _until_date(value: str, clock: Clock) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - clock.wall())
    except (ValueError, TypeError, OverflowError):
        return None
