"""docker-archive: by skopeo, by podman, and by hand in the forms that docker save has had. IM-27, IM-28."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pyrt.errors import ImageNotFound, InvalidManifest, LayerError, SizeMismatch, StoreError
from pyrt.oci import media_types
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.oci.manifest import Manifest, parse_document
from tests.registry.test_archives_layout import opened, read_image, small
from tests.support import image_tools, images

LAYERS = [images.tar([images.Entry(name=f"file{number}", content=b"x" * number * 1000)]) for number in range(3)]
CONFIG = images.image([images.layer(layer) for layer in LAYERS]).blobs[1].content
CONFIG_NAME = images.sha256(CONFIG).partition(":")[2] + ".json"


def write(path: Path, members: Sequence[tuple[str, bytes | str]]) -> Path:
    """A tar of files; a member whose content is text is a symbolic link to it, "=name" a hard link."""
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.type = tarfile.LNKTYPE if content.startswith("=") else tarfile.SYMTYPE
                info.linkname = content.removeprefix("=")
                archive.addfile(info)
    return path


def manifest(*images_: Mapping[str, object]) -> tuple[str, bytes]:
    return ("manifest.json", json.dumps(images_).encode())


def one(**fields: object) -> dict[str, object]:
    return {"Config": CONFIG_NAME, "RepoTags": ["old:latest"], "Layers": [f"{n}/layer.tar" for n in range(3)], **fields}


FILES: list[tuple[str, bytes | str]] = [
    (CONFIG_NAME, CONFIG),
    *((f"{number}/layer.tar", layer) for number, layer in enumerate(LAYERS)),
]


def test_bn_14_archive_by_skopeo(tmp_path: Path) -> None:
    built = images.busybox()
    archive = image_tools.docker_archive(tmp_path, built)
    for name in ("", ":busybox", ":docker.io/library/busybox:latest", ":@0"):
        with opened(f"docker-archive:{archive}{name}") as source:
            image = read_image(source)
            assert str(image.id) == built.blobs[1].digest
            assert image.config.cmd == ("sh",)
            assert [str(layer.digest) for layer in image.layers] == [built.blobs[2].diff_id]


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_bn_14_archive_by_podman(tmp_path: Path, form: str) -> None:
    archive = image_tools.docker_archive(tmp_path, images.busybox())
    target = image_tools.podman_save(archive, tmp_path / "saved.tar", form)
    with opened(f"{form}:{target}") as source:
        assert read_image(source).config.cmd == ("sh",)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, images.zstd_compress])
def test_archive_that_is_compressed_as_a_whole(tmp_path: Path, pack: Any) -> None:
    plain = write(tmp_path / "plain.tar", [*FILES, manifest(one())])
    packed = tmp_path / "packed.tar"
    packed.write_bytes(pack(plain.read_bytes()))
    with opened(f"docker-archive:{packed}", str(tmp_path)) as source:
        assert len(read_image(source).layers) == 3
    packed.write_bytes(packed.read_bytes()[:-40])
    with pytest.raises(InvalidManifest), opened(f"docker-archive:{packed}", str(tmp_path)):
        pass
    assert sorted(os.listdir(tmp_path)) == ["packed.tar", "plain.tar"]


def test_archive_that_expands_beyond_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyrt.oci.limits.EXPANSION_GRACE_BYTES", 1 << 20)
    packed = tmp_path / "packed.tar"
    packed.write_bytes(gzip.compress(bytes(30 << 20)))
    with pytest.raises(InvalidManifest, match="decompresses to more than"), opened(f"docker-archive:{packed}"):
        pass


def test_xz_archive_that_wants_too_much_memory(tmp_path: Path) -> None:
    """The header's dictionary size (xz-file-format, 5.3.1) is patched: an encoder would need the 512 MiB itself."""
    small_one = lzma.compress(b"x" * 100, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 4096}])
    huge = bytearray(small_one)
    assert huge[12:17] == b"\x02\x00\x21\x01\x00"
    huge[16] = 34
    huge[20:24] = zlib.crc32(bytes(huge[12:20])).to_bytes(4, "little")
    packed = tmp_path / "packed.tar"
    for content, why in ((bytes(huge), "Memory usage limit"), (small_one * 2, "more than one stream")):
        packed.write_bytes(content)
        with pytest.raises(InvalidManifest, match=why), opened(f"docker-archive:{packed}"):
            pass


def test_no_room_to_decompress(tmp_path: Path) -> None:
    packed = tmp_path / "packed.tar"
    packed.write_bytes(gzip.compress(b"x" * 1000))
    missing = str(tmp_path / "missing")
    with pytest.raises(StoreError, match="no temporary file"), opened(f"docker-archive:{packed}", missing):
        pass


def test_old_form_with_links_between_layers(tmp_path: Path) -> None:
    """docker save wrote a layer that two images share once, and links to it."""
    files: list[tuple[str, bytes | str]] = [
        (CONFIG_NAME, CONFIG),
        ("0/layer.tar", "../shared/layer.tar"),
        ("1/layer.tar", "=./1/real.tar"),
        ("1/real.tar", LAYERS[1]),
        ("2/layer.tar", LAYERS[2]),
        ("shared/layer.tar", LAYERS[0]),
    ]
    with opened(f"docker-archive:{write(tmp_path / 'a.tar', [*files, manifest(one())])}") as source:
        image = read_image(source)
    assert [str(layer.digest) for layer in image.layers] == [images.sha256(layer) for layer in LAYERS]


def test_new_form_with_compressed_layers(tmp_path: Path) -> None:
    packed = [gzip.compress(LAYERS[0]), images.zstd_compress(LAYERS[1]), LAYERS[2]]
    names = [f"blobs/sha256/{images.sha256(layer)[7:]}" for layer in packed]
    config = f"blobs/sha256/{images.sha256(CONFIG)[7:]}"
    image = one(Config=config, Layers=names)
    files = [("oci-layout", b"{}"), (f"./{config}", CONFIG), *zip(names, packed, strict=True), manifest(image)]
    with opened(f"docker-archive:{write(tmp_path / 'a.tar', files)}") as source:
        found = read_image(source)
    assert [layer.media_type for layer in found.layers] == [
        media_types.OCI_LAYER_GZIP,
        media_types.OCI_LAYER_ZSTD,
        media_types.OCI_LAYER,
    ]
    assert [str(layer.digest) for layer in found.layers] == [images.sha256(layer) for layer in packed]


def test_im_15_repeated_layer(tmp_path: Path) -> None:
    config = images.image([images.layer(LAYERS[1])] * 3).blobs[1].content
    files = [("config", config), ("l", LAYERS[1]), manifest(one(Config="config", Layers=["l", "l", "l"]))]
    with opened(f"docker-archive:{write(tmp_path / 'a.tar', files)}") as source:
        assert len(set(read_image(source).layers)) == 1


def test_several_images(tmp_path: Path) -> None:
    other = images.image([images.layer(LAYERS[0])], config={"Cmd": ["other"]}).blobs[1].content
    second = {"Config": "other.json", "RepoTags": ["r.io/a/b:1", "r.io/a/b:2"], "Layers": ["0/layer.tar"]}
    nameless = {"Config": "other.json", "RepoTags": None, "Layers": ["0/layer.tar"]}
    archive = write(tmp_path / "a.tar", [*FILES, ("other.json", other), manifest(one(), second, nameless)])
    for name, layers in (("old", 3), ("docker.io/library/old:latest", 3), ("r.io/a/b:2", 1), ("@0", 3), ("@2", 1)):
        with opened(f"docker-archive:{archive}:{name}") as source:
            assert len(read_image(source).layers) == layers
            assert source.names == ("old:latest", "r.io/a/b:1", "r.io/a/b:2")  # type: ignore[attr-defined]
    said = "holds 3 images: old:latest, r.io/a/b:1"
    with pytest.raises(ImageNotFound, match=said) as caught, opened(f"docker-archive:{archive}"):
        pass
    assert ":@0" in caught.value.hint
    for name in ("new", "r.io/a/b", "@3", "@-1", "@x", "@99999999999"):
        with pytest.raises(ImageNotFound), opened(f"docker-archive:{archive}:{name}"):
            pass


def test_only_its_own_manifest_and_blobs(tmp_path: Path) -> None:
    archive = write(tmp_path / "a.tar", [*FILES, ("extra", b"x"), manifest(one())])
    with opened(f"docker-archive:{archive}") as source:
        raw, media_type = source.manifest(None)
        parsed = parse_document(raw, media_type)
        assert isinstance(parsed, Manifest)
        assert source.manifest(parsed.digest) == (raw, media_type)
        for which in ("latest", Digest.of(b"x")):
            with pytest.raises(ImageNotFound):
                source.manifest(which)
        with pytest.raises(ImageNotFound):
            source.blob(Descriptor(media_type="a/b", digest=Digest.of(b"x"), size=1))
        with pytest.raises(SizeMismatch):
            source.blob(Descriptor(media_type="a/b", digest=parsed.layers[0].digest, size=1))


BAD = [
    ([manifest(one(Config="../../etc/shadow")), *FILES], ImageNotFound, "no '../../etc/shadow' in the archive"),
    ([manifest(one(Config="/etc/passwd")), *FILES], ImageNotFound, "no '/etc/passwd'"),
    ([manifest(one(Layers=["/etc/passwd"] * 3)), *FILES], ImageNotFound, "no '/etc/passwd'"),
    ([manifest(one(Layers=["missing"] * 3)), *FILES], ImageNotFound, "no 'missing'"),
    ([manifest(one(Layers=["0/layer.tar"])), *FILES], InvalidManifest, "1 layers in manifest.json, 3 diff ids"),
    ([manifest(one(Layers=["0/layer.tar"] * 501)), *FILES], InvalidManifest, "501 layers"),
    ([manifest(one(Layers="x")), *FILES], InvalidManifest, "Layers is a string"),
    ([manifest(one(Config=None)), *FILES], InvalidManifest, "Config is missing"),
    ([manifest(one(RepoTags=[1])), *FILES], InvalidManifest, "RepoTags[0] is a number"),
    ([manifest(), *FILES], ImageNotFound, "holds 0 images"),
    ([("manifest.json", b"{}"), *FILES], InvalidManifest, "is an object, it has to be a list"),
    ([("manifest.json", b"[1]"), *FILES], InvalidManifest, "manifest.json[0] is a number"),
    ([("manifest.json", b"[{}"), *FILES], InvalidManifest, "not valid JSON"),
    ([("manifest.json", b"[" + b" " * (1 << 20) + b"]"), *FILES], InvalidManifest, "larger than"),
    ([("manifest.json", "/etc/passwd"), *FILES], InvalidManifest, "leaves the archive"),
    ([*FILES], ImageNotFound, "it has no manifest.json"),
    ([manifest(one()), *FILES, FILES[1]], InvalidManifest, "is in the archive twice"),
    ([manifest(one()), *FILES, ("manifest.json", b"[]")], InvalidManifest, "is in the archive twice"),
    ([manifest(one()), *FILES, ("./0//layer.tar", b"[]")], InvalidManifest, "is in the archive twice"),
    ([manifest(one()), *FILES, ("/x", b"")], InvalidManifest, "leaves the archive"),
    ([manifest(one()), *FILES, ("a/../../x", b"")], InvalidManifest, "leaves the archive"),
    ([manifest(one()), *FILES, ("x", "../../etc/passwd")], InvalidManifest, "leaves the archive"),
    ([manifest(one()), *FILES, ("x", "=../etc/passwd")], InvalidManifest, "leaves the archive"),
    ([manifest(one(Config="a")), *FILES, ("a", "b"), ("b", "a")], InvalidManifest, "too many links"),
    ([manifest(one(Config="a")), *FILES, ("a", "nowhere")], ImageNotFound, "no 'nowhere'"),
    ([manifest(one(Config="a")), *FILES, ("a", b"[]")], InvalidManifest, "image configuration is a list"),
]


@pytest.mark.parametrize(("members", "error", "why"), BAD, ids=[why for _, _, why in BAD])
def test_im_27_bad_archive(tmp_path: Path, members: Any, error: type[Exception], why: str) -> None:
    archive = write(tmp_path / "a.tar", members)
    with pytest.raises(error) as caught, opened(f"docker-archive:{archive}"):
        pass
    assert why in str(caught.value)
    assert not isinstance(caught.value, LayerError)


def test_im_27_member_that_is_a_fifo(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.type = tarfile.FIFOTYPE
        tar.addfile(info)
    with pytest.raises(InvalidManifest, match="not a plain file"), opened(f"docker-archive:{archive}"):
        pass


def test_archive_of_the_other_kind_is_pointed_out(tmp_path: Path) -> None:
    archive = image_tools.oci_archive(tmp_path, small())
    with pytest.raises(ImageNotFound) as caught, opened(f"docker-archive:{archive}"):
        pass
    assert "oci-archive:FILE" in caught.value.hint
    write(tmp_path / "a.tar", [manifest(one()), *FILES])
    with pytest.raises(ImageNotFound) as caught, opened(f"oci-archive:{tmp_path / 'a.tar'}"):
        pass
    assert "docker-archive:FILE" in caught.value.hint


def test_headers_that_walk_back_end(tmp_path: Path) -> None:
    """Old versions of tarfile loop for ever on a negative size (CVE-2025-8194)."""
    info = tarfile.TarInfo("folder")
    info.type = tarfile.DIRTYPE
    header = bytearray(info.tobuf())
    header[124:136] = (-512 & (1 << 96) - 1).to_bytes(12, "big")
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:]) + 8 * 32)
    (tmp_path / "a.tar").write_bytes(bytes(header) + b"\0" * 1024)
    with pytest.raises((InvalidManifest, ImageNotFound)), opened(f"docker-archive:{tmp_path / 'a.tar'}"):
        pass


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyrt.oci.limits.ARCHIVE_MEMBERS", 5)
    files = [*FILES, ("a", b""), manifest(one())]
    archive = write(tmp_path / "a.tar", files)
    with pytest.raises(InvalidManifest, match="more than 5 files"), opened(f"docker-archive:{archive}"):
        pass
