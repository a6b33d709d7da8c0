"""Archives made by chance, of few names and all types: what must hold for any of them."""

from __future__ import annotations

import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrt.errors import LayerError
from pyrt.values import replace
from tests.support.chance import examples
from tests.support.extraction import unpack
from tests.support.tarwriter import archive, directory, entry, hardlink, pax, symlink
from tests.support.trees import Attributes, manifest

pytestmark = pytest.mark.usefixtures("root")

NAMES = st.lists(st.sampled_from(["a", "b", "c", ".wh.a", ".wh..wh..opq", "."]), min_size=1, max_size=4).map("/".join)
TARGETS = st.builds(
    str.__add__,
    st.sampled_from(["", "/"]),
    st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=5).map("/".join),
)
TIMES = st.integers(1, 9)
MODES = st.integers(0, 0o7777)
ENTRIES = st.one_of(
    st.builds(lambda name, data, mtime: entry(name, data, mtime=mtime), NAMES, st.binary(max_size=600), TIMES),
    st.builds(lambda name, mode, uid: directory(name, mode, uid=uid, mtime=9), NAMES, MODES, st.integers(0, 3)),
    st.builds(lambda name, target, mtime: symlink(name, target, mtime=mtime), NAMES, TARGETS, TIMES),
    st.builds(hardlink, NAMES, TARGETS),
    st.builds(lambda name, mode: entry(name, type="6", mode=mode, mtime=1), NAMES, MODES),
    st.builds(lambda name: pax({"SCHILY.xattr.user.x": "y"}) + entry(name, mtime=1), NAMES),
)
ARCHIVES = st.lists(ENTRIES, max_size=12).map(lambda entries: archive(*entries))


def outcome(data: bytes, piece: int = 1 << 20, **options: object) -> tuple[str, dict[bytes, Attributes]]:
    """The error, if there was one, and the tree. Times that only say when the test ran are the same time."""
    with tempfile.TemporaryDirectory() as outside:
        root, error = os.path.join(outside, "root"), ""
        os.mkdir(root)
        before = os.stat(outside).st_mtime_ns
        try:
            unpack(root, (data[at : at + piece] for at in range(0, len(data), piece)), **options)
        except LayerError as caught:
            error = str(caught)
        found = {path: replace(item, mtime=min(item.mtime, 10**10)) for path, item in manifest(root).items()}
        assert os.listdir(outside) == ["root"] and os.stat(outside).st_mtime_ns == before
        return error, found


@examples(150)
@given(ARCHIVES)
def test_the_way_of_resolving_makes_no_difference(data: bytes) -> None:
    assert outcome(data) == outcome(data, by_walk=True)


@examples(100)
@given(ARCHIVES, st.integers(1, 2000))
def test_the_size_of_the_pieces_makes_no_difference(data: bytes, piece: int) -> None:
    assert outcome(data) == outcome(data, piece)


@examples(100)
@given(ARCHIVES)
def test_the_umask_makes_no_difference(data: bytes) -> None:
    before = os.umask(0o077)
    try:
        assert outcome(data) == outcome(data, umask_is_zero=False)
    finally:
        os.umask(before)
