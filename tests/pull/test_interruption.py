"""A pull that is killed or interrupted leaves the old image or the new one, and nothing for long."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pyrt.image_pull import pull
from pyrt.store.progress import PullEvent
from pyrt.store.prune import prune_images
from pyrt.store.store import Store
from pyrt.store.sweep import sweep
from tests.pull.leftovers import is_clean, is_empty
from tests.support import images, trees
from tests.support.fault_registry import FaultRegistry, Reply, noise, ranged
from tests.support.fault_registry import image as served
from tests.support.images import BuiltImage, Entry

NAME = "docker.io/library/busybox:latest"
PULLER = """
import sys
from pyrt.image_pull import pull
from pyrt.store.progress import PullEvent
from pyrt.store.prune import prune_images
from pyrt.store.store import Store
store = Store.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
pull(sys.argv[2], store=store)
"""


def start(store: Store, text: str) -> subprocess.Popen[bytes]:
    """A process that pulls ``text``, at the moment when it begins."""
    puller = subprocess.Popen(
        [sys.executable, "-c", PULLER, store.layout.root, text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert puller.stdin is not None and puller.stdout is not None
    puller.stdout.readline()
    puller.stdin.write(b"go\n")
    puller.stdin.flush()
    return puller


def version(number: int) -> BuiltImage:
    shared = images.layer(images.tar([Entry(name="shared", content=noise(100_000))]))
    files = [Entry(name=f"d/{n}", content=noise(3_000, number * 1000 + n)) for n in range(200)]
    return images.image([shared, images.layer(images.tar(files))], config={"Cmd": [str(number)]})


def layout(tmp_path: Path, number: int) -> str:
    directory = tmp_path / f"v{number}"
    directory.mkdir()
    images.write_layout(directory, {NAME: version(number)})
    return f"oci:{directory}:{NAME}"


def is_whole(store: Store, reference: Store) -> str:
    """The version that the name has now, checked against another copy of it, file by file."""
    image = store.images.load(store.images.find(NAME))
    assert store.images.present(image)
    for layer in image.layers:
        assert store.content.size(layer.digest) == layer.size
    for diff_id in image.diff_ids:
        ours, other = (trees.manifest(one.layers.path(diff_id)) for one in (store, reference))
        del ours[b""], other[b""]  # no entry of its own
        ours.pop(b"d", None), other.pop(b"d", None)
        assert ours == other
    assert image.config.cmd is not None
    return image.config.cmd[0]


def test_st_01_fz_11_a_kill_at_any_moment_leaves_old_or_new(tmp_path: Path) -> None:
    texts = [layout(tmp_path, number) for number in (0, 1)]
    store, reference = Store.open(str(tmp_path / "store")), Store.open(str(tmp_path / "reference"))
    for text in reversed(texts):
        pull(text, store=reference)
    before = time.monotonic()
    with start(store, texts[0]) as puller:
        puller.communicate()
    usual = time.monotonic() - before
    choice, seen = random.Random(1), set()
    for turn in range(30):
        with start(store, texts[(turn + 1) % 2]) as puller:
            time.sleep(choice.uniform(0, usual * 1.3))
            puller.kill()
            puller.communicate()
        seen.add(is_whole(store, reference))
    assert seen == {"0", "1"}
    sweep(store)
    assert is_clean(store)
    for text in texts:
        pull(text, store=store)
    assert len(store.images.list()) == 2
    assert len(store.layers.names()) == 3
    assert len(store.content.digests()) == 7


def test_st_01_what_a_killed_first_pull_left_is_swept(tmp_path: Path) -> None:
    store, data = Store.open(str(tmp_path / "store")), images.tar([Entry(name="f", content=noise(4 << 20))])
    with FaultRegistry() as registry:
        served(registry, "x", "latest", data, lambda seen: Reply(body=data, drip=(1 << 20, 0.3)))
        puller = start(store, f"{registry.host}/x")
        deadline = time.monotonic() + 20
        while not any(name.startswith("layer-") for name in os.listdir(store.layout.tmp)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        puller.kill()
        puller.communicate()
    assert os.listdir(store.layout.tmp)
    assert sweep(store) == ()
    assert is_empty(store)


def test_st_25_others_clean_up_around_a_pull(tmp_path: Path, environ: dict[str, str]) -> None:
    store, data = Store.open(str(tmp_path / "store")), images.tar([Entry(name="f", content=noise(4 << 20))])
    with FaultRegistry() as registry:
        served(registry, "x", "latest", data, lambda seen: Reply(body=data, drip=(1 << 20, 0.2)))
        text, results = f"{registry.host}/x", []
        puller = threading.Thread(target=lambda: results.append(pull(text, store=store, environ=environ)))
        puller.start()
        rounds = 0
        while puller.is_alive():
            assert sweep(store) == ()
            prune_images(store)
            rounds += bool(os.listdir(store.layout.tmp))
            time.sleep(0.01)
        puller.join()
    assert rounds > 5
    assert store.images.present(results[0])
    assert store.content.has(results[0].layers[0].digest)
    assert is_clean(store)


@pytest.mark.parametrize("pause", [0.2, 20.0])
def test_rg_45_ctrl_c_ends_a_pull_at_once(tmp_path: Path, environ: dict[str, str], pause: float) -> None:
    """Also where the registry has gone silent in the middle of a layer: the user does not wait for it."""
    store, data = Store.open(str(tmp_path / "store")), images.tar([Entry(name="f", content=noise(6 << 20))])
    with FaultRegistry() as registry:
        served(registry, "x", "latest", data, Reply(body=data, drip=(1 << 20, pause)))

        def interrupt(event: PullEvent) -> None:
            if event.kind == "unpack" and event.current > 500_000:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        before = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            pull(f"{registry.host}/x", store=store, environ=environ, progress=interrupt)
        assert time.monotonic() - before < 5
        assert os.listdir(store.layout.tmp) == []
        assert not store.content.digests()
        assert not store.layers.names()
    deadline = time.monotonic() + 5
    while not is_empty(store):  # the thread that waited for the network gives its locks back
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_rg_45_signals_end_the_command(tmp_path: Path, environ: dict[str, str], number: int, code: int) -> None:
    """In the middle of a layer: connections are closed, locks are free, and the same pull works at once."""
    data = images.tar([Entry(name="f", content=noise(6 << 20))])
    with FaultRegistry() as registry:
        served(registry, "x", "latest", data, Reply(body=data, drip=(1 << 20, 0.5)), lambda seen: ranged(seen, data))
        words = [sys.executable, "-m", "pyrt", "--root", str(tmp_path / "store"), "pull", f"{registry.host}/x"]
        surroundings = {**environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        with subprocess.Popen(words, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as puller:
            deadline = time.monotonic() + 30
            while not any("/blobs/" in seen.path for seen in registry.requests()) or not held(tmp_path / "store"):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            puller.send_signal(number)
            puller.communicate(timeout=10)
        assert puller.returncode == code
        deadline = time.monotonic() + 5
        while registry.connections:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        done = subprocess.run(words, env=surroundings, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert is_clean(Store.open(str(tmp_path / "store")))


def held(store: Path) -> bool:
    """Whether something of a layer has arrived."""
    return any(path.stat().st_size > 1 << 20 for path in (store / "tmp").glob("blob-*"))
