"""Unpacking in tests: one archive into one directory, in a thread of its own as the store does it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable

from pyrt._native.extract import Extractor, ExtractStats, private_umask


def in_thread(work):  # type: ignore[no-untyped-def]
    """Calls ``work`` in a thread with a private umask; gives its result or raises what it raised. ``work`` is told
    whether the umask is zero."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome[:] = [None, work(private_umask())]
        except BaseException as error:
            outcome[:] = [error, None]

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if outcome[0] is not None:
        raise outcome[0]  # type: ignore[misc]
    return outcome[1]


def unpack(root: str | os.PathLike[str], pieces: bytes | Iterable[bytes], **options: object) -> ExtractStats:
    """Unpacks an archive, whole or in pieces, into ``root``, which is made where it is missing."""
    os.makedirs(root, exist_ok=True)

    def work(umask_is_zero: bool) -> ExtractStats:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with Extractor(descriptor, **{"umask_is_zero": umask_is_zero, **options}) as extractor:  # type: ignore[arg-type]
                for piece in [pieces] if isinstance(pieces, bytes) else pieces:
                    extractor.feed(piece)
                return extractor.finish()
        finally:
            os.close(descriptor)

    return in_thread(work)  # type: ignore[no-any-return]
