"""Schema 1 manifests, made here and by a real registry."""

from __future__ import annotations

import base64
import json
import subprocess
import tracemalloc
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from pyrt.errors import InvalidManifest
from pyrt.oci import media_types
from pyrt.oci.digest import Digest
from pyrt.oci.image import ImageConfig
from pyrt.oci.manifest import parse_document
from pyrt.oci.schema1 import EMPTY_LAYER, Schema1
from tests.support import images, schema1
from tests.support.parts import need
from tests.support.registries import running_registry

LAYERS = [images.layer(bytes([65 + number]) * 10) for number in range(3)]
DIFF_IDS = [Digest.parse(layer.diff_id) for layer in LAYERS]


def plain(**more: object) -> bytes:
    return schema1.unsigned(schema1.steps(LAYERS, empty_after=(0, 2)), **more)


@pytest.mark.parametrize(
    "content_type", [media_types.SCHEMA1, media_types.SCHEMA1_SIGNED, "application/json", "", None]
)
def test_layers_are_oldest_first_without_the_empty_ones(content_type: str | None) -> None:
    parsed = parse_document(plain(), content_type)
    assert isinstance(parsed, Schema1)
    assert [str(digest) for digest in parsed.layers] == [layer.digest for layer in LAYERS]
    assert [descriptor.digest for descriptor in parsed.layer_descriptors()] == list(parsed.layers)
    assert {descriptor.size for descriptor in parsed.layer_descriptors()} == {None}
    assert (parsed.name, parsed.tag, parsed.architecture) == ("library/old", "latest", "amd64")


def test_configuration_is_the_newest_steps() -> None:
    document = json.loads(Schema1.parse(plain()).config(DIFF_IDS))
    assert document["config"] == {"Env": [images.PATH, "A=b"], "Cmd": ["sh"]}
    assert (document["architecture"], document["os"], document["author"]) == ("amd64", "linux", "somebody")
    assert document["created"] == "2015-01-01T00:00:04Z"
    assert document["rootfs"] == {"type": "layers", "diff_ids": [layer.diff_id for layer in LAYERS]}
    assert not {"id", "parent", "throwaway"} & document.keys()
    history = document["history"]
    assert [entry.get("empty_layer", False) for entry in history] == [False, True, False, False, True]
    assert history[0] == {"created": "2015-01-01T00:00:00Z", "created_by": "/bin/sh -c add 0"}
    assert history[1]["created_by"] == "/bin/sh -c #(nop) ENV 0"


def test_configuration_is_an_image_configuration() -> None:
    parsed = ImageConfig.parse(Schema1.parse(plain()).config(DIFF_IDS))
    assert parsed.env == (images.PATH, "A=b")
    assert parsed.diff_ids == tuple(DIFF_IDS)
    assert len(parsed.history) == 5


def test_configuration_needs_a_diff_id_for_every_layer() -> None:
    with pytest.raises(InvalidManifest, match="2 diff ids for 3 layers"):
        Schema1.parse(plain()).config(DIFF_IDS[:2])


def test_architecture_of_the_manifest_stands_in() -> None:
    made = schema1.steps(LAYERS)
    del made[-1][1]["architecture"], made[-1][1]["os"]
    raw = schema1.unsigned(made, architecture="arm")
    document = json.loads(Schema1.parse(raw).config(DIFF_IDS))
    assert (document["architecture"], document["os"]) == ("arm", "linux")


def test_well_known_empty_blob_is_dropped_even_if_the_step_does_not_say_so() -> None:
    made = schema1.steps(LAYERS, empty_after=(1,))
    del made[2][1]["throwaway"]
    assert str(EMPTY_LAYER) == schema1.EMPTY
    assert len(Schema1.parse(schema1.unsigned(made)).layers) == 3


def test_repeated_step_of_old_daemons_counts_once() -> None:
    made = schema1.steps(LAYERS)
    made.insert(1, made[1])
    assert len(Schema1.parse(schema1.unsigned(made)).layers) == 3


@pytest.mark.parametrize("count", [1, 2])
def test_digest_of_a_signed_manifest_is_of_its_payload(count: int) -> None:
    raw = schema1.signed(plain(), count=count)
    parsed = parse_document(raw, media_types.SCHEMA1_SIGNED)
    assert isinstance(parsed, Schema1)
    assert parsed.raw == raw
    assert parsed.digest == Digest.of(plain())
    assert parsed.layers == Schema1.parse(plain()).layers


def test_im_06_a_flood_of_signatures_costs_little() -> None:
    """Each may claim another part of the document for its payload: all of them kept were gigabytes."""
    payload = plain()
    block = {"header": {"alg": "ES256"}, "signature": "AA"}
    headers = ({"formatLength": len(payload) - 2 - n, "formatTail": "AA"} for n in range(1_000))
    blocks = [{**block, "protected": base64.urlsafe_b64encode(json.dumps(one).encode()).decode()} for one in headers]
    raw = payload[:-2] + b',"signatures":' + json.dumps(blocks).encode() + b"}"
    tracemalloc.start()
    try:
        with pytest.raises(InvalidManifest, match="1000 signatures, more than 16"):
            Schema1.parse(raw)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_only_the_signed_part_counts() -> None:
    """What stands behind the payload is not covered by the digest."""
    payload = plain()
    forged = schema1.signed(payload)[:-2] + b',\n   "tag": "forged"\n}'
    with pytest.raises(InvalidManifest, match="duplicate name"):
        Schema1.parse(forged)
    nameless = json.loads(payload)
    del nameless["name"]
    payload = json.dumps(nameless, indent=3).encode()
    forged = schema1.signed(payload)[:-2] + b',\n   "name": "forged"\n}'
    assert Schema1.parse(forged).name == ""


def broken(change: Any) -> bytes:
    made = schema1.steps(LAYERS)
    change(made)
    return schema1.unsigned(made)


BAD = [
    (plain(fsLayers=[]), "0 layers and 5 history"),
    (plain(history=None), "5 layers and 0 history"),
    (plain(fsLayers=[], history=[]), "0 layers"),
    (plain(fsLayers=[{"blobSum": "sha256:../../x"}] * 5), "blobSum: digest"),
    (plain(fsLayers=["x"] * 5), "fsLayers[0] is a string"),
    (plain(history=[{}] * 5), "v1Compatibility is missing"),
    (plain(history=[{"v1Compatibility": "{"}] * 5), "not valid JSON"),
    (plain(history=[{"v1Compatibility": '{"id":"a","id":"a"}'}] * 5), "duplicate name"),
    (plain(history=[{"v1Compatibility": "{}"}] * 5), "id is missing"),
    (plain(history=[{"v1Compatibility": '{"id":"../x"}'}] * 5), "id is not 64"),
    (broken(lambda made: made[1][1].update(parent="f" * 64)), "parent is not the id"),
    (broken(lambda made: made[0][1].update(parent="f" * 64)), "the oldest layer has a parent"),
    (broken(lambda made: made[0][1].update(throwaway="yes")), "throwaway is a string"),
    (plain(name=1), "name is a number"),
    (schema1.signed(plain(), count=0), "signatures are missing"),
    (schema1.signed(plain(), header={"formatLength": 0}), "formatLength is out of range"),
    (schema1.signed(plain(), header={"formatLength": 10**9}), "formatLength is out of range"),
    (schema1.signed(plain(), header={"formatLength": None}), "formatLength is missing"),
    (schema1.signed(plain(), header={"formatLength": 10}), "not valid JSON"),
    (schema1.signed(plain(), header={"formatTail": "%"}), "not base64url"),
    (schema1.signed(plain(), header={"formatTail": "e30"}), "not valid JSON"),
    (plain(signatures="x"), "signatures is a string"),
    (plain(signatures=[{}]), "signatures[0].header is missing"),
    (plain(signatures=[{"header": {"alg": "x"}, "signature": "AA", "protected": "AA"}]), "not valid JSON"),
]


@pytest.mark.parametrize(("raw", "why"), BAD, ids=range(len(BAD)))
def test_im_18_bad_manifest(raw: bytes, why: str) -> None:
    with pytest.raises(InvalidManifest) as caught:
        parse_document(raw, media_types.SCHEMA1_SIGNED)
    assert why in str(caught.value)


def test_im_18_schema1_that_is_served_as_something_else() -> None:
    with pytest.raises(InvalidManifest, match="schema 1 manifest that was served as"):
        parse_document(plain(), media_types.OCI_MANIFEST)


@pytest.mark.parametrize("empty_step", [False, True])
def test_what_a_real_registry_converts(tmp_path: Path, empty_step: bool) -> None:
    need("skopeo")
    history: list[dict[str, object]] = [{"created_by": f"add {number}"} for number in range(3)]
    steps = [*history, {"created_by": "ENV", "empty_layer": True}] if empty_step else history
    built = images.image(LAYERS, platform="linux/amd64", docker=False, more={"history": steps})
    images.write_layout(tmp_path / "layout", {"latest": built})
    with running_registry(tmp_path / "registry") as registry:
        registry.push(tmp_path / "layout", "old:latest", "--format=v2s2")
        request = urllib.request.Request(
            f"http://{registry.host}/v2/old/manifests/latest", headers={"Accept": media_types.SCHEMA1}
        )
        with urllib.request.urlopen(request) as answer:
            raw, kind = answer.read(), answer.headers["Content-Type"]
            said = answer.headers["Docker-Content-Digest"]
        want = (
            subprocess.run(["skopeo", "manifest-digest", "/dev/stdin"], input=raw, capture_output=True, check=True)
            .stdout.decode()
            .strip()
        )
    assert kind == media_types.SCHEMA1_SIGNED
    parsed = parse_document(raw, kind)
    assert isinstance(parsed, Schema1)
    assert str(parsed.digest) == said == want
    assert [str(digest) for digest in parsed.layers] == [layer.digest for layer in LAYERS]
    config = ImageConfig.parse(parsed.config(DIFF_IDS))
    assert config.cmd == ("sh",)
    assert [entry.empty_layer for entry in config.history] == [False] * 3 + [True] * empty_step
    says = [entry.created_by for entry in config.history]
    assert says[:-1] == [step["created_by"] for step in steps[:-1]]  # the registry forgets the newest one's
