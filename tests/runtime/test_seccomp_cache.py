"""Compiled filters on disk: the same filter without compiling, and never a wrong one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from pyrt.errors import UsageError
from pyrt.runtime import capabilities, seccomp
from tests.support.bpf import Filter

CAPS = capabilities.bits(capabilities.DEFAULT)
ROOT = Path(__file__).parents[2]
SMALL = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}


@pytest.fixture(autouse=True)
def nothing_in_memory():
    """Each test is a new process, as far as the cache is concerned."""
    seccomp._filter.cache_clear()
    yield
    seccomp._filter.cache_clear()


@pytest.fixture
def compilations(monkeypatch):
    """Counts what was compiled: the list grows by one policy for each."""
    from pyrt.runtime import seccomp_filter

    compile_policy, made = seccomp_filter.compile_policy, []
    monkeypatch.setattr(seccomp_filter, "compile_policy", lambda policy: (made.append(policy), compile_policy(policy))[1])
    return made


def again(profile: str, cache: Path, caps: int = CAPS) -> bytes:
    seccomp._filter.cache_clear()
    return seccomp.compiled(profile, capabilities=caps, cache=str(cache))


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.json"
    path.write_text(json.dumps(SMALL))
    return str(path)


def test_what_was_compiled_once_is_read(tmp_path, compilations):
    first = again(seccomp.DEFAULT, tmp_path)
    assert again(seccomp.DEFAULT, tmp_path) == first and len(compilations) == 1
    assert len(Filter(first).code) == len(first) // 8
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_in_one_process_nothing_is_read_twice(tmp_path, compilations):
    first = again(seccomp.DEFAULT, tmp_path)
    shutil.rmtree(tmp_path)
    assert seccomp.compiled(seccomp.DEFAULT, capabilities=CAPS, cache=str(tmp_path)) is first and len(compilations) == 1


def test_other_capabilities_are_another_filter(tmp_path, compilations):
    assert again(seccomp.DEFAULT, tmp_path) != again(seccomp.DEFAULT, tmp_path, (1 << 41) - 1)
    assert again(seccomp.DEFAULT, tmp_path) != again(seccomp.DEFAULT, tmp_path, (1 << 41) - 1)
    assert len(compilations) == 2


def test_a_profile_that_changes_is_compiled_again(tmp_path, small, compilations):
    """By its content: an edit within one tick of the clock, of the same length, counts too."""
    cache = tmp_path / "cache"
    cache.mkdir()
    first, times = again(small, cache), os.stat(small)
    Path(small).write_text(json.dumps(SMALL).replace("read", "dup3"))
    os.utime(small, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert os.stat(small).st_size == times.st_size
    second = again(small, cache)
    assert first != second and len(compilations) == 2
    Path(small).write_text(json.dumps(SMALL))
    assert again(small, cache) == first and len(compilations) == 2


def test_another_version_or_kernel_is_another_filter(tmp_path, compilations, monkeypatch):
    again(seccomp.DEFAULT, tmp_path)
    monkeypatch.setattr(seccomp, "VERSION", "999.0")
    again(seccomp.DEFAULT, tmp_path)
    monkeypatch.setattr(seccomp.Host, "kernel", lambda: ("x86_64", (4, 7)))
    again(seccomp.DEFAULT, tmp_path)
    assert len(compilations) == 3


def test_a_damaged_filter_is_compiled_again(tmp_path, compilations):
    """Every cut, and a changed bit at every place: none of it is ever loaded, and the place is mended."""
    wanted = again(seccomp.DEFAULT, tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    places = range(0, len(whole), 17)
    damaged = [whole[:place] for place in places] + [
        whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :] for place in places
    ]
    damaged += [b"", whole + b"\0", whole + bytes(8), whole[:4] + bytes(len(whole) - 4)]
    for content in damaged:
        file.write_bytes(content)
        assert again(seccomp.DEFAULT, tmp_path) == wanted
        assert file.read_bytes() == whole
    assert len(compilations) == len(damaged) + 1


def test_a_whole_filter_at_the_wrong_place_is_not_used(tmp_path, small):
    """Two keys may share a place: the key in the file decides."""
    wanted = again(seccomp.DEFAULT, tmp_path)
    (file,) = (entry for entry in tmp_path.iterdir() if entry.suffix != ".json")
    rest = b"another key\n" + bytes(8)
    file.write_bytes(zlib.crc32(rest).to_bytes(4, "little") + rest)
    assert again(seccomp.DEFAULT, tmp_path) == wanted


@pytest.mark.parametrize("what", ["missing", "file", "link", "directory there"])
def test_without_a_usable_cache_it_is_compiled(what, tmp_path):
    cache, victim = tmp_path / "cache", tmp_path / "victim"
    victim.write_text("untouched")
    wanted = seccomp.compiled(seccomp.DEFAULT, capabilities=CAPS, cache="")
    if what == "file":
        cache.write_text("")
    elif what in ("link", "directory there"):
        cache.mkdir()
        again(seccomp.DEFAULT, cache)
        (file,) = cache.iterdir()
        file.unlink()
        if what == "link":
            file.symlink_to(victim)
            file.with_name(f"{file.name}.new").symlink_to(victim)
        else:
            file.mkdir()
    assert again(seccomp.DEFAULT, cache) == wanted
    assert victim.read_text() == "untouched"


def test_st_a_killed_writer_leaves_nothing_for_long(tmp_path):
    again(seccomp.DEFAULT, tmp_path)
    (file,) = tmp_path.iterdir()
    file.rename(file.with_name(f"{file.name}.new"))
    again(seccomp.DEFAULT, tmp_path)
    assert [*tmp_path.iterdir()] == [file]


def test_many_profiles_take_a_bounded_number_of_places(tmp_path, small):
    cache = tmp_path / "cache"
    cache.mkdir()
    for number in range(300):
        Path(small).write_text(json.dumps({**SMALL, "defaultErrnoRet": number}))
        again(small, cache)
    names = [path.name for path in cache.iterdir()]
    assert len(names) <= 300 and all(len(name) == 3 and int(name, 16) < 4096 for name in names)


@pytest.mark.parametrize(("make", "message"), [
    (lambda path: None, "No such file"), (lambda path: path.write_bytes(b""), "empty"),
    (lambda path: path.mkdir(), "not a regular file"), (lambda path: os.mkfifo(path), "not a regular file"),
    (lambda path: path.symlink_to("/dev/zero"), "not a regular file"), (lambda path: path.symlink_to(path), "symbolic links"),
    (lambda path: path.write_bytes(b" " * (4 << 20) + b" "), "larger than"),
])  # fmt: skip
def test_profiles_that_cannot_be_read(make, message, tmp_path):
    path = tmp_path / "profile"
    make(path)
    with pytest.raises(UsageError, match=f"^seccomp profile {path}: .*{message}"):
        seccomp.compiled(str(path), capabilities=0, cache="")


def test_a_path_that_no_file_can_have():
    with pytest.raises(UsageError, match="null"):
        seccomp.compiled("/a\0b", capabilities=0, cache="")


def test_too_long_a_filter_is_said_with_the_file(tmp_path):
    conditions = [{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [
        {"index": 0, "value": value << 20, "op": "SCMP_CMP_EQ"}]} for value in range(1, 2000)]  # fmt: skip
    path = tmp_path / "long.json"
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": conditions}))
    with pytest.raises(UsageError, match=f"^seccomp profile {path}: its filter has"):
        seccomp.compiled(str(path), capabilities=0, cache="")


def test_a_warm_start_loads_neither_the_reader_nor_the_compiler(tmp_path):
    """Nor anything that pyrt.run does not load anyway."""
    script = (
        "import sys, pyrt\npyrt.run\nbefore = set(sys.modules)\nfrom pyrt.runtime import seccomp\n"
        f"assert seccomp.compiled('default', capabilities={CAPS}, cache={str(tmp_path)!r})\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    for warm in (False, True):
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
        loaded = set(done.stdout.split())
        assert loaded == set() if warm else "pyrt.runtime.seccomp_filter" in loaded
