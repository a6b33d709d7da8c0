"""A call in another user namespace: what goes there and what comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyrt.errors import LayerError, PrivilegeError, StartError
from pyrt.host import Host
from pyrt.ids import Ids
from pyrt.store.removal import remove_tree
from pyrt.worker import call
from tests.support.leaks import assert_nothing_new, snapshot


@pytest.fixture
def ids() -> Ids:
    """The caller's own id is root there, and there is no other."""
    host = Host.probe()
    return Ids.single(host.uid, host.gid)


def place(word: str) -> tuple[str, int, str, bool]:
    with open("/proc/self/uid_map") as file:
        return word, os.geteuid(), file.read().split()[2], Host.probe().entered


def counting(to: int, report: Callable[[int], None]) -> int:
    for number in range(to):
        report(number)
    print("what is printed is no answer")
    return to


def failing(what: str) -> None:
    if what == "layer":
        raise LayerError("a bad one", entry="etc/x", step="open", errno=13, hint="look")
    if what == "os":
        raise FileNotFoundError(2, "gone", "/x")
    if what == "odd":
        raise ZeroDivisionError("odd")
    os.kill(os.getpid(), signal.SIGKILL)


def sleeping(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)


def test_arguments_go_and_results_come(ids: Ids, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    assert call(ids, place, "here") == ("here", 0, "1", True)
    assert_nothing_new(before, tmp_path)


def test_events_come_in_order(ids: Ids) -> None:
    seen: list[int] = []
    assert call(ids, counting, 1000, events=seen.append) == 1000
    assert seen == [*range(1000)]


def test_errors_are_what_they_were(ids: Ids) -> None:
    with pytest.raises(LayerError, match="a bad one") as caught:
        call(ids, failing, "layer")
    assert (caught.value.entry, caught.value.step, caught.value.errno, caught.value.hint) == ("etc/x", "open", 13, "look")
    with pytest.raises(FileNotFoundError) as missing:
        call(ids, failing, "os")
    assert missing.value.errno == 2
    with pytest.raises(StartError, match="ZeroDivisionError: odd"):
        call(ids, failing, "odd")


def test_a_worker_that_dies_is_an_error(ids: Ids) -> None:
    with pytest.raises(StartError, match="without an answer, exit code -9"):
        call(ids, failing, "kill")


def test_an_interpreter_that_cannot_be_started(ids: Ids, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/not/there")
    with pytest.raises(StartError, match="without an answer") as caught:
        call(ids, place, "")
    assert "/not/there" in caught.value.hint


def test_a_map_that_is_not_ours_to_write(ids: Ids) -> None:
    """uid 0 of the host, for somebody who is not root."""
    script = (
        "import os; os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
        "from pyrt._native.userns import namespace; from pyrt.ids import Ids\n"
        "namespace(Ids.single(0, 0))"
    )
    if os.geteuid() != 0:
        pytest.skip("takes root to stop being it")
    argv = [sys.executable, "-c", f"import pyrt._native.userns, pyrt.ids\n{script}"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert PrivilegeError.__name__ in done.stderr and "user namespace: map: Operation not permitted" in done.stderr


def test_it_ends_with_the_one_who_asked(tmp_path: Path) -> None:
    script = (
        "import sys; from pyrt.worker import call; from pyrt.ids import Ids; from pyrt.host import Host\n"
        "from tests.run.test_worker import sleeping\n"
        "host = Host.probe(); call(Ids.single(host.uid, host.gid), sleeping, sys.argv[1])"
    )
    path = tmp_path / "pid"
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], cwd=Path(__file__).parents[2])
    while not (path.exists() and path.read_text()):
        time.sleep(0.01)
    process.kill()
    process.wait()
    worker = Path("/proc", path.read_text())
    for _ in range(200):
        if not worker.exists():
            return
        time.sleep(0.01)
    pytest.fail("the worker outlived its caller")


def test_from_a_thread(ids: Ids) -> None:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(call(ids, place, "thread")))
    thread.start()
    thread.join()
    assert found == [("thread", 0, "1", True)]


@pytest.mark.full
def test_what_others_own_is_removed_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """remove_tree asks for help only where it cannot do it itself."""
    asked: list[tuple[object, ...]] = []
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    monkeypatch.setattr("pyrt.worker.call", lambda *arguments: asked.append(arguments) or ())
    assert remove_tree(str(tree)) == () and not tree.exists() and not asked
