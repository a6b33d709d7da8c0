"""A tar writer that says every byte itself: what it is asked for, it writes, however wrong that is.

``tarfile`` normalises and refuses; hostile layers need neither. An archive is the concatenation of blocks:

    archive(entry("a", b"text"), entry("l", type="2", link="a"), pax({"path": "b"}), entry("x"))
"""

from __future__ import annotations

from collections.abc import Iterable

BLOCK = 512
END = bytes(2 * BLOCK)


def padded(data: bytes) -> bytes:
    """``data`` with NULs up to the next block."""
    return data + bytes(-len(data) % BLOCK)


def octal(value: int, size: int) -> bytes:
    """A numeric field as ustar has it: octal digits and a NUL."""
    return b"%0*o\0" % (size - 1, value)


def base256(value: int, size: int) -> bytes:
    """A numeric field as GNU tar has it for what does not fit in octal: big-endian, two's complement, top bit set."""
    raw = bytearray((value % (1 << (8 * size))).to_bytes(size, "big"))
    raw[0] |= 0x80
    return bytes(raw)


def _field(value: int | bytes, size: int) -> bytes:
    raw = octal(value, size) if isinstance(value, int) else value
    assert len(raw) <= size, f"{raw!r} does not fit into {size} bytes"
    return raw.ljust(size, b"\0")


def header(
    name: str | bytes = "",
    *,
    type: str | bytes = "0",
    mode: int | bytes = 0o644,
    uid: int | bytes = 0,
    gid: int | bytes = 0,
    size: int | bytes = 0,
    mtime: int | bytes = 0,
    link: str | bytes = "",
    magic: bytes = b"ustar\x0000",
    uname: bytes = b"",
    gname: bytes = b"",
    major: int | bytes = 0,
    minor: int | bytes = 0,
    prefix: bytes = b"",
    tail: bytes = b"",
    at: Iterable[tuple[int, bytes]] = (),
    checksum: bytes | None = None,
    signed: bool = False,
) -> bytes:
    """One header block. Numbers are written in octal, bytes as they stand. ``at`` overwrites (offset, bytes) before the
    checksum is made; ``signed`` makes it as old writers with signed characters did."""
    raw = bytearray(BLOCK)
    for offset, length, value in (
        (0, 100, name),
        (100, 8, mode),
        (108, 8, uid),
        (116, 8, gid),
        (124, 12, size),
        (136, 12, mtime),
        (156, 1, type),
        (157, 100, link),
        (257, 8, magic),
        (265, 32, uname),
        (297, 32, gname),
        (329, 8, major),
        (337, 8, minor),
        (345, 155, prefix),
        (500, 12, tail),
    ):
        raw[offset : offset + length] = _field(value.encode() if isinstance(value, str) else value, length)
    for offset, override in at:
        raw[offset : offset + len(override)] = override
    raw[148:156] = b" " * 8
    total = sum(byte - 256 if signed and byte > 127 else byte for byte in raw)
    raw[148:156] = checksum if checksum is not None else b"%06o\0 " % total
    return bytes(raw)


def entry(name: str | bytes, data: bytes = b"", **fields: object) -> bytes:
    """A header and its data, padded. The size is that of the data unless ``size`` is given."""
    fields.setdefault("size", len(data))
    return header(name, **fields) + padded(data)  # type: ignore[arg-type]


def directory(name: str | bytes, mode: int = 0o755, **fields: object) -> bytes:
    return entry(name, type="5", mode=mode, **fields)


def symlink(name: str | bytes, target: str | bytes, **fields: object) -> bytes:
    return entry(name, type="2", link=target, mode=0o777, **fields)


def hardlink(name: str | bytes, target: str | bytes, **fields: object) -> bytes:
    return entry(name, type="1", link=target, **fields)


def record(key: str | bytes, value: str | bytes) -> bytes:
    """One pax record, with the length that counts itself."""
    text = b" %s=%s\n" % (_bytes(key), _bytes(value))
    length = len(text)
    while len(b"%d" % length) + len(text) != length:
        length = len(b"%d" % length) + len(text)
    return b"%d" % length + text


def pax(records: dict[str, str | bytes] | Iterable[tuple[str, str | bytes]] | bytes, type: str = "x") -> bytes:
    """A pax extended header (or a global one: ``type="g"``) of these records, or of a raw body."""
    if not isinstance(records, bytes):
        pairs = records.items() if isinstance(records, dict) else records
        records = b"".join(record(key, value) for key, value in pairs)
    return entry("PaxHeaders/x", records, type=type)


def long_name(name: str | bytes) -> bytes:
    """GNU tar's ``L`` header before an entry whose name does not fit."""
    return entry("././@LongLink", _bytes(name) + b"\0", type="L", magic=b"ustar  \0")


def long_link(target: str | bytes) -> bytes:
    """GNU tar's ``K`` header, the same for a link target."""
    return entry("././@LongLink", _bytes(target) + b"\0", type="K", magic=b"ustar  \0")


def archive(*parts: bytes) -> bytes:
    """The parts and the two zero blocks that end an archive."""
    return b"".join(parts) + END


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


# Sparse files: regions are (offset, data), in order. The file ends at real_size.

Regions = list[tuple[int, bytes]]


def sparse_old_gnu(name: str, regions: Regions, real_size: int) -> bytes:
    """Type ``S``: four regions in the header, the others in blocks of twenty-one behind it."""
    pairs = [octal(offset, 12) + octal(len(data), 12) for offset, data in regions]
    first, rest = pairs[:4], pairs[4:]
    stored = b"".join(data for _, data in regions)
    blocks = [rest[at : at + 21] for at in range(0, len(rest), 21)]
    raw = header(
        name,
        type="S",
        size=len(stored),
        magic=b"ustar  \0",
        at=[(386, b"".join(first)), (482, bytes([bool(rest)])), (483, octal(real_size, 12))],
    )
    for number, block in enumerate(blocks):
        raw += b"".join(block).ljust(504, b"\0") + bytes([number + 1 < len(blocks)]) + bytes(7)
    return raw + padded(stored)


def sparse_pax_0_0(name: str, regions: Regions, real_size: int) -> bytes:
    records: list[tuple[str, str | bytes]] = [
        ("GNU.sparse.size", str(real_size)),
        ("GNU.sparse.numblocks", str(len(regions))),
    ]
    for offset, data in regions:
        records += [("GNU.sparse.offset", str(offset)), ("GNU.sparse.numbytes", str(len(data)))]
    return pax(records) + entry(name, b"".join(data for _, data in regions))


def sparse_pax_0_1(name: str, regions: Regions, real_size: int) -> bytes:
    return pax(
        {
            "GNU.sparse.size": str(real_size),
            "GNU.sparse.numblocks": str(len(regions)),
            "GNU.sparse.name": name,
            "GNU.sparse.map": ",".join(f"{offset},{len(data)}" for offset, data in regions),
        }
    ) + entry("GNUSparseFile.1/" + name, b"".join(data for _, data in regions))


def sparse_pax_1_0(name: str, regions: Regions, real_size: int) -> bytes:
    lines = [len(regions)] + [number for offset, data in regions for number in (offset, len(data))]
    text = padded(b"".join(b"%d\n" % line for line in lines))
    return pax(
        {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": name,
            "GNU.sparse.realsize": str(real_size),
        }
    ) + entry("GNUSparseFile.1/" + name, text + b"".join(data for _, data in regions))
