"""Real images made byte by byte: layers, manifests, indexes, and the OCI image layouts that hold them.

The same arguments give the same bytes. What other tools make of these layouts is in tests/support/image_tools.py.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pyrt.oci import media_types
from pyrt.oci.platform import host
from tests.support.busybox import static_busybox

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BUSYBOX = "docker.io/library/busybox:latest"
REF_NAME = "org.opencontainers.image.ref.name"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
COMPRESSIONS = ("gzip", "zstd", "")
MTIME = 1_700_000_000

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
app:x:1000:1000:app:/home/app:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
"""
GROUP = """\
root:x:0:
daemon:x:1:
app:x:1000:
extra:x:2000:app
nogroup:x:65534:
"""
APPLETS = tuple(
    """
    sh ash awk basename cat chmod chown chroot cp cut date dd df dirname dmesg du echo env expr false find fold free
    getopt grep groups gunzip gzip head hostname id ifconfig ip kill killall ln ls md5sum mkdir mkfifo mknod mktemp
    more mount mountpoint mv nc netstat nice nohup nproc nslookup od paste pgrep ping pkill printenv printf ps pwd
    readlink realpath renice rm rmdir sed seq setsid sha256sum sleep sort stat stty sync tail tar tee test time
    timeout touch tr true tty umount uname uniq uptime usleep vi wc wget which whoami xargs yes
    """.split()  # noqa: SIM905 (a list of one word a line is no easier to read)
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One tar entry. ``content`` is a file's bytes; ``link`` the target of a symbolic ("sym") or hard ("hard") link."""

    name: str
    kind: str = "file"  # file, dir, sym, hard, fifo, char, block
    content: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    link: str = ""
    device: tuple[int, int] = (0, 0)
    mtime: float = MTIME
    xattrs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Blob:
    """Some bytes with the descriptor that points at them."""

    media_type: str
    content: bytes
    diff_id: str = ""  # layers only

    @property
    def digest(self) -> str:
        return sha256(self.content)

    def descriptor(self, **more: object) -> dict[str, object]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content), **more}


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """A manifest or index (``top``) with everything below it."""

    top: Blob
    blobs: tuple[Blob, ...]  # all of them, top included
    platform: Mapping[str, str] | None = None

    @property
    def digest(self) -> str:
        return self.top.digest


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def tar(entries: Iterable[Entry], *, format: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar of ``entries`` in their order."""
    types = {
        "file": tarfile.REGTYPE,
        "dir": tarfile.DIRTYPE,
        "sym": tarfile.SYMTYPE,
        "hard": tarfile.LNKTYPE,
        "fifo": tarfile.FIFOTYPE,
        "char": tarfile.CHRTYPE,
        "block": tarfile.BLKTYPE,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            info.type, info.mode, info.mtime, info.linkname = types[entry.kind], entry.mode, entry.mtime, entry.link
            info.uid, info.gid, info.size = entry.uid, entry.gid, len(entry.content)
            info.devmajor, info.devminor = entry.device
            info.pax_headers = {f"SCHILY.xattr.{name}": value for name, value in entry.xattrs.items()}
            archive.addfile(info, io.BytesIO(entry.content))
    return buffer.getvalue()


def layer(content: bytes, compression: str = "gzip", *, docker: bool = False) -> Blob:
    """The tar ``content`` as a layer; ``compression`` is "gzip", "zstd" or ""."""
    packers: dict[str, Callable[[bytes], bytes]] = {"gzip": _gzip, "zstd": zstd_compress, "": bytes}
    oci = {"gzip": media_types.OCI_LAYER_GZIP, "zstd": media_types.OCI_LAYER_ZSTD, "": media_types.OCI_LAYER}
    dock = {"gzip": media_types.DOCKER_LAYER_GZIP, "zstd": media_types.DOCKER_LAYER_ZSTD, "": media_types.DOCKER_LAYER}
    return Blob(
        media_type=(dock if docker else oci)[compression],
        content=packers[compression](content),
        diff_id=sha256(content),
    )


def image(
    layers: Iterable[Blob],
    *,
    config: Mapping[str, object] | None = None,
    platform: str | None = None,
    docker: bool = False,
    more: Mapping[str, object] | None = None,
) -> BuiltImage:
    """An image of ``layers``, the lowest first.

    ``config`` is the configuration's "config" object, ``more`` replaces its other fields. ``platform`` is
    os/architecture[/variant], the host's by default.
    """
    layers = tuple(layers)
    parts = (platform or str(host())).split("/")
    fields = dict(zip(("os", "architecture", "variant"), parts, strict=False))
    document = {
        **fields,
        "created": "2023-11-14T22:13:20Z",
        "config": {"Env": [PATH], "Cmd": ["sh"]} if config is None else config,
        "rootfs": {"type": "layers", "diff_ids": [one.diff_id for one in layers]},
        "history": [{"created": "2023-11-14T22:13:20Z", "created_by": "tests"} for _ in layers],
        **(more or {}),
    }
    kind = media_types.DOCKER_CONFIG if docker else media_types.OCI_CONFIG
    config_blob = Blob(media_type=kind, content=encode(document))
    media_type = media_types.DOCKER_MANIFEST if docker else media_types.OCI_MANIFEST
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config_blob.descriptor(),
        "layers": [one.descriptor() for one in layers],
    }
    top = Blob(media_type=media_type, content=encode(manifest))
    return BuiltImage(top=top, blobs=(top, config_blob, *layers), platform=fields)


def index(images: Iterable[BuiltImage], *, docker: bool = False, attested: bool = False) -> BuiltImage:
    """An index of ``images`` by platform; ``attested`` puts BuildKit's attestation manifest behind each."""
    entries: list[dict[str, object]] = []
    blobs: list[Blob] = []
    for one in images:
        blobs += one.blobs
        entries.append(one.top.descriptor(**({"platform": dict(one.platform)} if one.platform else {})))
        if attested:
            statement = attestation(one)
            blobs += statement.blobs
            about = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": one.digest}
            unknown = {"os": "unknown", "architecture": "unknown"}
            entries.append(statement.top.descriptor(platform=unknown, annotations=about))
    media_type = media_types.DOCKER_LIST if docker else media_types.OCI_INDEX
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
    top = Blob(media_type=media_type, content=encode(document))
    return BuiltImage(top=top, blobs=(top, *blobs))


def attestation(about: BuiltImage) -> BuiltImage:
    """What BuildKit stores beside an image: a manifest whose one layer is an in-toto statement."""
    statement = Blob(media_type="application/vnd.in-toto+json", content=encode({"subject": about.digest}))
    rootfs = {"type": "layers", "diff_ids": [statement.digest]}
    config = Blob(
        media_type=media_types.OCI_CONFIG,
        content=encode({"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": rootfs}),
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": config.descriptor(),
        "layers": [statement.descriptor()],
    }
    top = Blob(media_type=media_types.OCI_MANIFEST, content=encode(manifest))
    return BuiltImage(top=top, blobs=(top, config, statement))


def busybox_entries() -> list[Entry]:
    """A small system: busybox with its usual names, users, /tmp."""
    with open(static_busybox(), "rb") as program:
        busybox = program.read()
    folders = "bin dev etc home proc root sbin sys tmp usr usr/bin usr/sbin usr/local usr/local/bin var var/tmp"
    modes = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700}
    entries = [Entry(name=name, kind="dir", mode=modes.get(name, 0o755)) for name in folders.split()]
    entries.append(Entry(name="home/app", kind="dir", mode=0o755, uid=1000, gid=1000))
    entries.append(Entry(name="bin/busybox", content=busybox, mode=0o755))
    entries += [Entry(name=f"bin/{name}", kind="sym", link="busybox", mode=0o777) for name in APPLETS]
    entries.append(Entry(name="usr/bin/env", kind="sym", link="../../bin/busybox", mode=0o777))
    entries.append(Entry(name="etc/passwd", content=PASSWD.encode()))
    entries.append(Entry(name="etc/group", content=GROUP.encode()))
    return entries


def busybox(
    compression: str = "gzip",
    *,
    config: Mapping[str, object] | None = None,
    platform: str | None = None,
    docker: bool = False,
    entries: Iterable[Entry] = (),
) -> BuiltImage:
    """The busybox image; ``config`` is merged into Env and Cmd, ``entries`` make a second layer."""
    layers = [layer(tar(busybox_entries()), compression, docker=docker)]
    extra = tuple(entries)
    if extra:
        layers.append(layer(tar(extra), compression, docker=docker))
    merged = {"Env": [PATH], "Cmd": ["sh"], **(config or {})}
    return image(layers, config=merged, platform=platform, docker=docker)


def write_layout(directory: str | os.PathLike[str], images: Mapping[str, BuiltImage]) -> None:
    """Makes ``directory`` an OCI image layout that holds ``images`` under their names ("" for none)."""
    folder = os.fspath(directory)
    entries = []
    for name, one in images.items():
        for blob in one.blobs:
            write_blob(folder, blob.content)
        entries.append(one.top.descriptor(**({"annotations": {REF_NAME: name}} if name else {})))
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries}
    _write(os.path.join(folder, "index.json"), encode(document))
    _write(os.path.join(folder, "oci-layout"), encode({"imageLayoutVersion": "1.0.0"}))


def write_blob(folder: str, content: bytes) -> str:
    """Puts ``content`` among the blobs of the layout at ``folder``; its digest."""
    digest = sha256(content)
    path = os.path.join(folder, "blobs", *digest.split(":"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    _write(path, content)
    return digest


def encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def zstd_compress(content: bytes) -> bytes:
    return zstd.compress(content)


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, 6, mtime=0)


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
