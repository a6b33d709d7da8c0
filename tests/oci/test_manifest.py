"""What is an image's manifest, and what only looks like one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pyrt.errors import InvalidManifest, Unsupported
from pyrt.oci import limits, media_types
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.oci.document import JsonObject
from pyrt.oci.manifest import Index, Manifest, parse_document
from pyrt.oci.platform import Platform
from tests.support import images

SHA = "sha256:" + "0123456789abcdef" * 4
CONFIG = {"mediaType": media_types.OCI_CONFIG, "digest": SHA, "size": 2}
LAYER = {"mediaType": media_types.OCI_LAYER_GZIP, "digest": SHA, "size": 3}
ENTRY = {"mediaType": media_types.OCI_MANIFEST, "digest": SHA, "size": 4}


def manifest(**fields: Any) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": CONFIG,
        "layers": [LAYER],
        **fields,
    }
    return json.dumps({name: value for name, value in document.items() if value != "absent"}).encode()


def index(**fields: Any) -> bytes:
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [ENTRY], **fields}
    return json.dumps({name: value for name, value in document.items() if value != "absent"}).encode()


@pytest.mark.parametrize("docker", [False, True])
@pytest.mark.parametrize("compression", images.COMPRESSIONS)
def test_image_manifest(compression: str, docker: bool) -> None:
    built = images.image([images.layer(b"a", compression, docker=docker)] * 3, docker=docker)
    parsed = parse_document(built.top.content, built.top.media_type)
    assert isinstance(parsed, Manifest)
    assert parsed.raw == built.top.content
    assert str(parsed.digest) == built.digest
    assert parsed.config.to_json() == built.blobs[1].descriptor()
    assert [layer.to_json() for layer in parsed.layers] == [blob.descriptor() for blob in built.blobs[2:]]


@pytest.mark.parametrize("docker", [False, True])
def test_bn_14_index(docker: bool) -> None:
    parts = [images.image([], platform=platform) for platform in ("linux/amd64", "linux/arm64/v8")]
    built = images.index(parts, docker=docker, attested=True)
    parsed = parse_document(built.top.content, built.top.media_type)
    assert isinstance(parsed, Index)
    assert str(parsed.digest) == built.digest
    assert [str(entry.platform) for entry in parsed.manifests] == ["linux/amd64", "unknown/unknown"] + [
        "linux/arm64",
        "unknown/unknown",
    ]


@pytest.mark.parametrize(
    "content_type", [None, "", "application/json", "text/plain; charset=utf-8", "application/octet-stream"]
)
@pytest.mark.parametrize("written", [True, False])
def test_document_without_a_useful_content_type(content_type: str | None, written: bool) -> None:
    fields = {} if written else {"mediaType": "absent"}
    assert isinstance(parse_document(manifest(**fields), content_type), Manifest)
    assert isinstance(parse_document(index(**fields), content_type), Index)


def test_content_type_with_parameters() -> None:
    parsed = parse_document(manifest(), media_types.OCI_MANIFEST.upper() + " ; charset=utf-8")
    assert parsed.media_type == media_types.OCI_MANIFEST  # type: ignore[union-attr]  # a Manifest, tested above


def test_content_type_stands_in_for_the_media_type() -> None:
    parsed = parse_document(manifest(mediaType="absent"), media_types.DOCKER_MANIFEST)
    assert isinstance(parsed, Manifest)
    assert parsed.media_type == media_types.DOCKER_MANIFEST


BAD = [
    (manifest(schemaVersion="absent"), None, "schemaVersion is missing"),
    (manifest(schemaVersion=3), None, "schemaVersion is 3"),
    (manifest(schemaVersion="2"), None, "schemaVersion is a string"),
    (manifest(), media_types.DOCKER_MANIFEST, "was served as"),
    (manifest(), media_types.OCI_INDEX, "was served as"),
    (manifest(), "text/html", "was served as text/html"),
    (manifest(mediaType="absent"), "text/html", "type text/html"),
    (manifest(mediaType="application/x"), None, "type application/x"),
    (manifest(mediaType=media_types.OCI_INDEX), None, "no manifests"),
    (manifest(mediaType="absent"), media_types.OCI_INDEX, "no manifests"),
    (index(mediaType=media_types.OCI_MANIFEST), None, "has manifests"),
    (index(mediaType="absent"), media_types.OCI_MANIFEST, "has manifests"),
    (manifest(manifests=[]), None, "both an index and an image"),
    (manifest(manifests=None), None, "both an index and an image"),
    (index(layers=[]), None, "both an index and an image"),
    (index(config=CONFIG), None, "both an index and an image"),
    (manifest(config="absent"), None, "manifest.config is missing"),
    (manifest(config=[]), None, "manifest.config is a list"),
    (manifest(config={**CONFIG, "digest": "sha256:../../x"}), None, "manifest.config.digest: digest"),
    (manifest(config={**CONFIG, "digest": None}), None, "manifest.config.digest is missing"),
    (manifest(config={**CONFIG, "size": -1}), None, "manifest.config.size is out of range"),
    (manifest(config={**CONFIG, "size": 2**63}), None, "manifest.config.size is out of range"),
    (manifest(config={**CONFIG, "size": "2"}), None, "manifest.config.size is a string"),
    (manifest(config={**CONFIG, "size": None}), None, "manifest.config.size is missing"),
    (manifest(config={**CONFIG, "mediaType": "x"}), None, "not a media type"),
    (manifest(config={**CONFIG, "mediaType": None}), None, "manifest.config.mediaType is missing"),
    (manifest(layers="x"), None, "manifest.layers is a string"),
    (manifest(layers=[LAYER, "x"]), None, "manifest.layers[1] is a string"),
    (manifest(layers=[LAYER, {**LAYER, "digest": "md5:" + "0" * 32}]), None, "manifest.layers[1].digest"),
    (manifest(layers=[{**LAYER, "mediaType": "application/vnd.in-toto+json"}]), None, "layer 1 is of type"),
    (manifest(layers=[LAYER] * (limits.LAYERS + 1)), None, "501 layers"),
    (manifest(layers=[{**LAYER, "urls": "http://x"}]), None, "urls is a string"),
    (manifest(layers=[{**LAYER, "annotations": {"a": 1}}]), None, "annotations.a is a number"),
    (index(manifests={}), None, "manifest.manifests is an object"),
    (index(manifests=[{**ENTRY, "platform": "linux"}]), None, "platform is a string"),
    (index(manifests=[{**ENTRY, "platform": {"os": 1}}]), None, "platform.os is a number"),
    (index(manifests=[{**ENTRY, "digest": SHA.upper()}]), None, "manifests[0].digest"),
]


@pytest.mark.parametrize(("raw", "content_type", "why"), BAD, ids=range(len(BAD)))
def test_im_01_im_14_bad_document(raw: bytes, content_type: str | None, why: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        parse_document(raw, content_type)
    assert why in str(caught.value)


def test_im_06_too_many_index_entries() -> None:
    raw = json.dumps({"schemaVersion": 2, "manifests": [{"digest": SHA}] * (limits.INDEX_ENTRIES + 1)}).encode()
    with pytest.raises(InvalidManifest, match="entries, more than"):
        parse_document(raw, None)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"config": {**CONFIG, "mediaType": "application/vnd.cncf.helm.config.v1+json"}}, "helm.config"),
        ({"config": {**CONFIG, "mediaType": media_types.OCI_EMPTY}, "artifactType": "application/x-sbom"}, "x-sbom"),
        ({"config": {**CONFIG, "mediaType": media_types.OCI_EMPTY}}, "vnd.oci.empty"),
        ({"config": {**CONFIG, "mediaType": media_types.OCI_LAYER}}, "layer.v1.tar"),
    ],
)
def test_im_09_artifact_is_not_an_image(fields: dict[str, object], kind: str) -> None:
    with pytest.raises(InvalidManifest, match=f"not an image: an artifact of type .*{kind}"):
        parse_document(manifest(**fields), None)


@pytest.mark.parametrize("media_type", sorted(media_types.FOREIGN_LAYERS) + [media_types.OCI_LAYER_GZIP + "+encrypted"])
def test_layers_that_are_not_distributed_are_refused_by_name(media_type: str) -> None:
    with pytest.raises(Unsupported, match="layer 2") as caught:
        parse_document(manifest(layers=[LAYER, {**LAYER, "mediaType": media_type}]), None)
    assert media_type in str(caught.value)


@pytest.mark.parametrize("layers", [None, []])
def test_im_14_image_without_layers(layers: object) -> None:
    parsed = parse_document(manifest(layers=layers), None)
    assert isinstance(parsed, Manifest) and parsed.layers == ()


def test_im_14_most_layers() -> None:
    parsed = parse_document(manifest(layers=[LAYER] * limits.LAYERS), None)
    assert isinstance(parsed, Manifest) and len(parsed.layers) == limits.LAYERS


def test_entry_without_a_platform() -> None:
    for platform in (None, {}, {"os": "", "architecture": ""}):
        parsed = parse_document(index(manifests=[{**ENTRY, "platform": platform}]), None)
        assert isinstance(parsed, Index) and parsed.manifests[0].platform is None


def test_built_manifest_is_an_oci_manifest() -> None:
    config = Descriptor(media_type=media_types.OCI_CONFIG, digest=Digest.of(b"{}"), size=2)
    layer = Descriptor(media_type=media_types.OCI_LAYER, digest=Digest.of(b"x"), size=1)
    built = Manifest.build(config, (layer, layer))
    assert parse_document(built.raw, media_types.OCI_MANIFEST) == built
    assert built.descriptor() == Descriptor(
        media_type=media_types.OCI_MANIFEST, digest=Digest.of(built.raw), size=len(built.raw)
    )


def test_manifest_is_not_built_without_sizes() -> None:
    config = Descriptor(media_type=media_types.OCI_CONFIG, digest=Digest.of(b"{}"), size=None)
    with pytest.raises(InvalidManifest, match="size"):
        Manifest.build(config, ())


def read_descriptor(**fields: object) -> Descriptor:
    return Descriptor.from_json(JsonObject("it", {**ENTRY, **fields}))


def test_descriptor_goes_round() -> None:
    fields: dict[str, object] = {
        "urls": ["https://a.example/x"],
        "annotations": {"b": "1", "a": "2"},
        "platform": {"architecture": "arm", "os": "linux", "variant": "v6"},
        "artifactType": "application/x",
    }
    descriptor = read_descriptor(**fields)
    assert descriptor.platform == Platform(os="linux", architecture="arm", variant="v6")
    assert descriptor.annotation("a") == "2" and descriptor.annotation("c") is None
    assert descriptor.to_json() == {**ENTRY, **fields}


def test_im_16_embedded_data_has_to_be_the_content() -> None:
    content = b"content"
    good = {"digest": str(Digest.of(content)), "size": len(content), "data": base64.b64encode(content).decode()}
    assert read_descriptor(**good).size == 7
    for wrong in ({"size": 8}, {"digest": SHA}, {"data": base64.b64encode(b"Content").decode()}):
        with pytest.raises(InvalidManifest, match="does not have the size and digest"):
            read_descriptor(**{**good, **wrong})
    with pytest.raises(InvalidManifest, match="not base64"):
        read_descriptor(**{**good, "data": "%%%"})
