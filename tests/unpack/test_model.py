"""The extractor against a short model of a layer (layer_model.py): the same trees, the same refusals."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from pyrt.errors import LayerError
from pyrt.overlay import is_opaque, is_whiteout
from pyrt.runtime.tree import ImageTree
from tests.support import images
from tests.support.chance import examples
from tests.support.extraction import unpack
from tests.support.image_tools import umoci_unpack
from tests.support.parts import need
from tests.support.tarwriter import archive, directory, entry, hardlink, symlink
from tests.support.trees import manifest
from tests.unpack.layer_model import Entry, Node, layer, merged, paths

pytestmark = pytest.mark.usefixtures("root")

COMPONENTS = ["a", "a", "a", "b", "b", "c", ".wh.a", ".wh.b", ".wh..wh..opq", ".wh..wh.x", ".wh.", "."]
NAMES = st.lists(st.sampled_from(COMPONENTS), min_size=1, max_size=4).map("/".join)
PLAIN = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)
TARGETS = st.builds(
    str.__add__,
    st.sampled_from(["", "/"]),
    st.lists(st.sampled_from("aabbc") | st.just(".."), min_size=1, max_size=4).map("/".join),
)


def entries(names: st.SearchStrategy[str], kinds: list[str]) -> st.SearchStrategy[Entry]:
    return st.builds(
        Entry,
        kind=st.sampled_from(kinds),
        name=names,
        target=TARGETS,
        data=st.binary(max_size=5),
        mode=st.integers(0, 0o7777),
        uid=st.integers(0, 3),
        mtime=st.integers(1, 9),
    )


KINDS = ["directory", "directory", "file", "file", "symlink", "hardlink", "fifo"]
LAYERS = st.lists(entries(NAMES | PLAIN, KINDS), max_size=12)


def written(item: Entry) -> bytes:
    """The entry's bytes in an archive."""
    fields = {"uid": item.uid, "mtime": item.mtime}
    if item.kind == "directory":
        return directory(item.name, item.mode, **fields)
    if item.kind == "symlink":
        return symlink(item.name, item.target, **fields)
    if item.kind == "hardlink":
        return hardlink(item.name, item.target)
    return entry(
        item.name, item.data if item.kind == "file" else b"", type="0" if item.kind == "file" else "6", mode=item.mode, **fields
    )


def extracted(root: str, layer: list[Entry], **options: object) -> bool:
    try:
        unpack(root, archive(*map(written, layer)), **options)
    except LayerError:
        return False
    return True


Facts = tuple[str, int, int, int, bytes, bool, tuple[str, ...]]


def of_model(root: Node) -> dict[str, Facts]:
    links: dict[int, list[str]] = {}
    for path, node in paths(root):
        links.setdefault(id(node), []).append(path)
    return {
        path: (
            node.kind, node.mode, node.uid, node.mtime if path or node.mtime else 0,
            hashlib.sha256(node.content).digest() if node.kind == "file" else node.content,
            node.opaque, tuple(sorted(links[id(node)])),
        )
        for path, node in paths(root)
    }  # fmt: skip


def of_disk(root: str | Path) -> dict[str, Facts]:
    found: dict[str, Facts] = {}
    for path, item in manifest(root).items():
        whiteout = item.kind == "char" and item.device == 0
        # What has the time of the test has none of its own.
        mtime = item.mtime // 10**9 if item.mtime < 10**10 and not whiteout else 0
        opaque = [name for name, _ in item.xattrs] == ["trusted.overlay.opaque"]
        kind = "whiteout" if whiteout else item.kind
        found[os.fsdecode(path)] = (kind, item.mode, item.uid, mtime, item.content, opaque, tuple(map(os.fsdecode, item.links)))
    return found


@examples(400)
@given(LAYERS, st.booleans())
def test_fz_a_layer_is_what_its_model_says(layer_entries: list[Entry], by_walk: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = os.path.join(place, "root")
        os.mkdir(root)
        wanted, good = layer(layer_entries)
        event("accepted" if good else "refused")
        assert extracted(root, layer_entries, by_walk=by_walk) == good
        assert of_disk(root) == of_model(wanted)


def of_image_tree(tree: ImageTree, at: str = "") -> dict[str, bytes | None]:
    """Every path with the content of a regular file, None for anything else: as ImageTree shows its layers."""
    found: dict[str, bytes | None] = {at: None}
    seen: set[str] = set()
    with ExitStack() as opened:
        for fd in tree.directories("/" + at, opened):
            for name in set(os.listdir(f"/proc/self/fd/{fd}")) - seen:
                seen.add(name)
                path, status = f"{at}/{name}".lstrip("/"), os.stat(name, dir_fd=fd, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    found |= of_image_tree(tree, path)
                elif not is_whiteout(status):
                    found[path] = tree.read("/" + path) if stat.S_ISREG(status.st_mode) else None
    return found


def made_stack(place: str, lower: list[Entry], upper: list[Entry]) -> tuple[str, ...]:
    """Both layers on disk, uppermost first, as the store stacks them (Layers.stack)."""
    for name, made in (("lower", lower), ("upper", upper)):
        os.mkdir(os.path.join(place, name))
        assert extracted(os.path.join(place, name), made)
    return ("upper",) if is_opaque(os.path.join(place, "upper")) else ("upper", "lower")


@examples(150)
@given(LAYERS, LAYERS)
def test_fz_two_layers_are_what_their_models_say(lower_entries: list[Entry], upper_entries: list[Entry]) -> None:
    (lower, one), (upper, other) = layer(lower_entries), layer(upper_entries)
    if not (one and other):
        return
    wanted = {path: node.content if node.kind == "file" else None for path, node in paths(merged(upper, lower))}
    with tempfile.TemporaryDirectory() as place:
        stack = made_stack(place, lower_entries, upper_entries)
        assert of_image_tree(ImageTree(tuple(f"{place}/{name}" for name in stack))) == wanted


# A directory that one layer alone has is read as it is, whiteouts included; nobody finds them by name.
LISTED = """
import os
os.chdir("view")
for place, folders, files in os.walk("."):
    for name in (*folders, *files):
        path = os.path.relpath(os.path.join(place, name))
        if os.path.lexists(path):
            print(path)
"""


@examples(25)
@given(LAYERS, LAYERS)
def test_fz_overlay_shows_two_layers_as_their_models_say(lower_entries: list[Entry], upper_entries: list[Entry]) -> None:
    need("unshare")
    (lower, one), (upper, other) = layer(lower_entries), layer(upper_entries)
    if not (one and other):
        return
    with tempfile.TemporaryDirectory() as place:
        # overlay wants two of them
        stack = ":".join((*made_stack(place, lower_entries, upper_entries), "nothing"))
        for name in ("view", "nothing"):
            os.mkdir(os.path.join(place, name))
        script = f"mount -t overlay overlay -o lowerdir={stack} view && exec \"$0\" -c \"$1\""
        argv = ["unshare", "-m", "sh", "-c", script, sys.executable, LISTED]
        view = subprocess.run(argv, capture_output=True, text=True, cwd=place)
        assert view.returncode == 0, view.stderr
        assert sorted(view.stdout.splitlines()) == sorted(path for path, _ in paths(merged(upper, lower)) if path)


@examples(15)
@given(st.lists(entries(PLAIN, KINDS), max_size=8))
def test_fz_03_umoci_unpacks_a_layer_as_its_model_says(layer_entries: list[Entry]) -> None:
    """Without whiteouts: umoci removes at once what they hide, which in a layer alone is nothing, and keeps no marks."""
    need("umoci")
    wanted, good = layer(layer_entries)
    if not good:
        return
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        data = archive(*map(written, layer_entries))
        images.write_layout(place / "layout", {"it": images.image([images.layer(data, "")])})
        theirs = umoci_unpack(place / "layout", "it", place / "bundle")
        assert plain(of_disk(theirs)) == plain(of_model(wanted))


def plain(found: dict[str, Facts]) -> dict[str, Facts]:
    """Without marks, and without the times of directories, which umoci loses to later entries."""
    return {
        path: (*facts[:3], 0 if facts[0] == "directory" else facts[3], facts[4], False, facts[6])
        for path, facts in found.items()
        if facts[0] != "whiteout"
    }


def test_the_model_and_the_disk_can_differ(tmp_path: Path) -> None:
    """That a comparison which never fails would be noticed."""
    unpack(tmp_path / "root", archive(directory("a", 0o711), entry("a/f", b"x"), entry(".wh.b"), entry(".wh.a")))
    found = of_disk(tmp_path / "root")
    assert found["a"][1] == 0o711 and found["a"][5] and is_opaque(str(tmp_path / "root/a")) and found["b"][0] == "whiteout"
    assert found != of_model(
        layer([Entry(kind="directory", name="a", mode=0o711), Entry(kind="file", name="a/f", data=b"x")])[0]
    )
