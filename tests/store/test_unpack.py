"""The pipeline of one layer: bounded, and it ends at once when any stage fails."""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from pyrt.errors import DigestMismatch, LayerError, NoSpace
from pyrt.oci import limits
from pyrt.store.channel import Cancelled, Scope
from pyrt.store.expansion import Expansion
from pyrt.store.unpack import Unpacked, unpack
from tests.support.fault_registry import noise


class Sink:
    """Takes a tar and keeps it."""

    def __init__(self, error: Exception | None = None, pause: float = 0.0) -> None:
        self.data = bytearray()
        self.finished = self.closed = False
        self._error, self._pause = error, pause

    def feed(self, data: bytes) -> None:
        time.sleep(self._pause)
        if self._error is not None:
            raise self._error
        self.data += data

    def finish(self) -> None:
        self.finished = True

    def close(self) -> None:
        self.closed = True


def run(chunks: Iterator[bytes], sink: Sink, scope: Scope | None = None, image: Expansion | None = None) -> Unpacked:
    watch: Callable[[int], None] = lambda _: None  # noqa: E731
    expansion = Expansion.of_layer(image)
    return unpack(chunks, lambda: sink, scope or Scope(), label="layer x", expansion=expansion, watch=watch)


def test_everything_goes_through() -> None:
    data, sink = noise(5 << 20), Sink()
    packed = gzip.compress(data, 1)
    result = run((packed[start : start + 65_536] for start in range(0, len(packed), 65_536)), sink)
    assert bytes(sink.data) == data
    assert sink.finished
    assert sink.closed
    assert result.size == len(data)
    assert result.diff_id.hex == hashlib.sha256(data).hexdigest()


def test_a_slow_stage_holds_the_others_back() -> None:
    ahead, sink = [0], Sink(pause=0.01)

    def source() -> Iterator[bytes]:
        for _ in range(60):
            ahead[0] = max(ahead[0], made[0] - len(sink.data))
            made[0] += 1 << 20
            yield bytes(1 << 20)

    made = [0]
    run(source(), sink)
    assert ahead[0] <= limits.QUEUED_COMPRESSED_BYTES + limits.QUEUED_PLAIN_BYTES + (5 << 20)


def endless() -> Iterator[bytes]:
    while True:
        yield bytes(1 << 20)


@pytest.mark.parametrize("error", [NoSpace("full"), LayerError("write", errno=5), RuntimeError("bug")])
def test_an_error_at_the_end_stops_the_beginning(error: Exception) -> None:
    scope, before = Scope(), threading.active_count()
    sink = Sink(error)
    with pytest.raises(Cancelled):
        run(endless(), sink, scope)
    assert type(scope.error) is type(error)
    assert str(error) in str(scope.error)
    assert sink.closed
    assert threading.active_count() == before


def test_an_error_at_the_beginning_stops_the_end() -> None:
    def source() -> Iterator[bytes]:
        yield bytes(1 << 20)
        raise ConnectionResetError("gone")

    scope, sink, before = Scope(), Sink(), threading.active_count()
    with pytest.raises(ConnectionResetError):
        run(source(), sink, scope)
    assert isinstance(scope.error, ConnectionResetError)
    assert not sink.finished
    assert sink.closed
    assert threading.active_count() == before


def test_a_scope_above_ends_the_pipeline() -> None:
    above, before = Scope(), threading.active_count()
    timer = threading.Timer(0.1, lambda: above.cancel(KeyboardInterrupt()))
    timer.start()
    with pytest.raises(Cancelled):
        run(endless(), Sink(), Scope(above))
    timer.join()
    assert threading.active_count() == before


def test_a_wrong_digest_explains_a_layer_that_does_not_unpack() -> None:
    """A damaged transfer shows first as damaged gzip; the digest, known at the end, is what the user shall read."""

    def source() -> Iterator[bytes]:
        packed = bytearray(gzip.compress(noise(3 << 20)))
        packed[100_000:200_000] = bytes(100_000)
        for start in range(0, len(packed), 65_536):
            yield bytes(packed[start : start + 65_536])
        raise DigestMismatch("blob", expected="a", actual="b")

    scope = Scope()
    with pytest.raises(DigestMismatch):
        run(source(), Sink(), scope)
    assert isinstance(scope.error, DigestMismatch)


def test_tx_65_a_bomb_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EXPANSION_GRACE_BYTES", 10 << 20)
    bomb = gzip.compress(bytes(100 << 20), 9)
    scope, sink = Scope(), Sink()
    with pytest.raises(Cancelled):
        run(iter([bomb]), sink, scope)
    assert isinstance(scope.error, LayerError)
    assert "layer x: expands to more than" in str(scope.error)
    assert len(sink.data) < 50 << 20


def test_tx_65_what_has_come_counts_and_not_what_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of a blob, however long its descriptor says that it is, allows nothing yet."""
    monkeypatch.setattr(limits, "EXPANSION_GRACE_BYTES", 1 << 20)
    bomb, sink, scope = gzip.compress(bytes(100 << 20), 9), Sink(), Scope()
    more_was_asked_for = threading.Event()

    def source() -> Iterator[bytes]:
        yield bomb[: len(bomb) // 2]
        while not scope.error:
            time.sleep(0.01)
        scope.check()
        more_was_asked_for.set()

    with pytest.raises(Cancelled):
        run(source(), sink, scope)
    assert "expands to more than" in str(scope.error) and not more_was_asked_for.is_set()


def test_tx_65_many_small_bombs_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each layer stays within its own grace; the image's is smaller than their sum."""
    monkeypatch.setattr(limits, "EXPANSION_GRACE_BYTES", 20 << 20)
    monkeypatch.setattr(limits, "IMAGE_GRACE_BYTES", 50 << 20)
    monkeypatch.setattr(limits, "EXPANSION_RATIO", 2)
    bomb, image = gzip.compress(bytes(15 << 20), 9), Expansion.of_image()
    for _ in range(3):  # the twin: a few files of zeros
        run(iter([bomb]), Sink(), image=image)
    scope = Scope()
    with pytest.raises(Cancelled):
        run(iter([bomb]), Sink(), scope, image=image)
    assert "with the other layers of its image, expands to more than" in str(scope.error)
