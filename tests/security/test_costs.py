"""What hostile inputs cost: 256 MB of memory and a minute at most, measured in a process of their own (issue 5, "Numbers").

PYRT_TEST_COSTS=FILE keeps what was measured; PYRT_TEST_SCALE=10 takes the catalogue's own sizes (tests/security/costs.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyrt.image_pull import pull
from pyrt.store.removal import remove_tree
from pyrt.store.store import Store
from tests.pull.leftovers import is_clean
from tests.security.costs import ARCHIVES, LAYERS, NAME, REGISTRIES, SCALE, USERS, layout
from tests.support import images
from tests.support.fault_registry import FaultRegistry
from tests.support.parts import missing
from tests.support.registries import private_environ
from tests.support.tarwriter import END

MEMORY = 256_000_000
SECONDS = 60.0
# VmHWM and not ru_maxrss, which has the size of the process that forked in it (getrusage(2)).
MEASURED = """
import sys
from pyrt.cli.main import main
code = main(sys.argv[1:])
sys.stdout.flush()
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("measured", code, peak, file=sys.stderr)
"""
FINE = {"tx_66 three windows", "tx_52 three of a megabyte", "tx_77 files", "tx_77 whiteouts", "tx_77 hard links",
        "tx_77 implied directories", "tx_77 xattrs", "tx_53 a block for each byte", "im_14 layers",
        "tx_77 directories"}  # fmt: skip
if SCALE > 1:
    FINE.discard("tx_77 directories")


@pytest.fixture
def cost(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs pyrt with the words, within the bounds; what it said."""
    if os.geteuid() != 0:
        missing("not root")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environ = {**private_environ(tmp_path / "home"), "PYTHONPATH": str(Path(__file__).parents[2])}
        store = str(tmp_path / "store")
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, "--root", store, *words], env=environ, capture_output=True, text=True, timeout=600
        )  # fmt: skip
        seconds = time.monotonic() - started
        *said, last = done.stderr.splitlines()
        _, code, peak = last.split()
        if path := os.environ.get("PYRT_TEST_COSTS"):
            with open(path, "a") as file:
                print(f"{int(peak) * 1024 / 1e6:6.0f} MB {seconds:6.1f} s  {request.node.name}  {said[-1:]}", file=file)
        assert int(peak) * 1024 <= MEMORY
        assert seconds <= SECONDS
        assert "Traceback" not in done.stderr
        assert not int(code) or (len(said) <= 3 and all(len(line) < 1000 for line in said))
        return subprocess.CompletedProcess(words, int(code), done.stdout, "\n".join(said))

    yield run
    remove_tree(str(tmp_path / "store"))  # deeper than pytest's own cleaning can go


@pytest.mark.parametrize("kind", LAYERS)
def test_layers(tmp_path: Path, cost: Callable[..., subprocess.CompletedProcess[str]], kind: str) -> None:
    done = cost("pull", LAYERS[kind](tmp_path / "layout"))
    assert (done.returncode == 0) == (kind in FINE), done.stderr
    store = Store.open(str(tmp_path / "store"))
    assert is_clean(store)
    if done.returncode:
        assert not store.images.list() and not store.layers.names()
        assert done.stderr.splitlines()[-1].startswith("pyrt: layer sha256:")


@pytest.mark.parametrize("kind", REGISTRIES)
def test_registries(tmp_path: Path, cost: Callable[..., subprocess.CompletedProcess[str]], kind: str) -> None:
    with FaultRegistry() as registry:
        REGISTRIES[kind](registry)
        done = cost("pull", f"{registry.host}/a:1")
    assert done.returncode != 0 and done.stderr.count("pyrt: ") == 1


@pytest.mark.parametrize("kind", ARCHIVES)
def test_im_27_archives(tmp_path: Path, cost: Callable[..., subprocess.CompletedProcess[str]], kind: str) -> None:
    done = cost("pull", ARCHIVES[kind](tmp_path / "archive"))
    assert done.returncode != 0 and done.stderr.startswith("pyrt: ")
    assert sorted(os.listdir(tmp_path)) == ["archive", "home", "store"]


@pytest.mark.parametrize("kind", USERS)
def test_id_07_users(tmp_path: Path, cost: Callable[..., subprocess.CompletedProcess[str]], kind: str) -> None:
    pull(layout(tmp_path / "layout", [USERS[kind], END]), store=Store.open(str(tmp_path / "store")))
    done = cost("run", "--rm", "--user", "app", NAME, "true")
    assert done.returncode == 125 and "pyrt: " in done.stderr


def test_bn_13_what_is_honest_costs_no_more(
    tmp_path: Path, cost: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """The twin of all these: an ordinary image, and 127 layers."""
    root = tmp_path / "layout"
    root.mkdir()
    layers = [images.layer(images.tar([images.Entry(name=f"f{number}")])) for number in range(127)]
    images.write_layout(root, {NAME: images.image(layers)})
    assert cost("pull", f"oci:{root}:{NAME}").returncode == 0
