"""Unpacking alone: the image's layers as uncompressed tars, each into a directory of its own."""

from __future__ import annotations

import os
import subprocess
import tarfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks.fresh_directories import FreshDirectories
from benchmarks.pull_image import PullImage
from benchmarks.race import Contestant, race, scaled, timed
from benchmarks.replay import Recorder
from benchmarks.workplace import have
from pyrt._native.extract import Extractor, private_umask
from tests.support.parts import need

NEEDED = {"pyrt": (), "GNU tar": ("tar",), "bsdtar": ("bsdtar",), "Python tarfile": ()}
CHUNK = 1 << 18


def with_pyrt(archive: Path, directory: Path) -> None:
    """In a thread of its own, as in a pull: that is where a umask of 0 is allowed."""
    thread = threading.Thread(target=_extract, args=(archive, directory))
    thread.start()
    thread.join()


def _extract(archive: Path, directory: Path) -> None:
    umask_is_zero = private_umask()
    buffer = memoryview(bytearray(CHUNK))
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with open(archive, "rb", buffering=0) as file, Extractor(root, umask_is_zero=umask_is_zero) as extractor:
        while size := file.readinto(buffer):
            extractor.feed(buffer[:size])
        extractor.finish()
    os.close(root)


def with_gnu_tar(archive: Path, directory: Path) -> None:
    subprocess.run(["tar", "-xpf", archive, "--numeric-owner", "-C", directory], check=True)


def with_bsdtar(archive: Path, directory: Path) -> None:
    subprocess.run(["bsdtar", "-xpf", archive, "--numeric-owner", "-C", directory], check=True)


def with_tarfile(archive: Path, directory: Path) -> None:
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "fully_trusted_filter"):
            tar.extraction_filter = staticmethod(tarfile.fully_trusted_filter)
        tar.extractall(directory, numeric_owner=True)


class Unpacker:
    """Contestants that unpack ``tars``, each time into a directory of ``fresh``."""

    def __init__(self, fresh: FreshDirectories, tars: Sequence[Path]) -> None:
        self._fresh = fresh
        self._tars = tars

    def contestants(self) -> list[Contestant]:
        ways = {"pyrt": with_pyrt, "GNU tar": with_gnu_tar, "bsdtar": with_bsdtar, "Python tarfile": with_tarfile}
        return [
            Contestant(name=name, sample=timed(lambda way=way: self._unpack(way)), prepare=self._fresh.next)  # type: ignore[misc]
            for name, way in ways.items()
            if have(*NEEDED[name])
        ]

    def _unpack(self, way: Callable[[Path, Path], None]) -> None:
        for archive in self._tars:
            directory = self._fresh.directory / archive.stem
            directory.mkdir()
            way(archive, directory)


@pytest.fixture(scope="module")
def times(place: Path, image: PullImage) -> dict[str, list[float]]:
    archives = place / "tars"
    archives.mkdir()
    unpacker = Unpacker(FreshDirectories(place / "x"), image.write_tars(archives))
    return race(unpacker.contestants(), scaled(5))


@pytest.mark.benchmark(group="unpacking the layers")
@pytest.mark.parametrize("name", NEEDED)
def test_extract(name: str, times: dict[str, list[float]], record: Recorder) -> None:
    need(*NEEDED[name])
    record(times[name])
