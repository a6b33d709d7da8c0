"""The numbers and the surroundings of the client: time limits, size limits, retries, clock, and what tests replace."""

from __future__ import annotations

from collections.abc import Callable

from pyrt.oci import limits
from pyrt.registry.clock import Clock, SystemClock
from pyrt.registry.retry import RetryPolicy
from pyrt.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. ``header`` is for the whole head of an answer, ``document`` for the whole body of one that is not a blob.
    ``progress`` is the longest wait in which fewer than ``floor`` bytes arrive while we wait for bytes.

    Only waiting counts: a consumer that takes its time is no reason to give up. ``probe`` is for the TLS handshake with
    a host where plain http is allowed too.
    """

    connect: float = limits.CONNECT_SECONDS
    header: float = limits.HEADER_SECONDS
    document: float = limits.DOCUMENT_SECONDS
    progress: float = limits.PROGRESS_SECONDS
    floor: int = limits.PROGRESS_BYTES
    probe: float = limits.PROBE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class WireSettings:
    """What all requests of a client share.

    ``transport`` replaces the network (httpx.MockTransport in tests). ``treat_as_public`` are IP addresses that count
    as public, so that the rules about addresses inside can be tested on loopback. ``lookup`` stands in for DNS where an
    address decides whether we go there. ``connections`` is per host.
    """

    timeouts: Timeouts = Timeouts()
    retry: RetryPolicy = RetryPolicy()
    clock: Clock = field(default_factory=SystemClock)
    transport: httpx.BaseTransport | None = None
    treat_as_public: frozenset[str] = frozenset()
    lookup: Callable[[str, int], list[str]] | None = None
    connections: int = 6
