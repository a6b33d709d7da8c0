"""One layer's pipeline: the bytes of a blob in, a tree and its diff id out, all stages at once.

    caller's thread: chunks -> | decompress, sha256 of the tar | -> | extract |

*Should*: no stage waits for the whole of another; the queues between them bound the memory, whatever the layer's size.
*Mustn't*: call a damaged transfer a bad layer: when decompressing or unpacking fails for the layer's form, the stages
before go on to the end, so that the digest of the blob, which says what really happened, gets its chance to be wrong.
"""

from __future__ import annotations

import hashlib
from contextlib import closing

from pyrt.errors import LayerError, NoSpace
from pyrt.oci import limits
from pyrt.oci.decompress import decompress
from pyrt.oci.digest import Digest
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    from pyrt.store.channel import Channel, Scope, Stage
    from pyrt.store.expansion import Expansion

    class Unpacker(Protocol):
        """What takes a tar in buffers (pyrt._native.extract.Extractor)."""

        def feed(self, data: bytes) -> None: ...
        def finish(self) -> object: ...
        def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A layer that went through: the digest of its tar, and the tar's bytes."""

    diff_id: Digest
    size: int


def unpack(
    chunks: Iterable[bytes],
    start: Callable[[], Unpacker],
    scope: Scope,
    *,
    label: str,
    expansion: Expansion,
    watch: Callable[[int], None],
) -> Unpacked:
    """Run the pipeline; ``chunks`` is read in the calling thread, and an exception of it ends all.

    ``start`` makes the extractor, in the thread that will use it. ``label`` names the layer in errors, ``watch`` is
    told the bytes of tar so far. When this returns or raises, its threads have ended. Raises Cancelled; the reason is
    in ``scope.error``.
    """
    compressed = scope.channel(limits.QUEUED_COMPRESSED_BYTES)
    plain = scope.channel(limits.QUEUED_PLAIN_BYTES)
    tar = Tar(expansion)
    stages: list[Stage] = []
    try:
        stages.append(scope.spawn(lambda: expand(compressed, tar, plain, label), f"decompress {label}"))
        stages.append(scope.spawn(lambda: extract(plain, start, label, watch), f"extract {label}"))
        for chunk in chunks:
            expansion.received(len(chunk))
            compressed.put(chunk)
        compressed.close()
    except BaseException as error:
        scope.cancel(error)
        raise
    finally:
        for stage in stages:
            stage.wait()
    scope.check()
    return Unpacked(diff_id=Digest(algorithm="sha256", hex=tar.hasher.hexdigest()), size=tar.size)


class Tar:
    """What is known of the uncompressed bytes that have passed."""

    def __init__(self, expansion: Expansion) -> None:
        self.hasher = hashlib.sha256()
        self.size = 0
        self._expansion = expansion

    def add(self, buffer: bytes) -> None:
        """Count and hash. Raises LayerError for a layer that expands beyond all that is honest."""
        self.size += len(buffer)
        self._expansion.expanded(len(buffer))
        self.hasher.update(buffer)


def expand(compressed: Channel, tar: Tar, plain: Channel, label: str) -> None:
    """The second stage."""
    try:
        with closing(decompress(compressed)) as buffers:  # an error keeps this frame, and may not keep the codec
            for buffer in buffers:
                tar.add(buffer)
                plain.put(buffer)
    except LayerError as error:
        if error.step != "limit":
            drain(compressed)
        raise labelled(error, label) from error
    plain.close()


def extract(plain: Channel, start: Callable[[], Unpacker], label: str, watch: Callable[[int], None]) -> None:
    """The third stage. The extractor knows where the archive ends; what follows it is only hashed."""
    unpacker, done = start(), 0
    try:
        for buffer in plain:
            unpacker.feed(buffer)
            done += len(buffer)
            watch(done)
        unpacker.finish()
    except NoSpace as error:
        raise NoSpace(f"{label}: {error}") from error
    except LayerError as error:
        if not error.errno:
            drain(plain)
        raise labelled(error, label) from error
    finally:
        unpacker.close()


def drain(channel: Iterable[bytes]) -> None:
    """Let the stages before come to their end."""
    for _ in channel:
        pass


def labelled(error: LayerError, label: str) -> LayerError:
    """The same error with the layer's name in front."""
    return LayerError(
        f"{label}: {error}", entry=error.entry, step=error.step, errno=error.errno, hint=error.hint
    )
