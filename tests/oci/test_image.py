"""Image configurations."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyrt.errors import DigestMismatch, InvalidManifest
from pyrt.oci.digest import Digest
from pyrt.oci.image import Image, ImageConfig
from pyrt.oci.manifest import Manifest, parse_document
from pyrt.oci.platform import Platform
from tests.support import images

SHA = "sha256:" + "0123456789abcdef" * 4


def config(**fields: Any) -> bytes:
    document = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [SHA]}, **fields}
    return json.dumps(document).encode()


def test_full_configuration() -> None:
    raw = config(
        created="2023-11-14T22:13:20Z",
        author="somebody",
        architecture="arm64",
        variant="v8",
        config={
            "User": "1000:1000",
            "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
            "Env": ["PATH=/bin", "A=b=c", "EMPTY="],
            "Entrypoint": ["/init"],
            "Cmd": ["sh", "-c", "true"],
            "Volumes": {"/data": {}},
            "WorkingDir": "/srv",
            "Labels": {"b": "1", "a": ""},
            "StopSignal": "SIGQUIT",
            "ArgsEscaped": True,
            "OnBuild": None,
        },
        history=[{"created": "2023-11-14T22:13:20Z", "created_by": "x", "empty_layer": True}, {"comment": "c"}],
    )
    parsed = ImageConfig.parse(raw)
    assert parsed.raw == raw
    assert parsed.digest == Digest.of(raw)
    assert parsed.platform == Platform(os="linux", architecture="arm64")
    assert parsed.user == "1000:1000"
    assert parsed.exposed_ports == ("80/tcp", "53/udp")
    assert parsed.env == ("PATH=/bin", "A=b=c", "EMPTY=")
    assert parsed.entrypoint == ("/init",)
    assert parsed.cmd == ("sh", "-c", "true")
    assert parsed.volumes == ("/data",)
    assert parsed.working_dir == "/srv"
    assert parsed.labels == (("b", "1"), ("a", ""))
    assert parsed.stop_signal == "SIGQUIT"
    assert parsed.diff_ids == (Digest.parse(SHA),)
    assert (parsed.created, parsed.author) == ("2023-11-14T22:13:20Z", "somebody")
    assert [entry.empty_layer for entry in parsed.history] == [True, False]
    assert parsed.history[1].comment == "c"


@pytest.mark.parametrize("fields", [{}, {"config": None}, {"config": {}}])
def test_bare_configuration(fields: dict[str, object]) -> None:
    parsed = ImageConfig.parse(config(**fields))
    assert parsed.entrypoint is None and parsed.cmd is None
    assert not any((parsed.env, parsed.volumes, parsed.labels, parsed.exposed_ports, parsed.history))
    assert parsed.user == parsed.working_dir == parsed.stop_signal == parsed.created == ""


def test_nulls_where_go_writes_them() -> None:
    names = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal")
    raw = config(config=dict.fromkeys(names), history=None, created=None, variant=None)
    assert ImageConfig.parse(raw).cmd is None
    assert ImageConfig.parse(config(rootfs={"type": "layers", "diff_ids": None})).diff_ids == ()


def test_missing_system_is_linux() -> None:
    assert ImageConfig.parse(config(os="")).platform.os == "linux"


BAD: list[tuple[dict[str, object], str]] = [
    ({"config": []}, "config is a list"),
    ({"config": {"Env": {"A": "b"}}}, "config.Env is an object, it has to be a list"),
    ({"config": {"Env": "A=b"}}, "config.Env is a string"),
    ({"config": {"Env": ["A=b", 1]}}, "config.Env[1] is a number"),
    ({"config": {"Env": ["A=b", None]}}, "config.Env[1] is missing"),
    ({"config": {"Env": ["A=b\0C=d"]}}, "config.Env has a NUL"),
    ({"config": {"Cmd": "sh"}}, "config.Cmd is a string"),
    ({"config": {"Cmd": ["a\0b"]}}, "config.Cmd has a NUL"),
    ({"config": {"Entrypoint": "sh"}}, "config.Entrypoint is a string"),
    ({"config": {"Entrypoint": [["sh"]]}}, "config.Entrypoint[0] is a list"),
    ({"config": {"User": 0}}, "config.User is a number"),
    ({"config": {"User": "a\0"}}, "config.User has a NUL"),
    ({"config": {"WorkingDir": ["/"]}}, "config.WorkingDir is a list"),
    ({"config": {"Volumes": ["/data"]}}, "config.Volumes is a list"),
    ({"config": {"Volumes": {"/data": "x"}}}, "config.Volumes./data is a string"),
    ({"config": {"Labels": ["a=b"]}}, "config.Labels is a list"),
    ({"config": {"Labels": {"a": 1}}}, "config.Labels.a is a number"),
    ({"config": {"ExposedPorts": [80]}}, "config.ExposedPorts is a list"),
    ({"config": {"StopSignal": 9}}, "config.StopSignal is a number"),
    ({"architecture": 1}, "architecture is a number"),
    ({"os": []}, "os is a list"),
    ({"created": 1}, "created is a number"),
    ({"history": {}}, "history is an object"),
    ({"history": [{"empty_layer": "no"}]}, "history[0].empty_layer is a string"),
    ({"rootfs": None}, "rootfs is missing"),
    ({"rootfs": {"type": "foo", "diff_ids": []}}, "rootfs.type is 'foo', it has to be 'layers'"),
    ({"rootfs": {"diff_ids": []}}, "rootfs.type is missing"),
    ({"rootfs": {"type": "layers", "diff_ids": SHA}}, "rootfs.diff_ids is a string"),
    ({"rootfs": {"type": "layers", "diff_ids": ["sha256:../x"]}}, "rootfs.diff_ids: digest"),
]


@pytest.mark.parametrize(("fields", "why"), BAD, ids=[why for _, why in BAD])
def test_im_13_im_19_bad_configuration(fields: dict[str, object], why: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        ImageConfig.parse(config(**fields))
    assert why in str(caught.value)
    assert str(caught.value).startswith("image configuration")


def parts(built: images.BuiltImage) -> tuple[Manifest, ImageConfig]:
    manifest = parse_document(built.top.content, built.top.media_type)
    assert isinstance(manifest, Manifest)
    return manifest, ImageConfig.parse(built.blobs[1].content)


def test_image_is_manifest_and_configuration() -> None:
    built = images.image([images.layer(b"a"), images.layer(b"b", "zstd")])
    manifest, parsed = parts(built)
    image = Image(manifest=manifest, config=parsed)
    assert str(image.digest) == built.digest
    assert str(image.id) == built.blobs[1].digest
    assert image.layers == manifest.layers
    assert [str(diff_id) for diff_id in image.diff_ids] == [images.sha256(b"a"), images.sha256(b"b")]


@pytest.mark.parametrize("diff_ids", [[], [SHA], [SHA] * 3])
def test_im_12_diff_ids_are_as_many_as_layers(diff_ids: list[str]) -> None:
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    manifest, parsed = parts(images.image([images.layer(b"a")] * 2, more={"rootfs": rootfs}))
    with pytest.raises(InvalidManifest, match=f"2 layers, the image configuration {len(diff_ids)} diff ids"):
        Image(manifest=manifest, config=parsed)


def test_configuration_of_another_image_is_refused() -> None:
    manifest, _ = parts(images.image([images.layer(b"a")]))
    _, other = parts(images.image([images.layer(b"a")], config={"Cmd": ["other"]}))
    with pytest.raises(DigestMismatch) as caught:
        Image(manifest=manifest, config=other)
    assert caught.value.expected == str(manifest.config.digest)
    assert caught.value.actual == str(other.digest)
