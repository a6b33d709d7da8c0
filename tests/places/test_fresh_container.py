"""A fresh container of docker, with nothing but Python and our wheel, runs a real image from a registry."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.places.place import PATH, Shelf
from tests.places.shelf import for_distribution
from tests.support import registries
from tests.support.built import Built
from tests.support.dockerd import running_dockerd

_SCRIPT = """
python3 -m venv /v
/v/bin/pip -q install --no-index --find-links /wheels pyrt-runtime >&2
/v/bin/pyrt run --rm "$1" sh -ec '. /etc/os-release; echo "$ID"; apt-get -v | head -n 1; id -un; grep -c . /proc/self/status'
"""


def test_a_fresh_container_with_python_and_the_wheel_runs_a_real_image(shelf: Shelf, built: Built, tmp_path: Path):
    wheels = tmp_path / "wheels"
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", *for_distribution()]
    subprocess.run([*pip, "--dest", str(wheels), str(built.wheel)], check=True)
    directory = shelf.root / "f"
    with registries.running_registry(tmp_path / "registry") as registry, running_dockerd(directory) as docker:
        registry.push(shelf.image("base"), "library/debian:it", source="docker.io/library/base:latest")
        docker.check("import", shelf.base_tar, "base")
        run = [
            "run",
            "--rm",
            "--network=host",
            f"--env=PATH={PATH}",
            f"--volume={wheels}:/wheels:ro",
            "base",
            "sh",
            "-ec",
            _SCRIPT,
            "sh",
        ]
        done = docker.run(*run, f"{registry.host}/library/debian:it")
        assert done.returncode == 0, done
        distribution, apt, user, lines = done.stdout.splitlines()
        assert distribution in ("debian", "ubuntu") and apt.startswith("apt ") and user == "root" and int(lines) > 20
    shutil.rmtree(directory)
