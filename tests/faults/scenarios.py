"""The commands that are killed and failed at every step, with the stores that they start from and what they may leave.

Images of two small layers: they have one of everything that a layer can hold, so that every path of the code is walked and
a sweep of some hundred points takes seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pyrt.store.layers import RECORD
from pyrt.store.records import Record
from pyrt.store.store import Store
from tests.support import images, trees, warm
from tests.support.fault_registry import noise
from tests.support.images import BuiltImage, Entry

NAME = "docker.io/library/x:latest"
OTHER = "docker.io/library/other:latest"
RUNNABLE = "docker.io/library/busybox:latest"
VOLATILE = ("tmp", "locks", "containers", "names", "scratch", "volumes", "layers", "blobs/sha256", "blobs/sha512", "")


def made(number: int) -> BuiltImage:
    """Version ``number`` of an image; all versions share the lower layer."""
    shared = images.layer(
        images.tar(
            [
                Entry(name="d", kind="dir", mode=0o755),
                Entry(name="d/file", content=noise(5000), mode=0o4755),
                Entry(name="d/hard", kind="hard", link="d/file"),
                Entry(name="d/link", kind="sym", link="file"),
                Entry(name="d/pipe", kind="fifo"),
                Entry(name="d/owned", content=b"x", uid=1000, gid=1000, xattrs={"user.a": "b"}),
            ]
        )
    )
    own = [
        Entry(name="d", kind="dir", mode=0o755),
        Entry(name="d/.wh.link", mode=0o600),
        Entry(name="e", kind="dir", mode=0o700),
        Entry(name="e/.wh..wh..opq", mode=0o600),
        Entry(name="e/f", content=noise(3000, number)),
    ]
    return images.image([shared, images.layer(images.tar(own), "zstd")], config={"Cmd": [str(number)]})


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a sweep works: a store that is made anew for each point, copies to make it from, sources to pull from."""

    store: Path
    bases: Path
    sources: Path
    registry: str
    layers: dict[str, dict[bytes, trees.Attributes]]  # what each layer has to be, by diff id

    def command(self, *words: str) -> list[str]:
        return ["--root", str(self.store), *words]

    def source(self, number: int) -> str:
        return f"oci:{self.sources}/v{number}:{NAME}"

    def restore(self, base: str) -> None:
        """The store as it was when ``base`` was kept."""
        empty(self.store)
        if base:
            subprocess.run(["cp", "-a", f"{self.bases}/{base}/.", self.store], check=True)

    def keep(self, base: str) -> None:
        subprocess.run(["cp", "-a", str(self.store), f"{self.bases}/{base}"], check=True)


def empty(directory: Path) -> None:
    for entry in os.scandir(directory):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


@contextmanager
def place(directory: Path) -> Iterator[Place]:
    """All of it, on a tmpfs at ``directory``: what is to be found does not depend on the file system, and it is quick."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700,size=1g", "tmpfs", directory], check=True)
    try:
        for name in ("store", "bases", "sources"):
            (directory / name).mkdir(mode=0o700)
        made_here = _Sources(directory / "sources")
        with made_here.served() as registry:
            yield Place(
                store=directory / "store",
                bases=directory / "bases",
                sources=directory / "sources",
                registry=registry,
                layers=made_here.layers,
            )
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


class _Sources:
    """Images as OCI layouts, one as a docker-archive, and a store that serves them; and their trees as they have to be."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.layers: dict[str, dict[bytes, trees.Attributes]] = {}
        built = {"v0": {NAME: made(0)}, "v1": {NAME: made(1)}, "busybox": {RUNNABLE: images.busybox()}}
        reference = Store.open(str(directory / "reference"))
        self._served = reference.layout.root
        for folder, named in built.items():
            (directory / folder).mkdir()
            images.write_layout(directory / folder, named)
            for name in named:
                self._pull(reference, f"oci:{directory / folder}:{name}")
        for name in reference.layers.names():
            self.layers[name] = _tree(f"{reference.layout.layers}/{name}")
        _docker_archive(made(0), directory / "archive.tar")

    def _pull(self, store: Store, text: str) -> None:
        outcome = warm.run(["--root", store.layout.root, "pull", text])
        assert outcome.code == 0, outcome.err

    @contextmanager
    def served(self) -> Iterator[str]:
        """The registry, a process of its own: host:port."""
        for number in (0, 1):
            outcome = warm.run(
                ["--root", self._served, "pull", f"oci:{self._directory}/v{number}:{NAME}"]
            )
            assert outcome.code == 0, outcome.err
            warm.run(["--root", self._served, "tag", NAME, f"docker.io/library/x:v{number}"])
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        server = subprocess.Popen(
            [sys.executable, "-m", "pyrt", "--root", self._served, "serve", "--listen", f"127.0.0.1:{port}"],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        with warm.spared(server.pid):
            try:
                for _ in range(200):
                    try:
                        socket.create_connection(("127.0.0.1", port)).close()
                        break
                    except ConnectionRefusedError:
                        time.sleep(0.05)
                yield f"127.0.0.1:{port}"
            finally:
                server.terminate()
                server.wait()


def _docker_archive(image: BuiltImage, path: Path) -> None:
    """As ``docker save`` before 25 wrote it."""
    manifest = json.loads(image.top.content)
    blobs = {blob.digest: blob for blob in image.blobs}
    entries = []
    layers = []
    for number, layer in enumerate(manifest["layers"]):
        layers.append(f"{number}/layer.tar")
        entries.append(Entry(name=layers[-1], content=blobs[layer["digest"]].content))
    config = f"{manifest['config']['digest'].partition(':')[2]}.json"
    entries.append(Entry(name=config, content=blobs[manifest["config"]["digest"]].content))
    described = [{"Config": config, "RepoTags": ["docker.io/library/x:latest"], "Layers": layers}]
    entries.append(Entry(name="manifest.json", content=json.dumps(described).encode()))
    path.write_bytes(images.tar(entries))


def _tree(path: str) -> dict[bytes, trees.Attributes]:
    """A layer as a value, without what differs from one unpacking to the next: the times of what is not in the tar."""
    found = trees.manifest(path)
    del found[b""]
    return {name: replace(file, mtime=0) if file.kind == "char" else file for name, file in found.items()}


def problems(place: Place, *, after_a_cut: bool = False) -> list[str]:
    """What is wrong with the store, judged from its files alone and not by pyrt's own check. After a power cut only what an
    image or a container names has to be right."""
    root = place.store
    if not (root / "index.json").exists():
        return []
    found = []
    blobs = root / "blobs" / "sha256"
    named = _named(root) if after_a_cut else None
    for name in os.listdir(blobs):
        if named is not None and name not in named:
            continue
        if hashlib.sha256((blobs / name).read_bytes()).hexdigest() != name:
            found.append(f"blob {name[:12]} has other bytes")
    for name in os.listdir(root / "layers"):
        if name.endswith(RECORD):  # pyrt check's, and judged by it
            continue
        if named is not None and name not in named:
            continue
        if name not in place.layers:
            found.append(f"layer {name[:12]} is unknown")
        elif place.layers[name] != _tree(f"{root}/layers/{name}"):
            found.append(f"layer {name[:12]} is another tree")
    try:
        entries = json.loads((root / "index.json").read_bytes())["manifests"]
    except (ValueError, KeyError) as error:
        return [*found, f"index.json: {error}"]
    for entry in entries:
        found += _missing(root, entry["digest"].partition(":")[2])
    for path in (root / "containers").glob("*.json"):
        try:
            record = Record.parse(path.read_bytes())
        except ValueError:
            if path.read_bytes().strip(b"\0") and path.stat().st_size >= 512:  # else half made: nobody has seen it yet
                found.append(f"record {path.name[:12]} cannot be read")
            continue
        missing = [name for name in record.layers if not (root / "layers" / name).is_dir()]
        found += [f"container {path.name[:8]} lacks {name[:12]}" for name in missing]
    return found


def checked(place: Place) -> list[str]:
    """What ``pyrt check`` says of the store."""
    outcome = warm.run(place.command("check"))
    return [] if outcome.code == 0 else [f"pyrt check: {(outcome.out + outcome.err).strip()[-300:]}"]


def _named(root: Path) -> set[str]:
    """The hex of the digests of everything that images and containers consist of."""
    found: set[str] = set()
    pending = [entry["digest"] for entry in json.loads((root / "index.json").read_bytes())["manifests"]]
    while pending:
        name = pending.pop().partition(":")[2]
        if name in found:
            continue
        found.add(name)
        with suppress(OSError, ValueError):
            document = json.loads((root / "blobs" / "sha256" / name).read_bytes())
            parts = (document.get("config", {}), *document.get("layers", ()))
            pending += [part["digest"] for part in parts if "digest" in part]
            pending += document.get("rootfs", {}).get("diff_ids", ())
    for path in (root / "containers").glob("*.json"):
        with suppress(ValueError):
            found |= set(Record.parse(path.read_bytes()).layers)
    return found


def _missing(root: Path, manifest: str) -> Iterable[str]:
    """What an image of the index lacks: it is complete or it is not there."""
    blob = root / "blobs" / "sha256"
    if not (blob / manifest).exists():
        return [f"image without its manifest {manifest[:12]}"]
    try:
        document = json.loads((blob / manifest).read_bytes())
    except ValueError:
        return [f"image with a damaged manifest {manifest[:12]}"]
    parts = [document["config"]["digest"], *(layer["digest"] for layer in document["layers"])]
    found = [f"image without its blob {part}" for part in parts if not (blob / part.partition(":")[2]).exists()]
    if not found:
        try:
            config = json.loads((blob / parts[0].partition(":")[2]).read_bytes())
        except ValueError:
            return [f"image with a damaged configuration {parts[0]}"]
        found += [
            f"image without its layer {diff_id}"
            for diff_id in config["rootfs"]["diff_ids"]
            if not (root / "layers" / diff_id.partition(":")[2]).is_dir()
        ]
    return found


def listing(place: Place) -> frozenset[str]:
    """The names in every directory of the store."""
    found = set()
    for folder in VOLATILE:
        directory = place.store / folder
        if directory.is_dir():
            found |= {f"{folder}/{name}" for name in os.listdir(directory)}
    kept = {"/probe"}  # where the ladder has asked, under the filter that listens here
    return frozenset(found - {"locks/store", "locks/index"} - kept)


def index(place: Place) -> dict[str, str]:
    """Which names there are, and the manifest that each has."""
    document = json.loads((place.store / "index.json").read_bytes())
    return {entry.get("annotations", {}).get(images.REF_NAME, ""): entry["digest"] for entry in document["manifests"]}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One command. ``base`` is the store that it starts from (a key of BASES). ``again`` is what a user types after it was
    killed, and ``codes`` how that may end: after it the store is as after a command that nobody killed."""

    name: str
    base: str
    words: tuple[str, ...]
    again: tuple[str, ...] = ()
    codes: tuple[int, ...] = (0,)
    quiet: float | None = None  # the command goes on for ever: it is killed when it has been quiet for so long

    def filled(self, place: Place, words: tuple[str, ...]) -> list[str]:
        values = {"v0": place.source(0), "v1": place.source(1), "sources": str(place.sources), "registry": place.registry}
        return place.command(*(word.format(**values) for word in words))

    def command(self, place: Place) -> list[str]:
        return self.filled(place, self.words)

    def recovery(self, place: Place) -> list[str]:
        return self.filled(place, self.again or self.words)


BASES: dict[str, tuple[tuple[str, ...], ...]] = {
    "": (),
    "v0": (("pull", "{v0}"),),
    "two": (("pull", "{v0}"), ("tag", NAME, OTHER), ("pull", "{v1}")),
    "runnable": (("pull", f"oci:{{sources}}/busybox:{RUNNABLE}"),),
    "ended": (
        ("pull", f"oci:{{sources}}/busybox:{RUNNABLE}"),
        ("run", "--name", "c", "busybox", "sh", "-c", "mkdir -p /a/b; echo x >/a/b/c"),
    ),
}

PULLS = (
    Scenario(name="pull a layout", base="", words=("pull", "{v0}")),
    Scenario(name="pull a newer one", base="v0", words=("pull", "{v1}")),
    Scenario(name="pull from a registry", base="", words=("pull", "{registry}/library/x:v0")),
    Scenario(name="load an archive", base="", words=("pull", "docker-archive:{sources}/archive.tar")),
)
IMAGES = (
    Scenario(name="rmi", base="two", words=("rmi", "other"), codes=(0, 1)),
    Scenario(name="tag", base="v0", words=("tag", "x", "other")),
    Scenario(name="image prune", base="two", words=("image", "prune", "--all", "--force")),
)
RUNS = (
    Scenario(name="run --rm", base="runnable", words=("run", "--rm", "busybox", "true")),
    Scenario(name="run --rm, on disk", base="runnable", words=("run", "--rm", "--scratch", "disk", "busybox", "true")),
    Scenario(
        name="run --rm for ever", base="runnable", words=("run", "--rm", "busybox", "sleep", "1000"),
        again=("run", "--rm", "busybox", "true"), quiet=0.4,
    ),
    Scenario(name="run", base="runnable", words=("run", "--name", "c", "busybox", "true"), again=("rm", "-f", "c")),
    Scenario(name="rm", base="ended", words=("rm", "c"), codes=(0, 1)),
)  # fmt: skip
ALL = (*PULLS, *IMAGES, *RUNS)


def prepare(place: Place, base: str) -> None:
    """Makes the store of that name and keeps it."""
    if base and not (place.bases / base).exists():
        empty(place.store)
        scenario = Scenario(name=base, base=base, words=())
        for words in BASES[base]:
            outcome = warm.run(scenario.filled(place, words))
            assert outcome.code == 0, (words, outcome.err)
        place.keep(base)
