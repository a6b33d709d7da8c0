"""What the places share: this checkout with what it depends on, a distribution with Python, and images."""

from __future__ import annotations

import compileall
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.places.place import PYTHON, Shelf
from tests.support import distribution, images
from tests.support.parts import missing, need

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
# Not /tmp: the virtual machine has one of its own there.
DIRECTORY = "/var/cache"
SOFTWARE = ("python3-venv", "python3-wheel", "npm", "dnf", "rpm")


@contextmanager
def made_shelf() -> Iterator[Shelf]:
    """A shelf with everything but the image "software"; at the end it is removed."""
    if os.geteuid() != 0:
        missing("not root")
    need(PYTHON, "tar")
    _sweep()
    shelf = Shelf(Path(tempfile.mkdtemp(prefix="pyrt-places-", dir=DIRECTORY)))
    try:
        shelf.root.chmod(0o755)
        (shelf.root / "images").mkdir()
        shutil.copy(Path(__file__).with_name("agent.py"), shelf.root)
        make_site(shelf.site)
        images.write_layout(shelf.image("busybox"), {images.BUSYBOX: images.busybox()})
        _make_base(shelf)
        yield shelf
    finally:
        shutil.rmtree(shelf.root)


def _sweep() -> None:
    """What runs that were killed have left, a day ago and more."""
    for left in Path(DIRECTORY).glob("pyrt-places-*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > 86400:
                shutil.rmtree(left, ignore_errors=True)


def make_software(shelf: Shelf) -> None:
    """The image "software": a distribution with its package managers, and those that it has of others."""
    layer = shelf.root / "layer.tar"
    distribution.make_layer(layer, *SOFTWARE, options=_SMALL)
    distribution.make_layout(layer, shelf.image("software"), "docker.io/library/software:latest")


_SMALL = tuple(f"--dpkgopt=path-exclude=/usr/share/{room}/*" for room in ("doc", "locale", "man"))


def make_site(site: Path) -> None:
    """pyrt as it was built here, and its dependencies for the distribution's Python."""
    site.mkdir()
    shutil.copytree(ROOT / "pyrt", site / "pyrt", ignore=shutil.ignore_patterns("__pycache__"))
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    subprocess.run([*for_python(site), *wanted], check=True)
    compileall.compile_dir(site, quiet=2)


def for_python(target: Path) -> list[str]:
    """The pip command that installs into a directory what the distribution's Python can load."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-warn-conflicts"]
    return [*pip, *for_distribution(), "--target", str(target)]


def for_distribution() -> list[str]:
    """Options of pip: packages for the distribution's Python, whatever the tests run on."""
    show = [PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    version = subprocess.run(show, check=True, capture_output=True, text=True).stdout.strip()
    return ["--only-binary=:all:", f"--python-version={version}", "--implementation=cp"]


def _make_base(shelf: Shelf) -> None:
    """As what people run in docker has it: Python, and nothing of ours. What this machine trusts and where its pip looks is
    told there."""
    settings = shelf.root / "pip.conf"
    settings.write_text(f"[global]\ncert = {_TRUSTED}\n{_pip_servers()}")
    hooks = [f"--customize-hook=copy-in {_TRUSTED} {os.path.dirname(_TRUSTED)}", f"--customize-hook=copy-in {settings} /etc"]
    distribution.make_layer(shelf.base_tar, "python3", "python3-venv", "ca-certificates", options=[*_SMALL, *hooks])
    shelf.base.mkdir(mode=0o755)
    subprocess.run(["tar", "-xf", shelf.base_tar, "-C", shelf.base, "--exclude=./dev/*"], check=True)
    layer = shelf.root / "layer.tar"
    os.link(shelf.base_tar, layer)
    distribution.make_layout(layer, shelf.image("base"), "docker.io/library/base:latest")


_TRUSTED = "/etc/ssl/certs/ca-certificates.crt"


def _pip_servers() -> str:
    """This machine's pip configuration, as far as it is about servers."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    lines = subprocess.run(pip, check=True, capture_output=True, text=True).stdout.splitlines()
    pairs = (re.fullmatch(r"(?:global|:env:)\.(index-url|proxy|trusted-host)='(.*)'", line) for line in lines)
    return "".join(f"{pair[1]} = {pair[2]}\n" for pair in pairs if pair)
