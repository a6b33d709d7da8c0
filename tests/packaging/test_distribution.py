"""What travels in the wheel and in the sdist, and that both install into an empty environment and run."""

from __future__ import annotations

import configparser
import platform
import runpy
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.conftest import Built, empty_venv, install, run
from tests.support import busybox
from tests.support.parts import need

ROOT = Path(__file__).parents[2]
VERSION: str = runpy.run_path(str(ROOT / "pyrt" / "_version.py"))["VERSION"]
PROGRAMS = set(runpy.run_path(str(ROOT / "csrc" / "build_static.py"))["PROGRAMS"])


def test_names_and_tags(built: Built) -> None:
    assert built.sdist.name == f"pyrt_runtime-{VERSION}.tar.gz"
    assert built.wheel.name == f"pyrt_runtime-{VERSION}-cp310-abi3-linux_{platform.machine()}.whl"


def test_the_wheel_holds_the_package_and_what_was_compiled(built: Built) -> None:
    python = {str(path.relative_to(ROOT)) for path in (ROOT / "pyrt").rglob("*.py*") if path.suffix in {".py", ".pyi"}}
    compiled = {"pyrt/_native/_core.abi3.so", *(f"pyrt/_native/bin/{program}" for program in PROGRAMS)}
    with zipfile.ZipFile(built.wheel) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        metadata = wheel.read(f"pyrt_runtime-{VERSION}.dist-info/METADATA").decode()
        modes = {name: wheel.getinfo(name).external_attr >> 16 & 0o777 for name in names}
    data = {"py.typed", "runtime/apparmor.profile", "runtime/seccomp.json", "runtime/syscalls.txt"}
    assert names == python | compiled | {f"pyrt/{name}" for name in data}
    assert all(modes[f"pyrt/_native/bin/{program}"] == 0o755 for program in PROGRAMS)
    assert "License-Expression: Apache-2.0" in metadata and "Requires-Python: >=3.10" in metadata


def test_the_sdist_is_the_source(built: Built) -> None:
    with tarfile.open(built.sdist) as sdist:
        modes = {member.name.partition("/")[2]: member.mode for member in sdist.getmembers() if member.isfile()}
    rooms = [built.source / room for room in ("csrc", "pyrt", "tests", "benchmarks", "docs", "docker", ".ci")]
    files = {str(path.relative_to(built.source)) for room in rooms for path in room.rglob("*") if path.is_file()}
    top = {"pyproject.toml", "setup.py", "MANIFEST.in", "dev", "Makefile", "LICENSE"}
    top |= {"Dockerfile", ".dockerignore", "docker-compose.yml", "pyrt.sh"}
    pages = {"README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"}
    made = {name for name in modes if name.startswith("pyrt_runtime.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert set(modes) - made == files | top | pages
    assert all(modes[name] & 0o111 for name in ("dev", "pyrt.sh", "docker/entry", ".ci/run"))


def test_only_the_module_itself_is_exported(built: Built, tmp_path: Path) -> None:
    need("nm")
    with zipfile.ZipFile(built.wheel) as wheel:
        module = wheel.extract("pyrt/_native/_core.abi3.so", tmp_path)
    symbols = run("nm", "--dynamic", "--defined-only", "--format=just-symbols", module).split()
    assert symbols == ["PyInit__core"]


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_installs_into_an_empty_environment_and_runs(kind: str, built: Built, tmp_path: Path) -> None:
    venv = empty_venv(tmp_path / "venv")
    install(venv, getattr(built, kind))
    assert run(venv / "pyrt", "--version", cwd=tmp_path).split()[-1] == VERSION
    where = run(venv / "python", "-c", "import pyrt; print(pyrt.__file__)", cwd=tmp_path)
    assert where.startswith(str(tmp_path / "venv"))
    busybox.write_layout(str(tmp_path / "layout"))
    command = [venv / "pyrt", "--root", tmp_path / "store", "run", "--rm", f"oci:{tmp_path / 'layout'}"]
    assert run(*command, "sh", "-c", "echo $$", cwd=tmp_path) == "1\n"


def test_an_extension_of_another_version_is_refused(built: Built, tmp_path: Path) -> None:
    """A half-finished upgrade: new Python files, old compiled module."""
    with zipfile.ZipFile(built.wheel) as wheel:
        wheel.extractall(tmp_path)
    (tmp_path / "pyrt" / "_version.py").write_text('VERSION = "999.0"\n')
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import pyrt._native.extract"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode != 0
    assert "999.0" in done.stderr and VERSION in done.stderr


def test_entry_points(built: Built) -> None:
    parser = configparser.ConfigParser()
    with zipfile.ZipFile(built.wheel) as wheel:
        parser.read_string(wheel.read(f"pyrt_runtime-{VERSION}.dist-info/entry_points.txt").decode())
    assert {section: dict(parser[section]) for section in parser.sections()} == {
        "console_scripts": {"pyrt": "pyrt.__main__:entry"}
    }
