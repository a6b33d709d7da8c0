"""Without root: starts, pulls and the probe of an ordinary user with one id and with subordinate ids, beside the same as root,
and beside the peers' starts without root."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from benchmarks.fresh_directories import FreshDirectories
from benchmarks.race import Contestant, race, scaled, timed
from benchmarks.replay import Recorder
from benchmarks.worker import running
from benchmarks.workplace import have
from tests.places.place import PATH, PYTHON
from tests.places.shelf import make_site
from tests.places.user import NAME, UID, account
from tests.support import images
from tests.support.parts import missing, need
from tests.support.registries import RunningRegistry

BURST = 10
SIDES = ("as root", "one id", "subordinate ids")
PEERS = {"bwrap": ("bwrap",), "ch-run": ("ch-run",), "podman": ("podman", "newuidmap"), "proot": ("proot",)}
STARTER = Path(__file__).with_name("starter.py")
PROBE = (
    "import sys, time; from pyrt import ladder; from pyrt._native import userns\n"
    "for line in sys.stdin:\n"
    "    for _ in range(int(line)):\n"
    "        begun = time.perf_counter_ns(); ladder._probed({run!r}, {run!r}, False)\n"
    "        print(time.perf_counter_ns() - begun, end=' ')\n"
    "    print(flush=True)\n"
)


@dataclass(frozen=True, kw_only=True)
class Side:
    """Somebody who runs pyrt: a command prefix, a home directory of theirs with a store that has the busybox image."""

    prefix: tuple[str, ...]
    home: Path
    environ: dict[str, str]

    @property
    def store(self) -> Path:
        return self.home / "store"

    def pyrt(self, *words: str) -> None:
        subprocess.run([*self.prefix, PYTHON, "-m", "pyrt", *words], check=True, env=self.environ, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def sides(place: Path) -> dict[str, Side]:
    """Below a directory that everybody may read: the interpreter and pyrt are the same for all."""
    need("newuidmap", "setpriv", "unshare")
    top = place / "rootless"
    top.mkdir()
    for path in (place.parent, place, top):
        path.chmod(path.stat().st_mode | 0o055)
    make_site(top / "site")
    images.write_layout(top / "layout", {images.BUSYBOX: images.busybox()})
    return {name: _side(top, name) for name in SIDES}


def _side(top: Path, name: str) -> Side:
    work = top / name.replace(" ", "-")
    work.mkdir()
    home = work / "home"
    home.mkdir(mode=0o700)
    environ = {"PATH": PATH, "PYTHONPATH": str(top / "site"), "HOME": str(home), "USER": NAME}
    prefix: list[str] = []
    if name != "as root":
        os.chown(home, UID, UID)
        prefix = account(work, subordinate=name == "subordinate ids")
    side = Side(prefix=tuple(prefix), home=home, environ=environ)
    side.pyrt("--root", str(side.store), "pull", "-q", f"oci:{top}/layout:{images.BUSYBOX}")
    return side


def _workers(sides: dict[str, Side], how: str, count: int, rounds: int) -> dict[str, list[float]]:
    with ExitStack() as undo:
        contestants = []
        for name, side in sides.items():
            argv = [*side.prefix, PYTHON, str(STARTER), how, "0", str(side.store), images.BUSYBOX]
            worker = undo.enter_context(running(argv, side.environ))
            contestants.append(Contestant(name=name, sample=partial(worker.ask, count)))
        return race(contestants, rounds)


@pytest.fixture(scope="module")
def starts(sides: dict[str, Side]) -> dict[str, list[float]]:
    return _workers(sides, "run", BURST, scaled(20))


@pytest.fixture(scope="module")
def firsts(sides: dict[str, Side]) -> dict[str, list[float]]:
    """The first container of a process, which has to have its user namespace made."""

    def first(side: Side) -> list[float]:
        argv = [*side.prefix, PYTHON, str(STARTER), "duration", "0", str(side.store), images.BUSYBOX]
        with running(argv, side.environ) as worker:
            return worker.ask(1)

    return race([Contestant(name=name, sample=partial(first, side)) for name, side in sides.items()], scaled(20))


@pytest.fixture(scope="module")
def probes(sides: dict[str, Side]) -> dict[str, list[float]]:
    side = sides["one id"]
    argv = [*side.prefix, PYTHON, "-c", PROBE.format(run=f"{side.store}/run")]
    with running(argv, side.environ) as worker:
        return race([Contestant(name="probe", sample=partial(worker.ask, 1))], scaled(30))


@pytest.fixture(scope="module")
def pulls(sides: dict[str, Side], registry: RunningRegistry) -> dict[str, list[float]]:
    def contestant(name: str, side: Side) -> Contestant:
        fresh = FreshDirectories(side.home / "pulls")

        def prepare() -> None:
            fresh.next()
            for path in (side.home / "pulls", fresh.directory):
                os.chown(path, side.home.stat().st_uid, side.home.stat().st_gid)

        def pull() -> None:
            side.pyrt("--root", str(fresh.directory / "s"), "pull", "-q", f"{registry.host}/bench:latest")

        return Contestant(name=name, sample=timed(pull), prepare=prepare)

    return race([contestant(name, side) for name, side in sides.items()], scaled(5))


@pytest.fixture(scope="module")
def commands(sides: dict[str, Side]) -> tuple[dict[str, list[float]], dict[str, str]]:
    """The command lines of an ordinary user, /bin/true of the same files; and what those say that do not run here."""
    side = sides["subordinate ids"]
    tree = side.home.parent / "tree"
    with tarfile.open(fileobj=io.BytesIO(images.tar(images.busybox_entries()))) as archive:
        archive.extractall(tree, filter="fully_trusted")
    subprocess.run(["chown", "-R", f"{UID}:{UID}", tree], check=True)
    mounts = ["--bind", str(tree), "/", "--dev", "/dev", "--proc", "/proc"]
    wanted = {
        "pyrt": [PYTHON, "-m", "pyrt", "--root", str(side.store), "run", "--rm", images.BUSYBOX, "/bin/true"],
        "bwrap": ["bwrap", "--unshare-all", *mounts, "/bin/true"],
        "ch-run": ["ch-run", str(tree), "--", "/bin/true"],
        "podman": ["podman", "--root", f"{side.home}/p", "run", "--rm", "--net", "host", "--rootfs", str(tree), "/bin/true"],
        "proot": ["proot", "-0", "-r", str(tree), "/bin/true"],
    }
    found, refused = [], {}
    for name, argv in wanted.items():
        if not have(*PEERS.get(name, ())):
            continue
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        run = partial(subprocess.run, [*side.prefix, *argv], env=side.environ, **quiet)
        tried = run()
        if tried.returncode:
            refused[name] = tried.stderr.decode(errors="replace").strip()[-300:]
        else:
            found.append(Contestant(name=name, sample=timed(partial(run, check=True))))
    return race(found, scaled(15)), refused


@pytest.mark.benchmark(group="without root: start in process")
@pytest.mark.parametrize("name", SIDES)
def test_start(name: str, starts: dict[str, list[float]], record: Recorder) -> None:
    record(starts[name])


@pytest.mark.benchmark(group="without root: the first start of a process")
@pytest.mark.parametrize("name", SIDES)
def test_first(name: str, firsts: dict[str, list[float]], record: Recorder) -> None:
    record(firsts[name])


@pytest.mark.benchmark(group="without root: the probe")
@pytest.mark.parametrize("name", ("probe",))
def test_probe(name: str, probes: dict[str, list[float]], record: Recorder) -> None:
    record(probes[name])


@pytest.mark.benchmark(group="without root: cold pull and unpack")
@pytest.mark.parametrize("name", SIDES)
def test_pull(name: str, pulls: dict[str, list[float]], record: Recorder) -> None:
    record(pulls[name])


@pytest.mark.benchmark(group="without root: start by command")
@pytest.mark.parametrize("name", ("pyrt", *PEERS))
def test_command(name: str, commands: tuple[dict[str, list[float]], dict[str, str]], record: Recorder) -> None:
    need(*PEERS.get(name, ()))
    times, refused = commands
    if name in refused:
        missing(f"{name} does not run without root here: {refused[name]}")
    record(times[name])
