"""What is remembered of a place, and when it is asked anew: the lines that ``pyrt doctor`` gives have to count when typed."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyrt import ladder
from pyrt.host import Host
from pyrt.machine_info import examine
from pyrt.store.store import Store
from pyrt.values import replace
from tests.doctor.places import HOST, steps

WORKS = steps(chroot=errno.EPERM)
REFUSED = steps(chroot=errno.EPERM, unshare=errno.EPERM)


class Kernel:
    """In the place of the probe: its answer, how often it was asked, and where."""

    def __init__(self) -> None:
        self.answer, self.asked, self.directories = WORKS, 0, [("", "")]

    def __call__(self, run: str, root: str, inside: bool) -> tuple[tuple[str, int], ...]:
        self.asked += 1
        self.directories.append((run, root))
        return self.answer


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Kernel]:
    asked = Kernel()
    setting = tmp_path / "unprivileged_userns_clone"
    setting.write_text("1\n")
    monkeypatch.setattr(ladder, "_probed", asked)
    monkeypatch.setattr(ladder, "_FILES", (str(setting), str(tmp_path / "absent")))
    monkeypatch.setattr(Host, "probe", classmethod(lambda cls: HOST))
    yield asked
    ladder._found.cache_clear()


def here(tmp_path: Path) -> str:
    """The rung, as another process finds it."""
    ladder._found.cache_clear()
    return ladder.here(str(tmp_path), root=str(tmp_path / "root")).rung


def test_an_answer_is_remembered_until_a_setting_changes(kernel: Kernel, tmp_path: Path) -> None:
    assert [here(tmp_path), here(tmp_path), kernel.asked] == ["userns", "userns", 1]
    (tmp_path / "unprivileged_userns_clone").write_text("0\n")
    kernel.answer = REFUSED
    assert (here(tmp_path), kernel.asked) == ("none", 2)


def test_what_newuidmap_may_do_is_part_of_the_question(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rights, and ours to use them: with no_new_privs it maps nothing."""
    here(tmp_path)
    (tmp_path / "unprivileged_userns_clone").chmod(0o4755)  # any of the files that are looked at
    assert (here(tmp_path), kernel.asked) == ("userns", 2)
    monkeypatch.setattr(Host, "probe", classmethod(lambda cls: replace(HOST, no_new_privileges=True)))
    assert (here(tmp_path), kernel.asked) == ("userns", 3)


def test_who_gets_nothing_asks_each_time(kernel: Kernel, tmp_path: Path) -> None:
    """A loaded AppArmor profile shows in nothing but the answer."""
    kernel.answer = REFUSED
    assert [here(tmp_path), here(tmp_path), kernel.asked] == ["none", "none", 2]
    kernel.answer = WORKS
    assert [here(tmp_path), here(tmp_path), kernel.asked] == ["userns", "userns", 3]


def test_another_store_is_another_question(kernel: Kernel, tmp_path: Path) -> None:
    """It may be on another file system; the run directory is the user's one."""
    here(tmp_path)
    ladder._found.cache_clear()
    ladder.here(str(tmp_path), root="/elsewhere")
    assert kernel.directories[1:] == [(str(tmp_path), f"{tmp_path}/root"), (str(tmp_path), "/elsewhere")]


def test_the_doctor_asks_anew(kernel: Kernel, tmp_path: Path) -> None:
    store = Store.open(str(tmp_path / "store"))
    kernel.answer = steps(chroot=errno.EPERM, overlay=errno.ENODEV)
    assert examine(store)[0].step("overlay") == errno.ENODEV
    kernel.answer = WORKS
    assert examine(store)[0].step("overlay") == 0
    assert kernel.asked == 2


@pytest.mark.usefixtures("user_namespaces")
def test_the_probe_is_made_beside_the_layers(tmp_path: Path) -> None:
    """And nothing stays of it but empty directories."""
    for name in ("run", "root"):
        (tmp_path / name).mkdir()
    found = dict(ladder._probed(str(tmp_path / "run"), str(tmp_path / "root"), False))
    assert found["unshare"] == 0 and "overlay" in found
    assert sorted(tmp_path.rglob("*")) == [tmp_path / name for name in ("root", "root/probe", "run", "run/probe")]
