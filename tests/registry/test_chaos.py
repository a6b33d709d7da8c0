"""FZ-08, the short form: whatever the network does, the bytes are right or the error is clean."""

from __future__ import annotations

import random

import pytest

from pyrt.errors import DigestMismatch, ImageError, RegistryError
from pyrt.oci.digest import Digest
from pyrt.registry.wire import Timeouts
from tests.support.fault_registry import FaultRegistry, Reply, Script, Seen, error, html, noise, ranged, redirect
from tests.support.registry_client import World

DATA = noise(1_500_000, 11)
TIMES = Timeouts(connect=0.5, header=0.5, progress=0.5, probe=0.5)


def fault(chance: random.Random) -> Script:
    """One thing that goes wrong, or nothing."""
    at = chance.randrange(len(DATA))
    wrong = DATA[:at] + bytes([DATA[at] ^ 1]) + DATA[at + 1 :]
    kinds: list[Script] = [
        lambda seen: ranged(seen, DATA),
        lambda seen: ranged(seen, DATA, cut=at),
        lambda seen: ranged(seen, DATA, stop=at),
        lambda seen: ranged(seen, wrong),
        lambda seen: ranged(seen, DATA, chunked=True),
        lambda seen: ranged(seen, DATA + b"x"),
        lambda seen: ranged(seen, DATA[:at]),
        lambda seen: ranged(seen, DATA, delay=0.7),
        Reply(body=DATA),
        Reply(body=DATA[:at], length=-1),
        Reply(status=206, body=DATA[at:], headers=(("Content-Range", f"bytes {at}-{len(DATA) - 1}/{len(DATA)}"),)),
        error(429, "TOOMANYREQUESTS"),
        error(503, "UNAVAILABLE"),
        error(401, "UNAUTHORIZED", "", ("WWW-Authenticate", 'Basic realm="x"')),
        error(404, "BLOB_UNKNOWN"),
        html(),
        redirect("/elsewhere"),
        Reply(status=416),
    ]
    return chance.choice(kinds)


@pytest.mark.parametrize("seed", range(60))
def test_right_or_a_clean_error(world: World, seed: int) -> None:
    chance = random.Random(seed)
    with FaultRegistry() as registry:
        blob = registry.blob("a", DATA, *(fault(chance) for _ in range(chance.randrange(1, 6))))

        def elsewhere(seen: Seen) -> Reply:
            return ranged(seen, DATA)

        registry.script("/elsewhere", elsewhere)
        with world.open(f"{registry.host}/a:1", timeouts=TIMES) as source:
            try:
                for _ in range(3):
                    content = b"".join(source.blob(blob))
                    if Digest.of(content) == blob.digest:
                        assert content == DATA
                        break
                    assert len(content) == len(DATA)  # never more, never silently less
                    source.reject(blob, DigestMismatch("wrong bytes", expected=str(blob.digest), actual=""))
            except (ImageError, RegistryError) as failure:
                assert str(failure).isprintable()
