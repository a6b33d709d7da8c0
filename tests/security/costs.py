"""Hostile inputs by name: what a pull, a load or a run of them may cost is measured by test_costs.py.

Each is written to disk, or into a scripted registry, in pieces: the test needs no more memory than pyrt may. ``SCALE`` makes
those larger whose number in the catalogue is too large for every day: PYRT_TEST_SCALE=10 is the catalogue's.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pyrt.oci import media_types
from tests.support import images
from tests.support.fault_registry import CONFIG, FaultRegistry, Reply, redirect
from tests.support.tarwriter import (
    END,
    archive,
    base256,
    directory,
    entry,
    hardlink,
    header,
    long_link,
    long_name,
    octal,
    pax,
    record,
    symlink,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SCALE = int(os.environ.get("PYRT_TEST_SCALE", "1"))
NAME = "localhost/hostile:1"
Pieces = Iterable[bytes]


def headers(count: int, prefix: str, *, type: str = "0", width: int = 60) -> Iterator[bytes]:
    """So many entries with numbered names: one header, in which name and checksum are exchanged."""
    template = bytearray(header(prefix + "0" * width, type=type, mode=0o755))
    start = len(prefix)
    template[148:156] = b" " * 8
    without = sum(template) - sum(template[start : start + width])
    batch = bytearray()
    for number in range(count):
        name = b"%0*d" % (width, number)
        template[start : start + width] = name
        template[148:156] = b"%06o\0 " % (without + sum(name))
        batch += template
        template[148:156] = b" " * 8
        if len(batch) >= 1 << 20:
            yield bytes(batch)
            batch.clear()
    yield bytes(batch)


def large_file(size: int) -> Iterator[bytes]:
    """A tar of one file of zeros."""
    yield header("zeros", size=base256(size, 12))
    for _ in range(size >> 20):
        yield bytes(1 << 20)
    yield END


def write(path: Path, pieces: Pieces, pack: Callable[[Pieces], Pieces] | None = None) -> tuple[str, int, str]:
    """Writes a layer; its digest, its size, and the digest of its tar."""
    plain, packed = hashlib.sha256(), hashlib.sha256()

    def counted() -> Iterator[bytes]:
        for piece in pieces:
            plain.update(piece)
            yield piece

    with open(path, "wb") as file:
        for piece in pack(counted()) if pack else counted():
            packed.update(piece)
            file.write(piece)
        size = file.tell()
    return "sha256:" + packed.hexdigest(), size, "sha256:" + plain.hexdigest()


def gzipped(pieces: Pieces) -> Iterator[bytes]:
    yield from (gzip.compress(piece, 9, mtime=0) for piece in pieces)


def zipped_by_zstd(pieces: Pieces) -> Iterator[bytes]:
    window = {zstd.CompressionParameter.window_log: 27}
    packer = zstd.ZstdCompressor(options=window)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def layout(root: Path, *layers: Pieces, pack: Callable[[Pieces], Pieces] | None = None) -> str:
    """An image of these layers as an OCI layout; how to pull it."""
    root.mkdir()
    images.write_layout(root, {NAME: images.image([])})  # its frame
    blobs = root / "blobs/sha256"
    descriptors, diff_ids = [], []
    for number, pieces in enumerate(layers):
        digest, size, diff_id = write(blobs / f"new{number}", pieces, pack)
        os.rename(blobs / f"new{number}", blobs / digest.partition(":")[2])
        descriptors.append({"mediaType": media_types.OCI_LAYER_GZIP, "digest": digest, "size": size})
        diff_ids.append(diff_id)
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    config = images.encode({"architecture": images.host().architecture, "os": "linux", "rootfs": rootfs, "config": {}})
    frame = {"mediaType": media_types.OCI_CONFIG, "digest": images.sha256(config), "size": len(config)}
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": frame, "layers": descriptors}
    raw = images.encode(document)
    for content in (config, raw):
        (blobs / images.sha256(content).partition(":")[2]).write_bytes(content)
    index = json.loads((root / "index.json").read_text())
    index["manifests"][0] |= {"digest": images.sha256(raw), "size": len(raw)}
    (root / "index.json").write_text(json.dumps(index))
    return f"oci:{root}:{NAME}"


def apart(pieces: Callable[[], Pieces], count: int = 3) -> list[Pieces]:
    """The same archive as so many layers of different digests."""

    def one(number: int) -> Iterator[bytes]:
        yield from pieces()
        yield END + bytes(512 * number)

    return [one(number) for number in range(count)]


def links_without_end() -> Iterator[bytes]:
    way = "d/../" * 800
    yield directory("d") + directory("l38")
    yield b"".join(long_link(way + f"l{n + 1}") + symlink(f"l{n}", "x") for n in range(38))
    yield b"".join(symlink(f"p{n}", "l0") for n in range(200))
    yield b"".join(entry(f"p{n % 200}/f{n}") for n in range(10_000))


def xattrs() -> Iterator[bytes]:
    records = b"".join(record(f"SCHILY.xattr.user.a{n % 3}", "x") for n in range(4000))
    for number in range(20 * SCALE):
        yield pax(records) + entry(f"f{number}")


def sparse_files() -> Iterator[bytes]:
    for number in range(SCALE):
        lines = [65_000, *(x for n in range(65_000) for x in (n * 4096, 1))]
        text = "".join(f"{line}\n" for line in lines).encode()
        text += bytes(-len(text) % 512)
        numbers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 38)}
        yield pax({**numbers, "GNU.sparse.name": f"f{number}"}) + entry("x", text + b"x" * 65_000)


def deep(count: int) -> Iterator[bytes]:
    """A tree deeper than a path may be long: each link leads to the bottom of what is there."""
    step = "a/" * 1000
    yield directory("r") + symlink("s0", "r")
    for number in range(count):
        yield long_name(f"s{number}/{step}") + directory("x")
        yield long_link(f"s{number}/{step}".rstrip("/")) + symlink(f"s{number + 1}", "x")


LAYERS: dict[str, Callable[[Path], str]] = {
    "tx_65 gzip bomb": lambda at: layout(at, large_file((SCALE << 30) + (1 << 29)), pack=gzipped),
    "tx_65 members": lambda at: layout(at, [gzip.compress(b"", mtime=0) * 10_000] * (10 * SCALE)),
    "tx_66 three windows": lambda at: layout(at, *apart(lambda: large_file(200 << 20)), pack=zipped_by_zstd),
    "tx_66 skippable": lambda at: layout(at, [(b"\x50\x2a\x4d\x18" + bytes(4)) * 50_000] * (4 * SCALE)),
    "tx_67 endless name": lambda at: layout(at, [b"\x1f\x8b\x08\x08" + bytes(6), *[b"n" * (1 << 20)] * 64]),
    "tx_51 long name of 8 EiB": lambda at: layout(at, [header("x", type="L", size=base256(1 << 62, 12)), bytes(1 << 20)]),
    "tx_52 pax of a gigabyte": lambda at: layout(at, [header("x", type="x", size=1 << 30), *[b"1" * (1 << 20)] * 64]),
    "tx_52 pax records": lambda at: layout(at, [archive(pax(record("comment", "x") * 60_000), entry("x"))]),
    "tx_52 headers in a row": lambda at: layout(at, [pax({"comment": "x"}, type="g") * 100_000]),
    "tx_52 three of a megabyte": lambda at: layout(
        at, *apart(lambda: [pax(record("comment", "x" * 900_000)) + entry(f"f{n}") for n in range(50)])
    ),
    "tx_53 extents": lambda at: layout(
        at,
        [header("x", type="S", magic=b"ustar  \0", at=[(482, b"\1"), (483, octal(1 << 20, 12))])]
        + [((octal(0, 12) * 42).ljust(504, b"\0") + b"\1" + bytes(7)) * 2048] * 245,
    ),
    "tx_53 a block for each byte": lambda at: layout(at, sparse_files(), pack=gzipped),
    "tx_77 directories": lambda at: layout(
        at, *apart(lambda: headers(min(300_000, 3_000 * SCALE**2), "d", type="5", width=90)), pack=gzipped
    ),
    "tx_77 files": lambda at: layout(at, headers(20_000 * SCALE, "f"), [END], pack=gzipped),
    "tx_77 whiteouts": lambda at: layout(at, headers(5_000 * SCALE, ".wh."), pack=gzipped),
    "tx_77 hard links": lambda at: layout(
        at, [entry("f"), *(hardlink(f"l{n}", "f") for n in range(5_000 * SCALE))], pack=gzipped
    ),
    "tx_77 implied directories": lambda at: layout(
        at, [long_name(f"{n}/" + "a/" * 2000 + "f") + entry("x") for n in range(3 * SCALE)], pack=gzipped
    ),
    "tx_77 xattrs": lambda at: layout(at, xattrs(), pack=gzipped),
    "tx_09 links": lambda at: layout(at, links_without_end()),
    "tx_62 depth": lambda at: layout(at, deep(10 * SCALE)),
    "im_14 layers": lambda at: layout(at, *apart(lambda: [entry("f")], 500)),
}
if SCALE > 1:  # a gigabyte of zeros on the disk is enough for every day
    LAYERS["tx_65 zstd bomb"] = lambda at: layout(at, large_file((SCALE << 30) + (1 << 29)), pack=zipped_by_zstd)


def manifest(registry: FaultRegistry, raw: bytes | Reply, config: bytes = b"{}") -> None:
    reply = raw if isinstance(raw, Reply) else Reply(body=raw, headers=(("Content-Type", media_types.OCI_MANIFEST),))
    registry.script("/v2/a/manifests/1", reply)
    registry.blob("a", config, media_type=CONFIG)


def of_config(config: bytes) -> bytes:
    described = {"mediaType": CONFIG, "digest": images.sha256(config), "size": len(config)}
    return images.encode({"schemaVersion": 2, "config": described, "layers": []})


def descriptors(count: int, key: str) -> bytes:
    one = {"mediaType": media_types.OCI_LAYER, "digest": images.sha256(b""), "size": 0}
    text = json.dumps(one).encode()
    frame = b'{"schemaVersion":2,"config":%b,"%b":[' % (text.replace(b"layer.v1.tar", b"config.v1+json"), key.encode())
    return frame + b",".join([text] * count) + b"]}"


def signatures(count: int) -> bytes:
    import base64

    blocks = []
    for number in range(count):
        protected = base64.urlsafe_b64encode(json.dumps({"formatLength": 1000 + number, "formatTail": "fQ"}).encode())
        blocks.append({"header": {"alg": "x"}, "signature": "AA", "protected": protected.decode()})
    return b'{"schemaVersion":1,"x":"' + b"x" * 2_000_000 + b'","signatures":' + json.dumps(blocks).encode() + b"}"


def challenge(text: str) -> Reply:
    return Reply(status=401, headers=(("WWW-Authenticate", text),))


def token(registry: FaultRegistry, reply: Reply) -> None:
    manifest(registry, challenge(f'Bearer realm="{registry.base}/token",service="s"'))
    registry.script("/token", reply)


BOMB = gzip.compress(gzip.compress(bytes(50 << 20), 9), 9)
ENCODED = (("Content-Encoding", "gzip, gzip"), ("Content-Type", media_types.OCI_MANIFEST))
REGISTRIES: dict[str, Callable[[FaultRegistry], None]] = {
    "im_06 larger by a byte": lambda r: manifest(r, b"[" + b" " * (4 << 20) + b"]"),
    "im_06 hundred megabytes": lambda r: manifest(r, Reply(body=b" " * (1 << 20), length=100 << 20, endless=True)),
    "im_06 depth": lambda r: manifest(r, b'{"a":' * 100_000),
    "im_06 lists": lambda r: manifest(r, b"[" + b"[]," * 1_300_000 + b"[]]"),
    "im_06 values": lambda r: manifest(r, b'{"schemaVersion":2,"x":[' + b"{}," * 99_000 + b"{}]}"),
    "im_06 names": lambda r: manifest(r, b"{" + b"".join(b'"%d":{},' % n for n in range(49_000)) + b'"1":0}'),
    "im_06 layers": lambda r: manifest(r, descriptors(20_000, "layers")),
    "im_06 entries": lambda r: manifest(r, descriptors(20_000, "manifests").replace(b'"config"', b'"x"', 1)),
    "im_06 signatures": lambda r: manifest(r, signatures(5_000)),
    "im_06 configuration": lambda r: manifest(r, of_config(b" " * (5 << 20)), b" " * (5 << 20)),
    "im_07 digits": lambda r: manifest(r, b'{"schemaVersion":' + b"9" * 4_000_000 + b"}"),
    "rg_10 loop": lambda r: manifest(r, redirect("/v2/a/manifests/1")),
    "rg_14 challenge": lambda r: manifest(r, challenge("Bearer " + 'a="' * 30_000)),
    "rg_15 token": lambda r: token(r, Reply(body=b" " * (1 << 20), endless=True, chunked=True)),
    "rg_15 values": lambda r: token(r, Reply(body=b"[" + b"[]," * 340_000 + b"[]]")),
    "rg_15 error": lambda r: token(r, Reply(status=403, body=b"[" * (1 << 20), endless=True, length=1 << 40)),
    "rg_25 endless": lambda r: manifest(r, Reply(body=b" " * (1 << 16), endless=True, chunked=True)),
    "rg_26 headers": lambda r: manifest(r, Reply(headers=tuple((f"X-{n}", "y") for n in range(100_000)))),
    "rg_26 provisional": lambda r: manifest(r, Reply(early=100_000)),
    "rg_27 manifest": lambda r: manifest(r, Reply(body=BOMB, headers=ENCODED)),
    "rg_27 token": lambda r: token(r, Reply(body=BOMB, headers=ENCODED)),
    "rg_35 error": lambda r: manifest(r, Reply(status=400, body=b'{"errors":[' + b"[" * 900_000, endless=True, length=1 << 40)),
}


def docker_archive(path: Path, pieces: Pieces, pack: Callable[[Pieces], Pieces] | None = None) -> str:
    write(path, pieces, pack)
    return f"docker-archive:{path}"


def by_xz(pieces: Pieces) -> Iterator[bytes]:
    """With a dictionary as large as we allow, and a content that fills it."""
    packer = lzma.LZMACompressor(filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 64 << 20}])
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


ARCHIVES: dict[str, Callable[[Path], str]] = {
    "im_27 pax of digits": lambda at: docker_archive(at, [archive(pax(b"1" * (1 << 20)), entry("x"))]),
    "im_27 pax of a gigabyte": lambda at: docker_archive(at, [header("x", type="x", size=1 << 30), *[bytes(1 << 20)] * 64]),
    "im_27 extents": lambda at: docker_archive(
        at,
        [header("x", type="S", magic=b"ustar  \0", at=[(482, b"\1"), (483, octal(1 << 20, 12))])]
        + [((octal(0, 12) * 42).ljust(504, b"\0") + b"\1" + bytes(7)) * 2048] * 64,
    ),
    "im_27 members": lambda at: docker_archive(at, headers(100_000, "m")),
    "im_27 large manifest": lambda at: docker_archive(at, [header("manifest.json", size=1 << 30), *[b"[" * (1 << 20)] * 1024]),
    "im_27 gzip bomb": lambda at: docker_archive(at, large_file((SCALE << 30) + (1 << 29)), gzipped),
    "im_27 xz": lambda at: docker_archive(at, large_file(200 << 20), by_xz),
    "im_27 empty members": lambda at: docker_archive(at, [gzip.compress(b"", mtime=0) * 10_000] * 10),
}

USERS: dict[str, bytes] = {
    "id_07 a terabyte": pax(
        {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.realsize": str((1 << 40) - 1),
            "GNU.sparse.name": "etc/passwd",
        }
    )
    + entry("x", b"0\n".ljust(512, b"\0")),
    "id_07 eleven megabytes": entry("etc/passwd", b"a:x:1:1::/:\n" * 960_000),
    "id_07 ten megabytes of lines": entry("etc/passwd", b"x:x:1:1:::\n" * 900_000),
    "id_06 a way without end": directory("d")
    + b"".join(long_link("d/../" * 800 + f"l{n + 1}") + symlink(f"l{n}", "x") for n in range(38))
    + symlink("etc/passwd", "/l0"),
}
