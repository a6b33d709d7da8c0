"""Blobs from a registry that breaks, lies and dawdles, over real sockets."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pyrt.errors import (
    AccessDenied,
    DigestMismatch,
    ImageNotFound,
    NotARegistry,
    PyrtError,
    RateLimited,
    RegistryError,
    RegistryUnreachable,
    SizeMismatch,
)
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.registry.client import RegistrySource
from pyrt.registry.wire import Timeouts
from tests.support.fault_registry import FaultRegistry, Reply, Seen, error, html, noise, ranged, redirect
from tests.support.registry_client import FakeClock, World

SMALL = noise(100_000, 1)
BIG = noise(3_000_000, 2)
SHORT = Timeouts(connect=0.3, header=0.3, progress=0.3, floor=1024, probe=0.3)


@pytest.fixture
def registry() -> FaultRegistry:  # type: ignore[misc]
    with FaultRegistry() as running:
        yield running  # type: ignore[misc]


def opened(world: World, registry: FaultRegistry, **options: object) -> RegistrySource:
    return world.open(f"{registry.host}/a:1", **options)  # type: ignore[arg-type]


def ranges(registry: FaultRegistry, blob: Descriptor) -> list[str | None]:
    return [seen.headers.get("range") for seen in registry.requests(f"/v2/a/blobs/{blob.digest}")]


@pytest.mark.parametrize("data", [b"", SMALL, BIG], ids=["empty", "small", "big"])
def test_a_whole_blob(world: World, registry: FaultRegistry, data: bytes) -> None:
    blob = registry.blob("a", data)
    with opened(world, registry) as source:
        assert b"".join(source.blob(blob)) == data
    assert ranges(registry, blob) == ([None] if data else [])
    assert all(seen.headers["accept-encoding"] == "identity" for seen in registry.requests())


def test_pieces_are_large(world: World, registry: FaultRegistry) -> None:
    blob = registry.blob("a", BIG, lambda seen: ranged(seen, BIG, drip=(4096, 0.0)))
    with opened(world, registry) as source:
        sizes = [len(piece) for piece in source.blob(blob)]
    assert sum(sizes) == len(BIG) and len(sizes) <= len(BIG) // (64 * 1024)


def test_from_an_offset(world: World, registry: FaultRegistry) -> None:
    blob = registry.blob("a", BIG)
    with opened(world, registry) as source:
        assert b"".join(source.blob(blob, 2_000_000)) == BIG[2_000_000:]
        assert list(source.blob(blob, len(BIG))) == []
    assert ranges(registry, blob) == ["bytes=2000000-"]


@pytest.mark.parametrize("fault", ["cut", "stop"])
@pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
def test_rg_29_resumed_after_a_break(world: World, registry: FaultRegistry, fault: str, data: bytes) -> None:
    middle = len(data) // 2
    blob = registry.blob("a", data, *[lambda seen: ranged(seen, data, **{fault: middle // 2})] * 2)
    with opened(world, registry) as source:
        assert b"".join(source.blob(blob)) == data
    first, *resumed = ranges(registry, blob)
    assert first is None and len(resumed) == 2
    starts = [int((text or "").removeprefix("bytes=").rstrip("-")) for text in resumed]
    assert 0 < starts[0] <= middle // 2 < starts[1] <= middle


@pytest.mark.parametrize("chunked", [True, False])
def test_rg_28_resumed_after_a_short_answer_without_length(world: World, registry: FaultRegistry, chunked: bool) -> None:
    """Httpx takes such an answer for complete."""
    cut = Reply(body=BIG[:1_500_000], chunked=chunked, length=None if chunked else -1)
    blob = registry.blob("a", BIG, cut)
    with opened(world, registry) as source:
        assert b"".join(source.blob(blob)) == BIG
    assert ranges(registry, blob) == [None, "bytes=1500000-"]


def test_rg_30_range_ignored(world: World, registry: FaultRegistry) -> None:
    """The whole blob again is not appended."""
    blob = registry.blob("a", BIG, Reply(body=BIG, cut=1_200_000), Reply(body=BIG))
    with opened(world, registry) as source:
        assert b"".join(source.blob(blob)) == BIG
        assert b"".join(source.blob(blob, 2_999_999)) == BIG[2_999_999:]


@pytest.mark.parametrize(
    "place",
    ["bytes 0-2999999/3000000", "bytes 5-2999999/3000000", "bytes {0}-2999999/9000000", "bytes {0}-2000000/3000000",
     "bytes */3000000", "", "junk", "items {0}-2999999/3000000"],
)  # fmt: skip
def test_rg_29_wrong_content_range(world: World, registry: FaultRegistry, place: str) -> None:
    """The answer is not used; the blob is asked for as a whole instead."""

    def lie(seen: Seen) -> Reply:
        text = place.replace("{0}", seen.headers["range"].removeprefix("bytes=").rstrip("-"))
        return Reply(status=206, headers=(("Content-Range", text),), body=b"\0" * 1000)

    blob = registry.blob("a", BIG, Reply(body=BIG, cut=1_200_000), lie)
    with opened(world, registry) as source:
        assert b"".join(source.blob(blob)) == BIG
    assert [text is None for text in ranges(registry, blob)] == [True, False, True]


def test_rg_32_416_while_bytes_are_missing(world: World, registry: FaultRegistry) -> None:
    blob = registry.blob("a", BIG, Reply(body=BIG, cut=1_200_000), Reply(status=416))
    with opened(world, registry) as source:
        assert b"".join(source.blob(blob)) == BIG


def test_206_without_being_asked(world: World, registry: FaultRegistry) -> None:
    blob = registry.blob("a", BIG, Reply(status=206, body=BIG, headers=(("Content-Range", "bytes 0-2999999/3000000"),)))
    with opened(world, registry) as source, pytest.raises(RegistryError):
        list(source.blob(blob))


@pytest.mark.parametrize("difference", [-1, 1, -2_999_999])
def test_rg_28_length_that_is_not_the_descriptors(world: World, registry: FaultRegistry, difference: int) -> None:
    body = BIG[:difference] if difference < 0 else BIG + b"x"
    blob = registry.blob("a", BIG, Reply(body=body))
    with opened(world, registry) as source, pytest.raises(SizeMismatch) as caught:
        list(source.blob(blob))
    assert (caught.value.expected, caught.value.actual) == (len(BIG), len(BIG) + difference)


@pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
def test_rg_25_endless_body(world: World, registry: FaultRegistry, data: bytes) -> None:
    """Cut at the size."""
    blob = registry.blob("a", data, Reply(body=data, chunked=True, endless=True))
    with opened(world, registry) as source, pytest.raises(SizeMismatch):
        list(source.blob(blob))


def test_rg_28_two_lengths(world: World, registry: FaultRegistry) -> None:
    blob = registry.blob("a", BIG, Reply(body=BIG, headers=(("Content-Length", "5"),)))
    with opened(world, registry) as source, pytest.raises(RegistryError):
        list(source.blob(blob))


def test_shorter_for_ever(world: World, registry: FaultRegistry) -> None:
    registry.script(f"/v2/a/blobs/{Digest.of(BIG)}", lambda seen: ranged(seen, BIG[:1_500_000], length=-1))
    blob = Descriptor(media_type="x", digest=Digest.of(BIG), size=len(BIG))
    with opened(world, registry) as source, pytest.raises(PyrtError):
        list(source.blob(blob))


def test_given_up_after_five_breaks_without_progress(world: World, registry: FaultRegistry) -> None:
    blob = registry.blob("a", BIG, *[Reply(body=BIG, cut=1000)] * 20)
    with opened(world, registry) as source, pytest.raises(RegistryUnreachable, match=registry.host):
        list(source.blob(blob))
    assert len(ranges(registry, blob)) == 5


def test_many_breaks_with_progress_are_fine(world: World, registry: FaultRegistry) -> None:
    data = noise(12_000_000, 3)
    blob = registry.blob("a", data, *[lambda seen: ranged(seen, data, cut=1_200_000)] * 9)
    with opened(world, registry) as source:
        assert b"".join(source.blob(blob)) == data
    assert len(ranges(registry, blob)) == 10


def test_rg_33_content_that_was_swapped(world: World, registry: FaultRegistry) -> None:
    """One clean retry, then the error."""
    other = noise(len(BIG), 9)
    blob = registry.blob("a", BIG, Reply(body=BIG, cut=1_500_000), lambda seen: ranged(seen, other))
    error = DigestMismatch("wrong", expected="", actual="")
    with opened(world, registry) as source:
        mixed = b"".join(source.blob(blob))
        assert mixed != BIG and len(mixed) == len(BIG)
        source.reject(blob, error)
        assert b"".join(source.blob(blob)) == BIG
        with pytest.raises(DigestMismatch):
            source.reject(blob, error)


def test_rg_33_content_that_is_swapped_every_time(world: World, registry: FaultRegistry) -> None:
    """Who breaks and swaps for ever gets one retry, not endless ones."""
    other = noise(len(BIG), 9)
    blob = registry.blob("a", BIG, *[Reply(body=BIG, cut=1_500_000), lambda seen: ranged(seen, other)] * 3)
    error = DigestMismatch("wrong", expected="", actual="")
    with opened(world, registry) as source:
        assert b"".join(source.blob(blob)) != BIG
        source.reject(blob, error)
        assert b"".join(source.blob(blob)) != BIG
        with pytest.raises(DigestMismatch):
            source.reject(blob, error)


def test_small_blobs_are_verified_here(world: World, registry: FaultRegistry) -> None:
    blob = registry.blob("a", SMALL, Reply(body=noise(len(SMALL), 5)))
    with opened(world, registry) as source, pytest.raises(DigestMismatch):
        list(source.blob(blob))


def test_rg_33_a_small_blob_that_was_swapped_is_fetched_once_more(world: World, registry: FaultRegistry) -> None:
    other = noise(len(SMALL), 5)
    blob = registry.blob("a", SMALL, Reply(body=SMALL, cut=50_000), lambda seen: ranged(seen, other))
    with opened(world, registry) as source:
        assert b"".join(source.blob(blob)) == SMALL
    assert len(ranges(registry, blob)) == 3


def test_schema_1_layers_have_no_size(world: World, registry: FaultRegistry) -> None:
    sized = registry.blob("a", BIG, Reply(body=BIG, cut=1_200_000))
    blob = Descriptor(media_type=sized.media_type, digest=sized.digest, size=None)
    with opened(world, registry) as source:
        assert b"".join(source.blob(blob)) == BIG
    registry.blob("a", SMALL, Reply(body=SMALL, length=-1))
    blob = Descriptor(media_type=sized.media_type, digest=Digest.of(SMALL), size=None)
    with opened(world, registry) as source:
        assert b"".join(source.blob(blob)) == SMALL


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_rg_35_retried(world: World, registry: FaultRegistry, status: int) -> None:
    blob = registry.blob("a", SMALL, *[error(status, "X", "y", ("Retry-After", "0"))] * 4)
    with opened(world, registry) as source:
        assert b"".join(source.blob(blob)) == SMALL
    assert len(ranges(registry, blob)) == 5


@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        (error(404, "BLOB_UNKNOWN"), ImageNotFound, "/a: blob sha256:[0-9a-f]+ is missing at the registry"),
        (error(403, "DENIED", "no"), AccessDenied, "access denied: DENIED: no"),
        (error(429, "TOOMANYREQUESTS", "slow", ("Retry-After", "999")), RateLimited, "try again in 999 s"),
        (error(400, "X"), RegistryError, "status 400"),
        (error(503, "X"), RegistryError, "status 503"),
        (html(404), NotARegistry, "not a registry"),
        (html(200), NotARegistry, "not a registry"),
        (Reply(status=200, headers=(("Content-Encoding", "gzip"),), body=SMALL), None, ""),
    ],
)
def test_refusals(world: World, registry: FaultRegistry, reply: Reply, kind: type[PyrtError] | None, text: str) -> None:
    blob = registry.blob("a", SMALL)
    registry.script(f"/v2/a/blobs/{blob.digest}", reply)
    with opened(world, registry) as source:
        if kind is None:
            assert b"".join(source.blob(blob)) == SMALL
            return
        with pytest.raises(kind, match=text):
            list(source.blob(blob))


def test_retry_after_is_waited_for(world: World, registry: FaultRegistry) -> None:
    blob = registry.blob("a", SMALL, error(429, "X", "", ("Retry-After", "17")), error(503, "X"))
    clock = FakeClock()
    with opened(world, registry, clock=clock) as source:
        assert b"".join(source.blob(blob)) == SMALL
    assert clock.slept == [17.0, 1.0]


def quick(action: Callable[[], object], kind: type[PyrtError], limit: float) -> None:
    started = time.monotonic()
    with pytest.raises(kind):
        action()
    assert time.monotonic() - started < limit


@pytest.mark.parametrize(
    "reply",
    [Reply(body=BIG, drip=(1, 0.02)), Reply(body=BIG, header_drip=(1, 0.02)), Reply(body=BIG, delay=5)],
    ids=["body", "header", "silence"],
)
def test_rg_23_rg_24_too_slow(world: World, registry: FaultRegistry, reply: Reply) -> None:
    """Bytes that drip do not keep a pull alive."""
    blob = registry.blob("a", BIG)
    registry.script(f"/v2/a/blobs/{blob.digest}", reply)
    with opened(world, registry, timeouts=SHORT, patient=False) as source:
        quick(lambda: list(source.blob(blob)), RegistryUnreachable, 2.0)


def test_rg_23_a_stall_is_resumed(world: World, registry: FaultRegistry) -> None:
    blob = registry.blob("a", BIG, lambda seen: ranged(seen, BIG, drip=(1_000_000, 1.0)))
    with opened(world, registry, timeouts=SHORT) as source:
        assert b"".join(source.blob(blob)) == BIG
    assert len(ranges(registry, blob)) == 2


def test_a_slow_consumer_is_no_stall(world: World, registry: FaultRegistry) -> None:
    blob = registry.blob("a", BIG)
    got = b""
    with opened(world, registry, timeouts=SHORT, patient=False) as source:
        for piece in source.blob(blob):
            got += piece
            if len(got) < 1_000_000:
                time.sleep(0.4)
    assert got == BIG and ranges(registry, blob) == [None]


def test_slow_and_steady_arrives(world: World, registry: FaultRegistry) -> None:
    blob = registry.blob("a", SMALL, Reply(body=SMALL, drip=(4000, 0.05)))
    with opened(world, registry, timeouts=SHORT, patient=False) as source:
        assert b"".join(source.blob(blob)) == SMALL


@pytest.mark.parametrize("count", [300, 100_000])
def test_rg_26_header_flood(world: World, registry: FaultRegistry, count: int) -> None:
    headers = tuple((f"X-{number}", "y" * 1000 if count == 300 else "y") for number in range(count))
    blob = registry.blob("a", SMALL)
    registry.script(f"/v2/a/blobs/{blob.digest}", Reply(body=SMALL, headers=headers))
    with opened(world, registry, patient=False) as source:
        quick(lambda: list(source.blob(blob)), RegistryError, 5.0)


def test_foreign_urls_are_never_used(world: World, registry: FaultRegistry) -> None:
    """RG-12's class (CVE-2020-15157)"""
    blob = registry.blob("a", SMALL)
    registry.script("/foreign", Reply(body=SMALL))
    foreign = Descriptor(media_type=blob.media_type, digest=blob.digest, size=blob.size, urls=(f"{registry.base}/foreign",))
    registry.script(f"/v2/a/blobs/{blob.digest}", error(404, "BLOB_UNKNOWN"))
    with opened(world, registry) as source, pytest.raises(ImageNotFound):
        list(source.blob(foreign))
    assert not registry.requests("/foreign")


def test_resuming_asks_the_registry_again_for_a_place(world: World, registry: FaultRegistry) -> None:
    """A signed address may have ended by then; each part is redirected anew."""
    blob = registry.blob("a", BIG, redirect("/storage?signature=1"), redirect("/storage?signature=2"))
    registry.script("/storage", lambda seen: ranged(seen, BIG, cut=1_500_000), lambda seen: ranged(seen, BIG))
    with opened(world, registry) as source:
        assert b"".join(source.blob(blob)) == BIG
    stored = registry.requests("/storage")
    assert [seen.target for seen in stored] == ["/storage?signature=1", "/storage?signature=2"]
    assert "range" in stored[1].headers


def test_rg_24_nobody_listens(world: World, registry: FaultRegistry) -> None:
    blob = registry.blob("a", SMALL)
    with opened(world, registry) as source:
        list(source.blob(blob))
    unused = FaultRegistry("127.0.0.2")  # bound, and closed before anybody could connect
    unused._server.server_close()
    with world.open(f"{unused.host}/a:1") as source:
        quick(lambda: list(source.blob(blob)), RegistryUnreachable, 1.0)


def test_rg_24_accept_then_silence(world: World) -> None:
    """TLS is given up after the probe's time, then http after the header's."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        with world.open(f"{host}/a:1", timeouts=SHORT) as source:
            quick(source.manifest, RegistryUnreachable, 2.0)


def test_what_is_not_http(world: World, registry: FaultRegistry) -> None:
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                    connection.settimeout(2)
                    connection.recv(65536)

        thread = threading.Thread(target=talk)
        thread.start()
        with world.open(f"127.0.0.1:{listener.getsockname()[1]}/a:1", patient=False) as source:
            quick(source.manifest, RegistryError, 5.0)
        thread.join(10)


def test_throughput(world: World, registry: FaultRegistry) -> None:
    """The client hands on what arrives in few, large pieces: far above any network (measured apart: 2 GB/s)."""
    data = bytes(64_000_000)
    blob = registry.blob("a", data)
    with opened(world, registry) as source:
        started = time.perf_counter()
        assert sum(map(len, source.blob(blob))) == len(data)
        assert len(data) / (time.perf_counter() - started) > 100e6
