"""Layers by their content: gzip, zstd, plain, whatever the label says."""

from __future__ import annotations

import bz2
import gzip
import itertools
import lzma
import struct
import sys
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrt.errors import LayerError
from pyrt.oci import limits
from pyrt.oci.decompress import decompress
from tests.support.fault_registry import noise

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TAR = b"a file".ljust(257, b"\0") + b"ustar\0" + b"00" + noise(300_000) + b"\0" * 200_000
SKIPPABLE = struct.pack("<II", 0x184D2A5F, 5) + b"hello"


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def expand(data: bytes, size: int = 65536) -> bytes:
    return b"".join(decompress(pieces(data, size)))


FORMS = {
    "plain": TAR,
    "gzip": gzip.compress(TAR),
    "gzip of many members": b"".join(gzip.compress(piece) for piece in pieces(TAR, 9_973)),
    "gzip with empty members": gzip.compress(b"") + gzip.compress(TAR) + gzip.compress(b""),
    "gzip with zeros behind": gzip.compress(TAR) + b"\0" * 10_240,
    "stored gzip": gzip.compress(TAR, 0),
    "zstd": zstd.compress(TAR),
    "zstd of many frames": b"".join(zstd.compress(piece) for piece in pieces(TAR, 99_991)),
    "zstd with skippable frames": b"".join(
        [SKIPPABLE, zstd.compress(TAR[:999]), SKIPPABLE * 3, zstd.compress(TAR[999:]), SKIPPABLE]
    ),
    "zstd with zeros behind": zstd.compress(TAR) + b"\0" * 512,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
def test_tx_66_tx_67_bn_08_every_form_in_every_cut(form: str, size: int) -> None:
    data = FORMS[form]
    if size == 1:
        data, whole = FORMS[form][:3000], FORMS[form]
        with_rest = [*pieces(data, 1), whole[3000:]]
        assert b"".join(decompress(with_rest)) == TAR
    else:
        assert expand(data, size) == TAR


@given(cuts=st.lists(st.integers(0, len(FORMS["gzip of many members"])), max_size=20))
def test_cuts_anywhere(cuts: list[int]) -> None:
    data = FORMS["gzip of many members"]
    edges = [0, *sorted(cuts), len(data)]
    assert b"".join(decompress([data[a:b] for a, b in zip(edges, edges[1:], strict=False)])) == TAR


def headed(flags: int, fields: bytes, checked: bool = False) -> bytes:
    """TAR in a gzip member with these optional fields."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    head = b"\x1f\x8b\x08" + bytes([flags]) + b"\0" * 6 + fields
    head += struct.pack("<H", zlib.crc32(head) & 0xFFFF) if checked else b""
    return head + packer.compress(TAR) + packer.flush() + struct.pack("<II", zlib.crc32(TAR), len(TAR))


EXTRA = struct.pack("<H", 65_535) + noise(65_535)
HEADS = {
    "extra": headed(4, EXTRA),
    "empty name": headed(8, b"\0"),
    "long name": headed(8, b"n" * 300_000 + b"\0"),
    "extra and name": headed(12, EXTRA + b"n" * 70_000 + b"\0"),
    "name and comment": headed(24, b"n" * 70_000 + b"\0c\0"),
    "all": headed(0x1E, EXTRA + b"name\0comment\0", checked=True),
    "check sum": headed(2, b"", checked=True),
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("size", [509, 65_536, 1 << 20])
def test_tx_67_optional_fields_of_a_gzip_header(head: str, size: int) -> None:
    assert expand(HEADS[head], size) == TAR
    assert expand(FORMS["gzip"] + HEADS[head], size) == TAR * 2


def test_a_header_split_anywhere() -> None:
    data = headed(0x1E, struct.pack("<H", 3) + b"abc" + b"name\0comment\0", checked=True)
    for cut in range(1, 40):
        assert b"".join(decompress([FORMS["gzip"], data[:cut], data[cut:]])) == TAR * 2


@pytest.mark.parametrize(
    "data",
    [
        headed(8, b"n" * (2 << 20) + b"\0"),
        headed(0x20, b""),
        headed(2, b"\0\0"),
        b"\x1f\x8b\x07" + headed(0, b"")[3:],
    ],
)
def test_tx_67_a_bad_header_is_an_error(data: bytes) -> None:
    with pytest.raises(LayerError, match="gzip: "):
        expand(data)


def test_nothing_at_all() -> None:
    assert expand(b"") == b""


@pytest.mark.parametrize("form", ["gzip", "zstd", "gzip of many members", "zstd of many frames"])
@pytest.mark.parametrize("cut", [1, 4, 9, 1000])
def test_tx_57_a_truncated_one_is_an_error(form: str, cut: int) -> None:
    with pytest.raises(LayerError, match="ends in the middle"):
        expand(FORMS[form][:-cut])


@pytest.mark.parametrize("form", ["gzip", "zstd"])
@pytest.mark.parametrize("junk", [b"junk", b"\0\0junk", b"\x1f", b"\x28\xb5", b"\0" * 70_000 + b"x"])
def test_tx_67_something_behind_the_end_is_an_error(form: str, junk: bytes) -> None:
    with pytest.raises(LayerError, match="something follows the end"):
        expand(FORMS[form] + junk)


@pytest.mark.parametrize("position", [-1, -5, -8])
def test_tx_67_a_wrong_check_sum_or_length_is_an_error(position: int) -> None:
    data = bytearray(FORMS["gzip"])
    data[position] ^= 1
    with pytest.raises(LayerError, match="gzip: "):
        expand(bytes(data))


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_damage_in_the_middle_is_an_error(form: str) -> None:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.checksum_flag: 1})
    data = bytearray(FORMS["gzip"] if form == "gzip" else packer.compress(TAR) + packer.flush())
    data[20_000:30_000] = bytes(10_000)
    with pytest.raises(LayerError, match=f"{form}: "):
        expand(bytes(data))


@given(st.sampled_from(sorted(FORMS)), st.integers(0), st.integers(0, 255), st.integers(1, 64))
def test_fz_14_a_changed_stream_is_an_error_or_other_bytes_within_bounds(form: str, place: int, byte: int, size: int) -> None:
    data = bytearray(FORMS[form])
    start = place % len(data)
    data[start : start + size] = bytes([byte]) * len(data[start : start + size])
    try:
        assert len(expand(bytes(data))) <= 4 * len(TAR)
    except LayerError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(("pack", "name"), [(lzma.compress, "xz"), (bz2.compress, "bzip2")])
def test_other_compressions_are_named(pack: object, name: str) -> None:
    assert callable(pack)
    with pytest.raises(LayerError, match=f"compressed with {name}"):
        expand(pack(TAR))


def test_a_tar_whose_first_name_looks_like_bzip2_is_a_tar() -> None:
    data = b"BZh" + TAR[3:]
    assert expand(data) == data


def test_tx_66_a_window_that_is_too_large_is_refused() -> None:
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: limits.ZSTD_WINDOW_LOG + 1})
    with pytest.raises(LayerError, match="zstd: .*memory"):
        expand(packer.compress(TAR) + packer.flush())
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: limits.ZSTD_WINDOW_LOG})
    assert expand(packer.compress(TAR) + packer.flush()) == TAR


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_tx_65_buffers_stay_small_however_much_comes_out(pack: object) -> None:
    assert callable(pack)
    sizes = [len(buffer) for buffer in decompress([pack(bytes(50 << 20))])]
    assert sum(sizes) == 50 << 20
    assert max(sizes) <= limits.PLAIN_CHUNK_BYTES


def test_without_isal_zlib_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    for form in ("gzip", "gzip of many members", "gzip with zeros behind"):
        assert expand(FORMS[form]) == TAR
    with pytest.raises(LayerError, match="ends in the middle"):
        expand(FORMS["gzip"][:-1])


MAGIC = b"\x50\x2a\x4d\x18"  # of a skippable frame


@pytest.mark.parametrize(
    "data",
    [gzip.compress(b"", 1) * 50_000, zstd.compress(b"") * 50_000, (MAGIC + bytes(4)) * 200_000],
    ids=["gzip", "zstd", "skippable"],
)
def test_tx_65_members_without_number_take_time_by_their_number(data: bytes) -> None:
    """Copying what is left of a chunk at each border took 21 s for four megabytes of the first."""
    started = time.process_time()
    assert b"".join(decompress(pieces(data, 1 << 18))) == b""
    assert time.process_time() - started < 8


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_tx_65_more_members_than_files_are_an_error(pack: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(pack)
    monkeypatch.setattr(limits, "MEMBERS", 100)
    assert expand(pack(b"x") * 100) == b"x" * 100
    with pytest.raises(LayerError, match="more than 100 members"):
        expand(pack(b"x") * 101)


def test_tx_66_a_skippable_frame_is_not_held() -> None:
    """4 GiB minus one are announced: the bytes pass by, and where they end too early that is said."""
    head = MAGIC + b"\xff\xff\xff\xff"
    with pytest.raises(LayerError, match="ends in the middle"):
        expand(head + bytes(1 << 20))
    size = 40 << 20
    tracemalloc.start()
    try:
        skipped = itertools.repeat(bytes(1 << 20), 40)
        source = itertools.chain([MAGIC + size.to_bytes(4, "little")], skipped, [FORMS["zstd"]])
        assert b"".join(decompress(source)) == TAR
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_tx_66_frames_that_nobody_can_read_are_an_error() -> None:
    """A dictionary that we do not have; a reserved bit; a block of a reserved type."""
    frame = bytearray(zstd.compress(TAR))
    for position, bit in ((4, 0x01), (4, 0x08)):
        changed = bytearray(frame)
        changed[position] ^= bit
        with pytest.raises(LayerError, match="zstd: "):
            expand(bytes(changed))


def test_tx_66_large_windows_take_turns() -> None:
    """Three layers at once would need three windows of 128 MiB; small ones do not wait."""
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: limits.ZSTD_WINDOW_LOG})
    large = packer.compress(TAR) + packer.flush()
    first, second = decompress(pieces(large, 1000)), decompress([large])
    next(first)
    assert expand(FORMS["zstd"]) == TAR
    done: list[bytes] = []
    waiting = threading.Thread(target=lambda: done.append(b"".join(second)))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive() and not done
    first.close()  # whoever gives up lets the next one in
    waiting.join(10)
    assert done == [TAR]
