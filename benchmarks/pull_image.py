"""The image that is pulled and unpacked: a large one where there is one, else one of this Python's standard library.

PYRT_BENCH_IMAGE is an OCI image layout with one image of gzip layers; about 400 MB in 20,000 entries tell most. Where it
is not set, a layout that stands in the cache directory is taken; ``python -m benchmarks.pull_image`` puts one there with
the recipe of the project's workshop, ``../shared/tools/make-pull-image``, if that is beside this clone.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyrt.values import dataclass
from tests.support import images

RECIPE = Path(__file__).parents[2] / "shared" / "tools" / "make-pull-image"
CACHE = Path("/var/tmp/pyrt-bench/pull-image")
SMALL_ENTRIES = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class PullImage:
    """An OCI image layout with the name of its one image, "" where it has none."""

    layout: Path
    name: str

    @property
    def transport(self) -> str:
        """The image as skopeo and pyrt name it."""
        return f"oci:{self.layout}:{self.name}" if self.name else f"oci:{self.layout}"

    def layers(self) -> list[Path]:
        """The blobs of its layers, the lowest first."""
        manifest = self._document(self._document(None)["manifests"][0]["digest"])
        return [self._blob(layer["digest"]) for layer in manifest["layers"]]

    def write_tars(self, directory: Path) -> list[Path]:
        """The layers as uncompressed archives in ``directory``, the lowest first."""
        tars = []
        for number, blob in enumerate(self.layers()):
            tars.append(directory / f"layer{number}.tar")
            with gzip.open(blob) as source, tars[-1].open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        return tars

    def _document(self, digest: str | None) -> dict[str, Any]:
        path = self.layout / "index.json" if digest is None else self._blob(digest)
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found

    def _blob(self, digest: str) -> Path:
        return self.layout / "blobs" / Path(*digest.split(":"))


def find(directory: Path, environ: Mapping[str, str] = os.environ) -> PullImage:
    """The image for this run; the small one is made in ``directory``."""
    given = environ.get("PYRT_BENCH_IMAGE") or (str(CACHE) if CACHE.is_dir() else "")
    if given:
        return _named(Path(given))
    images.write_layout(directory, {"latest": images.image(_small_layers())})
    return _named(directory)


def _named(layout: Path) -> PullImage:
    index = json.loads((layout / "index.json").read_bytes())
    (only,) = index["manifests"]
    return PullImage(layout=layout, name=only.get("annotations", {}).get(images.REF_NAME, ""))


def _small_layers() -> Iterator[images.Blob]:
    """Two layers of a system's usual mixture: many small texts, a few megabytes of machine code."""
    library = sysconfig.get_path("stdlib")
    entries = list(_entries(library))[:SMALL_ENTRIES]
    half = len(entries) // 2
    for part in (entries[:half], entries[half:]):
        yield images.layer(images.tar(part))


def _entries(root: str) -> Iterator[images.Entry]:
    for directory, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in ("site-packages", "dist-packages"))
        below = os.path.relpath(directory, root)
        yield images.Entry(name=os.path.normpath(f"usr/lib/python/{below}"), kind="dir", mode=0o755)
        for name in sorted(files):
            path = Path(directory, name)
            if path.is_file() and not path.is_symlink():
                yield images.Entry(name=os.path.normpath(f"usr/lib/python/{below}/{name}"), content=path.read_bytes())


def main() -> None:
    if not RECIPE.exists():
        raise SystemExit(f"there is no {RECIPE}: set PYRT_BENCH_IMAGE to an OCI image layout instead")
    if not CACHE.is_dir():
        subprocess.run([RECIPE, CACHE], check=True)
    print(CACHE)


if __name__ == "__main__":
    main()
