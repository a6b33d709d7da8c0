"""oci: and oci-archive: what other tools write is read, what would leave the layout is not."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyrt.errors import DigestMismatch, ImageError, ImageNotFound, InvalidManifest, SizeMismatch
from pyrt.oci.digest import Digest
from pyrt.oci.image import Image, ImageConfig
from pyrt.oci.manifest import Index, Manifest, parse_document
from pyrt.oci.platform import choose, host
from pyrt.oci.reference import Reference
from pyrt.registry.source import Source
from pyrt.registry.transports import open_source
from tests.support import image_tools, images


def no_registry(reference: Reference) -> Source:
    raise AssertionError(f"a registry was asked for {reference}")


@contextmanager
def opened(text: str, tmp_dir: str | None = None) -> Iterator[Source]:
    source, _ = open_source(text, no_registry, tmp_dir=tmp_dir)
    try:
        yield source
    finally:
        source.close()


def read_image(source: Source) -> Image:
    """The image for this machine, every blob of it read and checked."""
    document = parse_document(*source.manifest(None))
    if isinstance(document, Index):
        document = parse_document(*source.manifest(choose(host(), document.manifests).digest))
    assert isinstance(document, Manifest)
    image = Image(manifest=document, config=ImageConfig.parse(b"".join(source.blob(document.config))))
    for layer in image.layers:
        content = b"".join(source.blob(layer))
        assert len(content) == layer.size
        assert hashlib.sha256(content).hexdigest() == layer.digest.hex
        assert b"".join(source.blob(layer, 1000)) == content[1000:]
    return image


def small(compression: str = "gzip", text: str = "x") -> images.BuiltImage:
    """An image whose layer is a little over one chunk."""
    entry = images.Entry(name="file", content=text.encode() * 300_000)
    return images.image([images.layer(images.tar([entry]), compression)], config={"Cmd": [text]})


@pytest.mark.parametrize("docker", [False, True])
@pytest.mark.parametrize("compression", images.COMPRESSIONS)
def test_layout_of_our_own(tmp_path: Path, compression: str, docker: bool) -> None:
    built = images.busybox(compression, docker=docker)
    images.write_layout(tmp_path, {"a:b": built})
    for text in (f"oci:{tmp_path}", f"oci:{tmp_path}:a:b"):
        with opened(text) as source:
            image = read_image(source)
            assert str(image.digest) == built.digest
            assert image.config.cmd == ("sh",)


def test_layout_with_an_index(tmp_path: Path) -> None:
    parts = [images.busybox(platform=platform) for platform in ("linux/s390x", str(host()), "linux/ppc64le")]
    images.write_layout(tmp_path, {"": images.index(parts, attested=True)})
    with opened(f"oci:{tmp_path}") as source:
        assert str(read_image(source).digest) == parts[1].digest


def test_layout_by_umoci(tmp_path: Path) -> None:
    with opened(f"oci:{image_tools.umoci_layout(tmp_path)}:it") as source:
        assert read_image(source).config.cmd == ("sh",)


@pytest.mark.parametrize("docker", [False, True])
def test_layout_by_buildah(tmp_path: Path, docker: bool) -> None:
    with opened(f"oci:{image_tools.buildah_layout(tmp_path, docker=docker)}") as source:
        assert read_image(source).config.cmd == ("sh",)


@pytest.mark.parametrize("compression", images.COMPRESSIONS)
def test_archive_by_skopeo(tmp_path: Path, compression: str) -> None:
    built = images.busybox(compression)
    archive = image_tools.oci_archive(tmp_path, built, "some:name")
    for text in (f"oci-archive:{archive}", f"oci-archive:{archive}:some:name"):
        with opened(text) as source:
            assert str(read_image(source).id) == built.blobs[1].digest


def test_archive_that_is_compressed_as_a_whole(tmp_path: Path) -> None:
    archive = image_tools.oci_archive(tmp_path, small())
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(archive.read_bytes(), 1))
    with opened(f"oci-archive:{packed}", str(tmp_path)) as source:
        assert read_image(source).config.cmd == ("x",)
    assert sorted(os.listdir(tmp_path)) == ["oci.tar", "packed", "source-layout"]


def test_name_has_to_be_there_and_one(tmp_path: Path) -> None:
    images.write_layout(tmp_path, {"a": small(), "b": small(text="y")})
    with opened(f"oci:{tmp_path}:b") as source:
        assert read_image(source).config.cmd == ("y",)
        assert source.manifest("a")[0] == small().top.content
    with pytest.raises(ImageNotFound, match="holds 2 images: a, b") as caught, opened(f"oci:{tmp_path}"):
        pass
    assert ":REF" in caught.value.hint
    with pytest.raises(ImageNotFound, match="no image is named 'c': there is a, b"), opened(f"oci:{tmp_path}:c"):
        pass


def test_two_images_of_one_name_are_ambiguous(tmp_path: Path) -> None:
    images.write_layout(tmp_path, {"a": small(), "b": small(text="y")})
    index = tmp_path / "index.json"
    index.write_bytes(index.read_bytes().replace(b'name":"b"', b'name":"a"'))
    with pytest.raises(InvalidManifest, match="several images are named 'a'"), opened(f"oci:{tmp_path}:a"):
        pass


def test_empty_layout(tmp_path: Path) -> None:
    images.write_layout(tmp_path, {})
    with pytest.raises(ImageNotFound, match="holds no image"), opened(f"oci:{tmp_path}"):
        pass


@pytest.mark.parametrize("which", ["missing", "file", "empty"])
def test_not_a_layout(tmp_path: Path, which: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageNotFound, match=str(tmp_path / which)), opened(f"oci:{tmp_path / which}"):
        pass


def test_another_version_of_the_layout(tmp_path: Path) -> None:
    images.write_layout(tmp_path, {"a": small()})
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion":"2.0.0"}')
    with pytest.raises(InvalidManifest, match="version '2.0.0'"), opened(f"oci:{tmp_path}"):
        pass


def blob_path(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def test_manifest_with_another_digest_is_refused(tmp_path: Path) -> None:
    built = small()
    images.write_layout(tmp_path, {"a": built})
    path = blob_path(tmp_path, built.digest)
    path.write_bytes(path.read_bytes() + b" ")
    with opened(f"oci:{tmp_path}") as source, pytest.raises(DigestMismatch) as caught:
        source.manifest(None)
    assert caught.value.expected == built.digest


def test_layer_with_another_size_is_refused(tmp_path: Path) -> None:
    built = small()
    images.write_layout(tmp_path, {"a": built})
    with open(blob_path(tmp_path, built.blobs[-1].digest), "ab") as file:
        file.write(b" ")
    with opened(f"oci:{tmp_path}") as source, pytest.raises(SizeMismatch):
        read_image(source)


@pytest.mark.parametrize("kind", ["missing", "symlink", "fifo", "directory"])
def test_im_27_blob_that_is_no_file(tmp_path: Path, kind: str) -> None:
    built = small()
    images.write_layout(tmp_path, {"a": built})
    path = blob_path(tmp_path, built.blobs[-1].digest)
    path.rename(tmp_path / "moved")
    if kind == "symlink":
        path.symlink_to(tmp_path / "moved")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    with opened(f"oci:{tmp_path}") as source, pytest.raises(ImageError):
        read_image(source)


@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
def test_document_that_is_a_symlink_or_huge(tmp_path: Path, name: str) -> None:
    images.write_layout(tmp_path, {"a": small()})
    path = tmp_path / name
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(ImageError), opened(f"oci:{tmp_path}"):
        pass
    path.unlink()
    with path.open("wb") as file:
        file.truncate(5 << 20)
    with pytest.raises(InvalidManifest, match="larger than"), opened(f"oci:{tmp_path}"):
        pass


def test_im_01_digests_of_the_index_are_validated_before_a_path_is_made(tmp_path: Path) -> None:
    images.write_layout(tmp_path / "layout", {"a": small()})
    (tmp_path / "secret").write_text("x")
    index = tmp_path / "layout" / "index.json"
    document = json.loads(index.read_text())
    document["manifests"][0]["digest"] = "sha256:../../../secret"
    index.write_text(json.dumps(document))
    with pytest.raises(InvalidManifest, match=r"manifests\[0\].digest"), opened(f"oci:{tmp_path / 'layout'}"):
        pass


def test_unknown_digest_is_not_found(tmp_path: Path) -> None:
    images.write_layout(tmp_path, {"a": small()})
    with opened(f"oci:{tmp_path}") as source, pytest.raises(ImageNotFound):
        source.manifest(Digest.of(b"nothing"))


def rewrite(archive: Path, target: Path, change: str) -> None:
    """A copy of an oci-archive with one thing wrong."""
    with tarfile.open(archive) as old, tarfile.open(target, "w") as new:
        members = [(info, old.extractfile(info) if info.isreg() else None) for info in old]
        for info, content in members:
            new.addfile(info, content)
        extra = tarfile.TarInfo("extra")
        if change == "duplicate":
            extra = members[-1][0]
            extra.size = 0
        elif change == "absolute":
            extra.name = "/etc/x"
        elif change == "dotdot":
            extra.name = "blobs/../../x"
        elif change == "symlink":
            extra.type, extra.linkname = tarfile.SYMTYPE, "/etc/passwd"
        elif change == "hardlink":
            extra.type, extra.linkname = tarfile.LNKTYPE, "index.json"
        elif change == "fifo":
            extra.type = tarfile.FIFOTYPE
        elif change == "device":
            extra.type, extra.devmajor, extra.devminor = tarfile.CHRTYPE, 1, 3
        new.addfile(extra)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("duplicate", "is in the archive twice"),
        ("absolute", "leaves the archive"),
        ("dotdot", "leaves the archive"),
        ("symlink", "not a plain file"),
        ("hardlink", "not a plain file"),
        ("fifo", "not a plain file"),
        ("device", "not a plain file"),
    ],
)
def test_im_27_archive_with_something_else_than_files(tmp_path: Path, change: str, why: str) -> None:
    archive = image_tools.oci_archive(tmp_path, small())
    rewrite(archive, tmp_path / "bad.tar", change)
    with pytest.raises(InvalidManifest, match=why), opened(f"oci-archive:{tmp_path / 'bad.tar'}"):
        pass


def test_archive_that_is_cut(tmp_path: Path) -> None:
    archive = image_tools.oci_archive(tmp_path, images.busybox())
    with archive.open("rb+") as file:
        file.truncate(archive.stat().st_size // 2)
    with pytest.raises(InvalidManifest, match="ends within|not a tar archive"), opened(f"oci-archive:{archive}"):
        pass


@pytest.mark.parametrize("content", [b"", b"x" * 600, b"\x1f\x8b" + b"x" * 100, b"BZhx" * 9, b"\xfd7zXZ\0" + b"x" * 99])
def test_file_that_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ImageError, match=str(tmp_path / "file")), opened(f"oci-archive:{tmp_path / 'file'}"):
        pass


def test_archive_has_to_be_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ImageError, match="not a regular file"), opened(f"oci-archive:{tmp_path / 'fifo'}"):
        pass
    with pytest.raises(ImageNotFound), opened(f"oci-archive:{tmp_path / 'missing'}"):
        pass


def test_nothing_stays_open(tmp_path: Path) -> None:
    images.write_layout(tmp_path / "layout", {"a": small()})
    archive = image_tools.oci_archive(tmp_path, small())
    before = sorted(os.listdir("/proc/self/fd"))
    for text in (f"oci:{tmp_path / 'layout'}", f"oci-archive:{archive}"):
        for _ in range(20):
            with opened(text) as source:
                read_image(source)
            with pytest.raises(ImageNotFound), opened(f"{text}:nope"):
                pass
    assert sorted(os.listdir("/proc/self/fd")) == before
