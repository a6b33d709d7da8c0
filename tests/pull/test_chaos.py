"""Pulls through a network that goes wrong at random: in the end the right image, or a clear error and a clean store."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from pyrt.errors import PyrtError
from pyrt.image_pull import pull
from pyrt.store.store import Store
from tests.pull.leftovers import is_clean
from tests.support.fault_registry import FaultRegistry, Reply, error, image, noise, ranged
from tests.support.tarwriter import END, entry

ROUNDS = int(os.environ.get("PYRT_TEST_ROUNDS", "40"))


def fault(dice: random.Random, layer: bytes) -> Reply | None:
    """One thing that goes wrong with a blob, None for nothing."""
    cut = dice.randrange(len(layer))
    damaged = bytes([layer[0] ^ 1]) + layer[1:]
    kinds: list[Reply | None] = [
        None,
        Reply(body=layer, cut=cut),
        Reply(body=layer, stop=cut),
        Reply(body=layer[:cut]),
        Reply(body=layer + b"x"),
        Reply(body=layer, length=len(layer) + 7),
        Reply(body=damaged),
        Reply(body=layer, chunked=True),
        Reply(body=layer, delay=0.05),
        Reply(status=206, body=layer[cut:], headers=(("Content-Range", f"bytes {cut + 1}-{len(layer)}/{len(layer)}"),)),
        *(error(status, "BUSY", "", ("Retry-After", "0")) for status in (429, 500, 502, 503, 504)),
        error(404, "BLOB_UNKNOWN"),
    ]
    return dice.choice(kinds)


def test_fz_08_pulls_through_random_faults(tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    right = 0
    for number in range(ROUNDS):
        dice = random.Random(number)
        layer = entry("content", noise(50_000, number)) + END
        faults = [found for _ in range(dice.randrange(4)) if (found := fault(dice, layer)) is not None]
        store = Store.open(str(tmp_path / f"store-{number}"))
        with FaultRegistry() as registry:
            digest, _ = image(registry, "a", "1", layer, *faults, lambda seen, layer=layer: ranged(seen, layer))
            try:
                pulled = pull(f"{registry.host}/a:1", store=store, environ=environ)
            except PyrtError as failed:
                assert "\n" not in str(failed)
                assert not store.images.list() and not store.layers.names(), faults
            else:
                right += 1
                assert pulled.digest == digest
                assert Path(store.layers.path(pulled.diff_ids[0]), "content").read_bytes() == noise(50_000, number)
        assert is_clean(store)
    assert right > ROUNDS // 3, "most faults can be got over"
