"""Metadata that nobody can read: only the object that it is of is affected, and repair gives the rest back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pyrt.store.records import STATE_SIZE
from tests.check.conftest import Case

KEEPER = ["run", "--name", "keeper", "busybox", "true"]
RUINED = ["run", "--name", "ruined", "busybox", "sh", "-c", "echo precious > /precious"]


def spoil(path: Path, how: str) -> None:
    """What a file looks like after a power cut or a wrong hand."""
    whole = path.read_bytes()
    newer = whole.replace(b'"version": 1', b'"version": 9').replace(b'n":2', b'n":9').replace(b"1.0.0", b"9.0.0")
    spoiled = {
        "empty": b"",
        "zeros": bytes(len(whole)),
        "half": whole[: len(whole) // 2],
        "without its end": whole[:-30],
        "object": b"{}",
        "list": b"[]",
        "bit": whole[:20] + bytes([whole[20] ^ 1]) + whole[21:],
        "another version": newer,
    }
    assert spoiled[how] != whole, "it is spoiled"
    path.write_bytes(spoiled[how])


HOW = ["empty", "zeros", "half", "without its end", "object", "list", "another version"]


@pytest.mark.parametrize("how", [*HOW, "bit"])
def test_st_22_a_container_record(busybox: Case, how: str) -> None:
    assert busybox.pyrt(*KEEPER).returncode == busybox.pyrt(*RUINED).returncode == 0
    (ruined,) = [record for record in busybox.store.containers.list() if record.name == "ruined"]
    record = busybox.root / "containers" / f"{ruined.id}.json"
    busybox.assert_clean()
    spoil(record, how)
    os.utime(record, (1, 1))  # old: the sweep of the next command might take it for one that was never whole
    listed = busybox.pyrt("ps", "-a", "--format", "{{.Names}}")
    assert (listed.returncode, listed.stdout) == (0, "keeper\n")
    assert busybox.pyrt("run", "--rm", "busybox", "true").returncode == 0
    (line,) = busybox.finds()
    assert line.startswith(f"container {ruined.id}: its record cannot be read: ")
    busybox.repairs()
    assert [record.name for record in busybox.store.containers.list()] == ["keeper"]
    (kept,) = Path(busybox.root, "damaged").glob(f"{ruined.id}-*/upper/precious")
    assert kept.read_text() == "precious\n", "what a container wrote is not lost with its record"
    assert busybox.pyrt("run", "--rm", "--name", "ruined", "busybox", "true").returncode == 0


def test_st_21_each_byte_of_a_record_counts(busybox: Case) -> None:
    from pyrt.store.records import Record

    assert busybox.pyrt(*KEEPER).returncode == 0
    (found,) = busybox.store.containers.list()
    whole = Path(busybox.store.containers.file(found.id)).read_bytes()
    assert Record.parse(whole) == found
    for at in range(len(whole)):
        with pytest.raises(ValueError):  # noqa: PT011 (any reason will do)
            Record.parse(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert len(whole) > STATE_SIZE + 500


def test_a_record_of_pyrt_0_1_is_read(busybox: Case) -> None:
    """It had no checksums."""
    from pyrt.store.records import SUM_SIZE, Record

    assert busybox.pyrt(*KEEPER).returncode == 0
    (found,) = busybox.store.containers.list()
    path = Path(busybox.store.containers.file(found.id))
    whole = path.read_bytes()
    old = whole[: STATE_SIZE - SUM_SIZE].rstrip().ljust(STATE_SIZE - 1) + b"\n" + whole[STATE_SIZE:-SUM_SIZE]
    assert Record.parse(old) == found
    path.write_bytes(old)
    busybox.assert_clean()


def test_a_start_that_was_killed_is_no_damage(busybox: Case) -> None:
    """An empty record, nothing else: every command clears it."""
    (busybox.root / "containers" / f"{'a' * 64}.json").write_bytes(b"")
    busybox.assert_clean()
    assert os.listdir(busybox.root / "containers") == []


@pytest.mark.parametrize("how", HOW)
def test_st_22_index(busybox: Case, how: str) -> None:
    assert busybox.pyrt(*KEEPER).returncode == 0
    assert busybox.pyrt("tag", "busybox", "other:name").returncode == 0
    spoil(busybox.root / "index.json", how)
    done = busybox.pyrt("images")
    if how != "another version":
        assert done.returncode == 1
        assert done.stderr.startswith(f"pyrt: store {busybox.root}/index.json: not an OCI index")
        assert done.stderr.count("\n") <= 2
    assert busybox.pyrt("ps", "-a", "-q").returncode == 0
    lines = busybox.finds()
    assert lines[0].startswith("index index.json: cannot be read: ")
    assert "made again of 1 images that are here, 0 without their names" in busybox.repairs()[0]
    assert busybox.pyrt("run", "--rm", "--pull", "never", "busybox", "true").returncode == 0
    assert len(list(Path(busybox.root, "damaged").glob("index.json-*"))) == 1


def test_st_22_an_index_is_made_again_without_containers(case: Case) -> None:
    (case.root / "index.json").write_bytes(b"")
    assert "made again of 2 images that are here, 2 without their names" in case.repairs()[0]
    assert case.pyrt("pull", "-q", case.large_name).returncode == 0
    assert case.pyrt("images", "-q").stdout.count("\n") == 2


def test_st_22_without_an_index_nothing_is_garbage(case: Case) -> None:
    """What a pull that was killed had wanted may be an image's, of which only the index would tell."""
    wanted = [str(digest) for digest in case.store.content.digests()] + [case.shared.diff_id, case.top.diff_id]
    (case.root / "tmp/lease-0").write_text(json.dumps(wanted))
    whole = (case.root / "index.json").read_bytes()
    (case.root / "index.json").write_bytes(whole[:50])
    assert case.pyrt("pull", "-q", case.small_name).returncode == 1
    assert case.pyrt("image", "prune", "-a", "-f").returncode == 1
    (case.root / "index.json").write_bytes(whole)
    case.assert_clean()
    assert len(case.store.content.digests()) == 6
    assert len(case.store.layers.names()) == 2


@pytest.mark.parametrize(
    "entry", [{}, 5, {"mediaType": "a/b", "digest": "sha256:zz", "size": 1}, {"mediaType": "a/b", "size": -1}]
)
def test_st_22_an_entry_of_the_index(case: Case, entry: object) -> None:
    index = json.loads((case.root / "index.json").read_text())
    index["manifests"].insert(1, entry)
    (case.root / "index.json").write_text(json.dumps(index))
    assert case.pyrt("images", "-q").stdout.count("\n") == 2
    (line,) = case.finds()
    assert line.startswith("index entry 1: ")
    assert case.repairs()[0].endswith(" -- removed from the index")
    assert {record.name for record in case.store.images.list()} == {case.small_name, case.large_name}


@pytest.mark.parametrize("how", HOW)
def test_st_22_oci_layout(case: Case, how: str) -> None:
    spoil(case.root / "oci-layout", how)
    assert case.pyrt("images", "-q").returncode == 0
    (line,) = case.finds()
    assert line.startswith("layout oci-layout: ")
    case.repairs()
    assert json.loads((case.root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}


@pytest.mark.parametrize("how", [*HOW, "bit"])
def test_st_22_the_record_of_a_tree(case: Case, how: str) -> None:
    spoil(Path(f"{case.tree(case.top)}.tree"), how)
    assert case.pyrt("inspect", case.large_name).returncode == 0
    (line,) = case.finds()
    assert line.startswith(f"layer {case.top.diff_id} ({case.large_name}): ")
    assert ": the record of its digest cannot be read: " in line
    assert case.repairs()[0].endswith(" -- unpacked again")


@pytest.mark.parametrize("how", ["empty", "zeros", "half", "object"])
def test_st_22_the_documents_of_an_image(case: Case, how: str) -> None:
    """Only this image is affected, and it comes back."""
    spoil(case.blob(json.loads(case.large.top.content)["config"]["digest"]), how)
    assert case.pyrt("inspect", case.small_name).returncode == 0
    assert case.pyrt("images", "-q").stdout.count("\n") >= 1
    assert all(case.large_name in line for line in case.finds())
    case.repairs()
    assert case.pyrt("inspect", case.large_name).returncode == 0


def test_st_22_names(busybox: Case) -> None:
    assert busybox.pyrt(*KEEPER).returncode == 0
    names = busybox.root / "names"
    (names / "file").write_text("")
    (names / "directory").mkdir()
    os.symlink(os.readlink(names / "keeper"), names / "second")
    os.unlink(names / "keeper")
    assert sorted(line.partition(":")[0].split()[0] for line in busybox.finds()) == ["container", "name", "name", "name"]
    assert busybox.pyrt("run", "--rm", "--name", "fourth", "busybox", "true").returncode == 0
    busybox.repairs()
    assert os.listdir(names) == ["keeper"]
    for name in ("file", "directory", "second"):
        assert busybox.pyrt("run", "--rm", "--name", name, "busybox", "true").returncode == 0


def test_st_22_volumes(busybox: Case) -> None:
    run = ["run", "--rm", "-v", "one:/home", "-v", "two:/tmp", "busybox"]
    assert busybox.pyrt(*run, "sh", "-c", "echo 1 > /home/x; echo 2 > /tmp/x").returncode == 0
    (busybox.root / "volumes/one/data/x").unlink()
    (busybox.root / "volumes/one/data").rename(busybox.root / "volumes/three")
    (busybox.root / "volumes/three").chmod(0o700)
    (busybox.root / "volumes/four").write_text("no directory")
    assert sorted(line for line in busybox.finds()) == [
        "volume four: not a directory",
        "volume one: its data is missing",
    ]
    busybox.repairs()
    assert busybox.pyrt(*run, "cat", "/tmp/x").returncode == 0
    assert (busybox.root / "volumes/two/data/x").read_text() == "2\n"
