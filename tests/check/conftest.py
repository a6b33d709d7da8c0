"""A registry with two images that share a layer, and a store into which both were pulled, to be copied."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import pytest

from pyrt.cli.main import main
from pyrt.image_pull import pull
from pyrt.oci.digest import Digest
from pyrt.store.store import Store
from tests.support import images
from tests.support.fault_registry import noise
from tests.support.images import Entry
from tests.support.parts import missing
from tests.support.registries import RunningRegistry, private_environ, running_registry

REPOSITORY = Path(__file__).parents[2]
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000").decode("latin-1")


class Case:
    """A store of a test's own, the images that it was made of, and the command line on it."""

    def __init__(self, root: Path, environ: dict[str, str], registry: RunningRegistry) -> None:
        self.root, self.environ, self.registry = root, environ, registry
        self.store = Store.open(str(root))
        self.shared, self.top = (images.layer(images.tar(entries)) for entries in (shared_entries(), top_entries()))
        self.small, self.large = built()
        self.small_name, self.large_name = f"{registry.host}/small:latest", f"{registry.host}/large:latest"

    def pyrt(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command line on this store, in this process."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), mock.patch.dict(os.environ, self.environ):
            code = main(["--root", str(self.root), *words])
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    def program(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The same as a program of its own."""
        argv = [sys.executable, "-m", "pyrt", "--root", str(self.root), *words]
        environ = {**os.environ, **self.environ}
        return subprocess.run(argv, capture_output=True, text=True, timeout=120, cwd=REPOSITORY, env=environ)

    def tree(self, blob: images.Blob) -> Path:
        """An unpacked layer."""
        return self.root / "layers" / Digest.parse(blob.diff_id).hex

    def blob(self, digest: str) -> Path:
        return self.root / "blobs/sha256" / Digest.parse(digest).hex

    def assert_clean(self) -> None:
        """Nothing is wrong, and nothing is left of whatever was done."""
        done = self.pyrt("check")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert done.stdout.startswith("nothing wrong: ")
        assert os.listdir(self.root / "tmp") == []
        assert set(os.listdir(self.root / "locks")) <= {"store", "index"}

    def finds(self, *words: str) -> list[str]:
        """The lines of a check that finds something."""
        done = self.pyrt("check", *words)
        assert (done.returncode, done.stderr) == (1, ""), done.stdout
        return done.stdout.splitlines()

    def repairs(self) -> list[str]:
        """The lines of a repair after which nothing is wrong."""
        done = self.pyrt("check", "--repair")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        self.assert_clean()
        return done.stdout.splitlines()


def shared_entries() -> list[Entry]:
    return [
        Entry(name="etc", kind="dir", mode=0o755),
        Entry(name="etc/passwd", content=images.PASSWD.encode()),
        Entry(name="bin", kind="dir", mode=0o755),
        Entry(name="bin/su", content=noise(5000), mode=0o4755),
        Entry(name="bin/sudo", kind="hard", link="bin/su"),
        Entry(name="bin/ping", content=b"ping", mode=0o755, xattrs={"security.capability": CAPABILITY}),
        Entry(name="bin/sh", kind="sym", link="su"),
        Entry(name="implicit/parent/file", content=b"its directories are not in the archive"),
        Entry(name="dev/null", kind="char", device=(1, 3), mode=0o666),
        Entry(name="home/app/file", content=b"hers", uid=1000, gid=1000),
    ]


def top_entries() -> list[Entry]:
    return [Entry(name="etc/.wh.passwd"), Entry(name="big", content=noise(300_000, 1))]


def built() -> tuple[images.BuiltImage, images.BuiltImage]:
    shared, top = (images.layer(images.tar(entries)) for entries in (shared_entries(), top_entries()))
    return images.image([shared], config={"Cmd": ["/bin/su"]}), images.image([shared, top], config={"Cmd": ["/x"]})


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    with running_registry(tmp_path_factory.mktemp("check") / "registry") as running:
        layout = tmp_path_factory.mktemp("check") / "layout"
        layout.mkdir()
        small, large = built()
        images.write_layout(layout, {"small": small, "large": large})
        for name in ("small", "large"):
            running.push(layout, name, source=name)
        yield running


@pytest.fixture(scope="session")
def pulled(registry: RunningRegistry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if os.geteuid() != 0:
        missing("not root")
    home = tmp_path_factory.mktemp("check")
    store = Store.open(str(home / "store"))
    for name in ("small", "large"):
        pull(f"{registry.host}/{name}", store=store, environ=private_environ(home / "home"))
    return home / "store"


@pytest.fixture
def case(pulled: Path, registry: RunningRegistry, tmp_path: Path) -> Case:
    subprocess.run(["cp", "-a", pulled, tmp_path / "store"], check=True)
    return Case(tmp_path / "store", private_environ(tmp_path / "home"), registry)


@pytest.fixture
def busybox(registry: RunningRegistry, tmp_path: Path, busybox_store: Path) -> Case:
    """As ``case``, of the busybox image alone, which containers can run in; it came from a layout."""
    subprocess.run(["cp", "-a", busybox_store, tmp_path / "store"], check=True)
    return Case(tmp_path / "store", private_environ(tmp_path / "home"), registry)


@pytest.fixture(scope="session")
def busybox_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if os.geteuid() != 0:
        missing("not root")
    home = tmp_path_factory.mktemp("busybox")
    images.write_layout(home / "layout", {images.BUSYBOX: images.busybox()})
    store = Store.open(str(home / "store"))
    pull(f"oci:{home}/layout:{images.BUSYBOX}", store=store)
    shutil.rmtree(home / "layout")
    return home / "store"


