"""The one wheel on every interpreter that this machine has: it installs, and a container starts."""

from __future__ import annotations

import glob
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import Built, empty_venv, install, run
from tests.support import busybox

SMOKE = """
import sys, pyrt
done = pyrt.run("oci:" + sys.argv[1], ["sh", "-c", "echo $$; cat; exit 3"], input=b"in", network="none")
assert (done.returncode, done.stdout) == (3, b"1\\nin"), done
try:
    pyrt.run("oci:" + sys.argv[1], ["sh", "-c", "echo out; sleep 60"], timeout=0.5)
except pyrt.ContainerTimeout as error:
    assert error.result.stdout == b"out\\n"
else:
    raise AssertionError("no ContainerTimeout")
print("good on", sys.version.split()[0])
"""


def interpreters() -> dict[str, str]:
    """One CPython for each version from 3.10 on: "3.12" -> its path. Those on PATH, and those that pyenv keeps."""
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/usr/local/bin"]
    folders += glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin"))
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(folder, "python3.[0-9]*"))):
            version = re.fullmatch(r"python(3\.(\d+))", os.path.basename(path))
            if version and int(version[2]) >= 10 and version[1] not in found and makes_venvs(path, version[1]):
                found[version[1]] = path
    return dict(sorted(found.items(), key=lambda item: int(item[0].partition(".")[2])))


def makes_venvs(path: str, version: str) -> bool:
    """Whether it runs (pyenv's shims exist for versions that are switched off), and is not Debian's without venv."""
    script = "import ensurepip, sys; print('%d.%d' % sys.version_info[:2], sys.implementation.name)"
    done = subprocess.run([path, "-c", script], capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.split() == [version, "cpython"]


INTERPRETERS = interpreters()


@pytest.mark.parametrize("version", INTERPRETERS)
def test_the_wheel_on(version: str, built: Built, tmp_path: Path) -> None:
    venv = empty_venv(tmp_path / "venv", INTERPRETERS[version])
    install(venv, built.wheel)
    busybox.write_layout(str(tmp_path / "layout"))
    printed = run(venv / "python", "-c", SMOKE, tmp_path / "layout", cwd=tmp_path, PYRT_ROOT=str(tmp_path / "store"))
    assert printed.startswith(f"good on {version}")
