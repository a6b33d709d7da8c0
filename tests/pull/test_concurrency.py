"""Many processes pull the same image: each blob is fetched once, unpacked once, and all of them get it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from pyrt.image_pull import pull
from pyrt.store.progress import PullEvent
from pyrt.store.store import Store
from pyrt.store_check import check
from tests.pull.leftovers import is_clean
from tests.support import images
from tests.support.fault_registry import noise
from tests.support.images import Entry
from tests.support.registries import RunningRegistry

PULLER = """
import os, sys
from pyrt.image_pull import pull
from pyrt.store.store import Store
sys.stdin.readline()
kinds = []
image = pull(sys.argv[2], store=Store.open(sys.argv[1]), progress=lambda event: kinds.append(event.kind))
print(image.digest, kinds.count("unpack") > 0)
"""


def test_st_13_sixteen_processes_fetch_each_blob_once(
    registry: RunningRegistry, tmp_path: Path, environ: dict[str, str]
) -> None:
    layers = [
        images.layer(images.tar([Entry(name=f"f{number}", content=noise(2 << 20, number))])) for number in range(4)
    ]
    built = images.image(layers)
    layout = tmp_path / "layout"
    layout.mkdir()
    images.write_layout(layout, {"latest": built})
    registry.push(layout, "sixteen")
    before, root = len(registry.requests()), str(tmp_path / "store")
    pullers = [
        subprocess.Popen(
            [sys.executable, "-c", PULLER, root, f"{registry.host}/sixteen"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environ},
            text=True,
        )
        for _ in range(16)
    ]
    for puller in pullers:
        assert puller.stdin is not None
        puller.stdin.write("go\n")
        puller.stdin.flush()
    answers = [puller.communicate() for puller in pullers]
    assert {puller.returncode for puller in pullers} == {0}, answers
    assert {out.split()[0] for out, _ in answers} == {built.digest}
    asked = Counter(line for line in registry.requests()[before:] if line.startswith("GET") and "/blobs/" in line)
    for layer in layers:
        assert sum(count for line, count in asked.items() if layer.digest in line) == 1
    store = Store.open(root)
    image = pull(f"{registry.host}/sixteen", store=store, policy="never", environ=environ)
    assert store.images.present(image)
    assert len(store.layers.names()) == 4
    assert len(store.images.list()) == 1
    assert is_clean(store)
    assert check(store).problems == ()


HOLDER = """
import sys, time
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.store.store import Store
store, descriptor = Store.open(sys.argv[1]), Descriptor(media_type="x", digest=Digest.parse(sys.argv[2]), size=int(sys.argv[3]))
with store.content.writer(descriptor) as writer:
    writer.write(b"the beginning of something else")
    print("held", flush=True)
    time.sleep(600)
"""


def test_st_15_a_pull_that_was_killed_is_taken_over(
    registry: RunningRegistry, tmp_path: Path, environ: dict[str, str]
) -> None:
    """The one that waits for its blob goes on when the kernel has dropped the lock, from the start: the bytes were wrong."""
    blob = images.layer(images.tar([Entry(name="f", content=noise(100_000, 7))]))
    built = images.image([blob])
    layout = tmp_path / "layout"
    layout.mkdir()
    images.write_layout(layout, {"latest": built})
    registry.push(layout, "takeover")
    root = str(tmp_path / "store")
    store = Store.open(root)
    words = [sys.executable, "-c", HOLDER, root, blob.digest, str(len(blob.content))]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        kinds: list[str] = []
        results: list[object] = []

        def work() -> None:
            results.append(pull(f"{registry.host}/takeover", store=store, environ=environ, progress=listen))

        def listen(event: PullEvent) -> None:
            kinds.append(event.kind)

        puller = threading.Thread(target=work)
        puller.start()
        while "start" not in kinds:
            time.sleep(0.01)
        time.sleep(0.3)
        assert "download" not in kinds, "it waits"
        holder.kill()
        killed = time.monotonic()
        while len(kinds) < 3:
            assert time.monotonic() - killed < 30
            time.sleep(0.001)
        waited = time.monotonic() - killed
        puller.join()
    assert len(results) == 1
    assert waited < 1
    assert check(store).problems == ()
    assert is_clean(store)
