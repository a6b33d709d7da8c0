"""What a pull tells whoever watches it."""

from __future__ import annotations

from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class PullEvent:
    """One step of a pull. Events come from several threads, one at a time.

    ``kind`` is "resolved" (``digest`` is the manifest's, ``text`` the reference), "start" (a layer is taken up),
    "download" (``current`` of ``total`` bytes of the blob), "unpack" (``current`` bytes of the tar so far), "exists"
    (the layer is here already), "done" (it is committed), or "note" (``text`` is something that the user should read).
    ``total`` is None where it is unknown (schema 1).
    """

    kind: str
    digest: str = ""
    current: int = 0
    total: int | None = None
    text: str = ""


if TYPE_CHECKING:
    Progress = Callable[[PullEvent], None]
