"""A busybox image made from the distribution's busybox-static, as an OCI image layout that ``pyrt serve`` can serve.

For machines that reach no registry: the demo pulls it under the name that it would have on Docker Hub. Run as a program
it writes one: ``python -m tests.support.busybox DIR [REFERENCE]``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile

REFERENCE = "docker.io/library/busybox:latest"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_FOLDERS = ("bin", "dev", "etc", "home", "proc", "root", "sbin", "sys", "tmp", "usr", "var")
_FOLDERS += ("usr/bin", "usr/sbin", "var/tmp")
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n"
_GROUP = b"root:x:0:\nnogroup:x:65534:\n"


def static_busybox() -> str:
    """The path of a busybox that needs no shared library. Raises FileNotFoundError where there is none."""
    found = shutil.which("busybox", path=os.environ.get("PATH", "") + ":/bin:/usr/bin")
    if found is None or _has_interpreter(found):
        raise FileNotFoundError("a static busybox is needed: install busybox-static")
    return found


def write_layout(directory: str, reference: str = REFERENCE, busybox: str | None = None) -> str:
    """Makes ``directory`` an OCI image layout with one image, named ``reference``; returns the manifest's digest."""
    os.makedirs(os.path.join(directory, "blobs", "sha256"), mode=0o700, exist_ok=True)
    tree = _layer(busybox or static_busybox())
    config = {
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(tree)]},
        "history": [{"created_by": "the distribution's busybox-static"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _blob(directory, "application/vnd.oci.image.config.v1+json", _json(config)),
        "layers": [_blob(directory, "application/vnd.oci.image.layer.v1.tar+gzip", gzip.compress(tree, 6, mtime=0))],
    }
    entry = _blob(directory, "application/vnd.oci.image.manifest.v1+json", _json(manifest))
    named = {**entry, "annotations": {"org.opencontainers.image.ref.name": reference}}
    _write(os.path.join(directory, "index.json"), _json({"schemaVersion": 2, "manifests": [named]}))
    _write(os.path.join(directory, "oci-layout"), _json({"imageLayoutVersion": "1.0.0"}))
    return str(entry["digest"])


def _layer(busybox: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in _FOLDERS:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder.endswith("tmp") else 0o755
            tar.addfile(entry)
        with open(busybox, "rb") as program:
            _add_file(tar, "bin/busybox", program.read(), 0o755)
        _add_file(tar, "etc/passwd", _PASSWD, 0o644)
        _add_file(tar, "etc/group", _GROUP, 0o644)
        for applet in _applets(busybox):
            entry = tarfile.TarInfo(applet)
            entry.type, entry.linkname = tarfile.LNKTYPE, "bin/busybox"
            tar.addfile(entry)
    return buffer.getvalue()


def _applets(busybox: str) -> list[str]:
    listed = subprocess.run([busybox, "--list-full"], check=True, capture_output=True, text=True).stdout.split()
    return sorted(path for path in set(listed) if os.path.dirname(path) in _FOLDERS and path != "bin/busybox")


def _add_file(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _blob(directory: str, media_type: str, content: bytes) -> dict[str, object]:
    digest = _digest(content)
    _write(os.path.join(directory, "blobs", "sha256", digest.partition(":")[2]), content)
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def _has_interpreter(program: str) -> bool:
    """Whether the 64-bit little-endian ELF file has a PT_INTERP segment, elf(5): then it wants shared libraries."""
    with open(program, "rb") as file:
        header = file.read(4096)
    start = int.from_bytes(header[32:40], "little")
    size, count = int.from_bytes(header[54:56], "little"), int.from_bytes(header[56:58], "little")
    return any(header[at : at + 4] == b"\x03\0\0\0" for at in range(start, start + size * count, size))


if __name__ == "__main__":
    print(write_layout(*sys.argv[1:3]))
