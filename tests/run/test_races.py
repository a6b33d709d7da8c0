"""Many at once on one store: right answers, and nothing left. Where it counts they are processes, which begin together.

PYRT_TEST_ROUNDS sets the number of rounds of the races between run and rm (500); CI takes fewer.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyrt.cli.main import main
from pyrt.container import remove
from pyrt.container_run import run
from pyrt.errors import ContainerNotFound, ContainerRunning, NameInUse
from pyrt.store.records import Record
from pyrt.store.store import Store
from pyrt.store_check import check
from tests.support.parts import missing

ROUNDS = int(os.environ.get("PYRT_TEST_ROUNDS", "500"))
PATIENCE = 120.0  # seconds, for a machine that does much else


class Racers:
    """Processes that run a function each, all at the same moment. What it returns is the exit code."""

    def __init__(self, count: int, work: Callable[[int], int], stdin: int = -1) -> None:
        gate, self._open = os.pipe()
        self._running = set()
        for number in range(count):
            pid = os.fork()
            if pid == 0:
                self._child(gate, number, work, stdin)
            self._running.add(pid)
        os.close(gate)

    def _child(self, gate: int, number: int, work: Callable[[int], int], stdin: int) -> None:
        code = 99
        try:
            os.close(self._open)
            null = os.open(os.devnull, os.O_RDWR)
            for fd, wanted in ((0, stdin if stdin >= 0 else null), (1, null), (2, null)):
                os.dup2(wanted, fd)
            os.read(gate, 1)
            code = work(number)
        finally:
            os._exit(code)

    def start(self) -> None:
        os.close(self._open)

    def ends(self, most: int = -1) -> Iterator[int]:
        """The exit codes as they come; after ``most`` of them (-1: all) it is enough."""
        deadline = time.monotonic() + PATIENCE
        while self._running and most:
            for pid in tuple(self._running):
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    self._running.discard(pid)
                    most -= 1
                    yield os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, f"{len(self._running)} did not end"
            time.sleep(0.005)

    def kill(self) -> None:
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def assert_right(store: Store) -> None:
    """Nothing is wrong with the store, and nothing unfinished is in it."""
    assert check(store).problems == ()
    assert os.listdir(store.layout.tmp) == []
    assert set(os.listdir(store.layout.locks)) <= {"store", "index"}
    assert os.listdir(store.layout.names) == []


def test_st_19_a_hundred_parallel_runs(store: Store, store_root: Path) -> None:
    def start(number: int) -> int:
        return main(["--root", str(store_root), "run", "--rm", "busybox", "sh", "-c", f"exit {number}"])

    racers = Racers(100, start)
    racers.start()
    try:
        assert sorted(racers.ends()) == list(range(100))
    finally:
        racers.kill()
    assert_right(store)


def test_st_20_fifty_want_one_name(store: Store, store_root: Path) -> None:
    """The one that gets it runs until all the others have been refused."""
    theirs, ours = os.pipe()

    def start(number: int) -> int:
        os.close(ours)
        return main(["--root", str(store_root), "run", "--rm", "-i", "--name", "wanted", "busybox", "cat"])

    racers = Racers(50, start, stdin=theirs)
    os.close(theirs)
    racers.start()
    try:
        assert Counter(racers.ends(49)) == {125: 49}
        assert store.containers.find("wanted").name == "wanted"
        os.close(ours)
        assert list(racers.ends()) == [0]
    finally:
        racers.kill()
    assert_right(store)


def test_st_20_a_name_that_a_dead_container_had(store: Store) -> None:
    """Fifty find the same stale link; one of them takes its place."""
    for round_ in range(20):
        os.symlink("0" * 64, f"{store.layout.names}/stale")
        won: list[str] = []

        def create(number: int, won: list[str] = won, round_: int = round_) -> None:
            try:
                held = store.containers.create(record(f"{round_:032x}{number:032x}", "stale"))
            except NameInUse:
                return
            won.append(held.record.id)
            held.release()

        together([lambda number=number: create(number) for number in range(8)])
        assert len(won) == 1
        assert os.readlink(f"{store.layout.names}/stale") == won[0]
        remove("stale", store=store)
    assert_right(store)


def record(container_id: str, name: str) -> Record:
    made = "2026-01-01T00:00:00Z"
    return Record(id=container_id, name=name, image="x", image_digest="", layers=(), command=("true",), created=made)


def together(works: list[Callable[[], object]]) -> list[object]:
    """What each has returned or raised, all at the same time in threads."""
    results: list[object] = [None] * len(works)
    barrier = threading.Barrier(len(works))

    def one(number: int) -> None:
        barrier.wait()
        try:
            results[number] = works[number]()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    return results


def test_st_17_rm_against_rm_against_the_next_of_that_name(store: Store) -> None:
    """Each container is removed by exactly one; a name is free, or the next one's."""
    for number in range(ROUNDS * 2 // 5):
        old, new = f"{number:064x}", f"{number + 1_000_000:064x}"
        store.containers.create(record(old, "x")).release()

        def successor(new: str = new) -> bool:
            try:
                store.containers.create(record(new, "x")).release()
            except NameInUse:
                return False
            return True

        *removed, created = together([*[lambda old=old: remove(old, store=store)] * 3, successor])
        assert sorted(str(type(result).__name__) for result in removed) == ["ContainerNotFound"] * 2 + ["NoneType"]
        assert created in (True, False)
        assert not os.path.exists(store.containers.path(old))
        if created:
            assert store.containers.find("x").id == new
            remove("x", store=store)
        with pytest.raises(ContainerNotFound):
            store.containers.find("x")
    assert_right(store)


def test_st_17_run_against_rm(store: Store) -> None:
    """A container that runs is refused to rm, and runs to its end."""

    def removes() -> list[str]:
        seen = []
        for _ in range(6):
            try:
                remove("x", store=store)
                seen.append("removed")
            except (ContainerNotFound, ContainerRunning) as error:
                seen.append(type(error).__name__)
        return seen

    for number in range(ROUNDS * 3 // 10):
        code = number % 200
        done, *others = together(
            [lambda code=code: run("busybox", ["sh", "-c", f"exit {code}"], name="x", store=store), removes, removes]
        )
        assert getattr(done, "returncode", done) == code
        assert "removed" not in [word for other in others for word in other]  # type: ignore[attr-defined]
    assert_right(store)


def test_st_17_run_against_rm_by_force(store: Store) -> None:
    """It is killed, by exactly the code of a kill, or rm came before it was there."""
    for _ in range(ROUNDS * 3 // 10):
        ended = threading.Event()

        def start(ended: threading.Event = ended) -> int:
            try:
                return run("busybox", ["sleep", "100"], name="x", store=store).returncode
            finally:
                ended.set()

        def force(ended: threading.Event = ended) -> None:
            while not ended.is_set():
                remove("x", store=store, force=True)

        assert together([start, force, force]) == [137, None, None]
        assert os.listdir(store.layout.containers) == []
    assert_right(store)


def test_st_18_rmi_of_an_image_in_use(tmp_path: Path, store_root: Path) -> None:
    """Refused, for a container that runs and for one that has ended; by force the name goes, and the container goes on."""
    root = tmp_path / "store"
    subprocess.run(["cp", "-a", store_root, root], check=True)
    store = Store.open(str(root))
    for other in store.images.list():
        if other.name != "docker.io/library/busybox:latest":
            assert main(["--root", str(root), "rmi", other.name]) == 0

    def start(number: int) -> int:
        os.close(ours)
        return main(["--root", str(root), "run", "-i", "--name", "user", "busybox", "sh", "-c", "read x; test -x /bin/ls"])

    theirs, ours = os.pipe()
    racers = Racers(1, start, stdin=theirs)
    os.close(theirs)
    racers.start()
    try:
        deadline = time.monotonic() + PATIENCE
        while "running" not in [one.now.state for one in store.containers.list()]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert main(["--root", str(root), "rmi", "busybox"]) == 1
        assert main(["--root", str(root), "image", "prune", "-a", "-f"]) == 0
        assert [one.name for one in store.images.list()] == ["docker.io/library/busybox:latest"]
        assert check(store).problems == ()
        assert main(["--root", str(root), "rmi", "-f", "busybox"]) == 0
        assert store.images.list() == ()
        assert check(store).problems == ()
        os.write(ours, b"now\n")
        assert list(racers.ends()) == [0]
    finally:
        racers.kill()
        os.close(ours)
    assert len(store.layers.names()) == 1
    assert main(["--root", str(root), "rm", "user"]) == 0
    assert main(["--root", str(root), "image", "prune", "-f"]) == 0
    assert store.layers.names() == []
    assert store.content.digests() == []
    assert_right(store)


def test_st_14_runs_against_rmi_and_pull(tmp_path: Path, store_root: Path) -> None:
    """A run finds its image or says that it is not there; what it has found is there to its end."""
    if os.geteuid() != 0:
        missing("not root")
    root = tmp_path / "store"
    subprocess.run(["cp", "-a", store_root, root], check=True)
    layout = f"oci:{tmp_path}/layout:docker.io/library/busybox:latest"
    from tests.support import images

    images.write_layout(tmp_path / "layout", {"docker.io/library/busybox:latest": images.busybox()})
    stop = time.monotonic() + 4

    def work(number: int) -> int:
        seen = Counter[int]()
        while time.monotonic() < stop:
            if number == 0:
                code = main(["--root", str(root), "rmi", "busybox"])
                seen[code] += 1
                assert code in (0, 1)
            elif number == 1:
                assert main(["--root", str(root), "pull", "-q", layout]) == 0
            elif number == 2:
                assert main(["--root", str(root), "image", "prune", "-f"]) == 0
            else:
                words = ["run", "--rm", "--pull", "never", "busybox", "sh", "-c", "test -x /bin/ls && exit 42"]
                code = main(["--root", str(root), *words])
                seen[code] += 1
                assert code in (42, 125)
        return 0 if number in (1, 2) or len(seen) == 2 else 3

    racers = Racers(8, work)
    racers.start()
    try:
        codes = Counter(racers.ends())
    finally:
        racers.kill()
    assert codes.keys() <= {0, 3}
    assert codes[0] >= 3, "and both happened"
    assert_right(Store.open(str(root)))
