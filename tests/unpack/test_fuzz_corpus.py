"""The fuzz harnesses over their corpus, with the sanitizers: every file that once found something stays there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.parts import need
from tests.support.tarwriter import archive, entry

CSRC = Path(__file__).parents[2] / "csrc"
CORPUS = CSRC / "fuzz" / "corpus"
# The parser's harness reads the archives of the other.
HARNESSES = {path.stem.removeprefix("fuzz_"): path.stem.removeprefix("fuzz_") for path in CSRC.glob("fuzz/fuzz_*.c")}
HARNESSES["tar"] = "layer"


@pytest.fixture(scope="module")
def harnesses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("gcc")
    into = tmp_path_factory.mktemp("fuzz")
    environ = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    subprocess.run([sys.executable, CSRC / "fuzz/build.py", "--into", into, "--cc", "gcc"], check=True, env=environ)
    return into


@pytest.mark.parametrize("harness", sorted(HARNESSES))
def test_corpus(harnesses: Path, harness: str, tmp_path: Path) -> None:
    files = sorted(path for path in (CORPUS / HARNESSES[harness]).iterdir())
    assert files
    done = subprocess.run(
        [harnesses / f"fuzz_{harness}", *files], capture_output=True, text=True, env={"TMPDIR": str(tmp_path)}
    )
    assert done.returncode == 0, done.stderr


def test_a_harness_notices(harnesses: Path, tmp_path: Path) -> None:
    """That a program which cannot fail would not pass for one that did not."""
    missing = subprocess.run([harnesses / "fuzz_tar", tmp_path / "missing"], capture_output=True)
    assert missing.returncode != 0
    (tmp_path / "archive").write_bytes(archive(entry("f", b"x")))
    assert subprocess.run([harnesses / "fuzz_tar", tmp_path / "archive"]).returncode == 0
