"""A layer of the distribution that the tests run on: its packages in a new root, made by mmdebstrap."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pyrt.oci import media_types
from pyrt.oci.platform import host
from tests.support import images
from tests.support.parts import need


def make_layer(path: Path, *packages: str, options: Iterable[str] = ()) -> None:
    """An uncompressed layer with the essential packages and these, from where this machine gets its own. What apt has been
    told here about servers is told there too. ``options`` are mmdebstrap's."""
    need("mmdebstrap")
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    lists = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*.[ls][io][su][tr]*")]
    sources = [str(file) for file in lists if file.suffix in (".list", ".sources") and file.exists() and file.stat().st_size]
    words = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}", *options]
    with tempfile.TemporaryDirectory() as directory:
        servers = Path(directory, "99servers")
        servers.write_text(_apt_servers())
        words.append(f"--customize-hook=copy-in {servers} /etc/apt/apt.conf.d")
        subprocess.run([*words, release["VERSION_CODENAME"].strip('"'), str(path), *sources], check=True)


def _apt_servers() -> str:
    """This machine's apt configuration as far as it is about servers: apt.conf(5)."""
    if not shutil.which("apt-config"):
        return ""
    lines = subprocess.run(["apt-config", "dump", "Acquire"], check=True, capture_output=True, text=True).stdout.splitlines()
    return "".join(f"{line}\n" for line in lines if line.startswith(("Acquire::http", "Acquire::Check-")))


def make_layout(layer: Path, directory: Path, name: str) -> None:
    """An OCI image layout of one image whose only layer is that file, which is moved there."""
    with layer.open("rb") as file:
        hasher = hashlib.sha256()
        while chunk := file.read(1 << 20):
            hasher.update(chunk)
    digest, size = f"sha256:{hasher.hexdigest()}", layer.stat().st_size
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    layer.rename(blobs / hasher.hexdigest())

    def blob(media_type: str, document: object) -> dict[str, object]:
        content = json.dumps(document).encode()
        of_content = hashlib.sha256(content).hexdigest()
        (blobs / of_content).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{of_content}", "size": len(content)}

    ours = host()
    config = blob(
        media_types.OCI_CONFIG,
        {
            "os": ours.os,
            "architecture": ours.architecture,
            "config": {"Env": [images.PATH]},
            "rootfs": {"type": "layers", "diff_ids": [digest]},
        },
    )
    layers = [{"mediaType": media_types.OCI_LAYER, "digest": digest, "size": size}]
    manifest = blob(media_types.OCI_MANIFEST, {"schemaVersion": 2, "config": config, "layers": layers})
    index = {"schemaVersion": 2, "manifests": [{**manifest, "annotations": {images.REF_NAME: name}}]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
