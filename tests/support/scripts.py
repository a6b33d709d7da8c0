"""Shell scripts in containers of a test's store."""

from __future__ import annotations

from collections.abc import Callable

from pyrt.container_run import run
from pyrt.request import CompletedRun
from pyrt.store.store import Store


def runner(store: Store) -> Callable[..., CompletedRun]:
    """``pyrt.run`` of a shell script in the busybox image; other options as they are."""

    def in_busybox(script: str, image: str = "busybox", **options: object) -> CompletedRun:
        return run(image, ["sh", "-c", script], store=store, **options)  # type: ignore[arg-type]

    return in_busybox
