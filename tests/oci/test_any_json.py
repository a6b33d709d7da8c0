"""Whatever a JSON document holds, the parsers give a value or one of our errors."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from pyrt.errors import InvalidManifest, PlatformNotFound, Unsupported
from pyrt.oci import media_types
from pyrt.oci.digest import Digest
from pyrt.oci.image import ImageConfig
from pyrt.oci.manifest import Index, Manifest, parse_document
from pyrt.oci.platform import choose, host
from tests.support import schema1

SHA = "sha256:" + "0" * 64
NAMES = [
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "manifests",
    "digest",
    "size",
    "platform",
    "os",
    "architecture",
    "variant",
    "annotations",
    "urls",
    "data",
    "fsLayers",
    "blobSum",
    "history",
    "v1Compatibility",
    "signatures",
    "header",
    "protected",
    "signature",
    "id",
    "parent",
    "throwaway",
    "name",
    "tag",
    "rootfs",
    "diff_ids",
    "type",
    "Env",
    "Cmd",
    "Entrypoint",
    "User",
    "Volumes",
    "Labels",
    "WorkingDir",
    "created",
    "empty_layer",
    "artifactType",
]
TYPES = sorted(media_types.LAYERS | media_types.CONFIGS | media_types.INDEXES | media_types.MANIFESTS)
LEAVES = (
    st.sampled_from([None, True, 0, 1, 2, -1, 1.5, "", "x", "layers", "linux", "amd64", SHA, '{"id":"x"}', "a\0b"])
    | st.sampled_from(TYPES)
    | st.text(max_size=3)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=15,
)
GOOD: list[dict[str, object]] = [
    {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": {"mediaType": media_types.OCI_CONFIG, "digest": SHA, "size": 1},
        "layers": [{"mediaType": media_types.OCI_LAYER, "digest": SHA, "size": 1}],
    },
    {
        "schemaVersion": 2,
        "manifests": [{"mediaType": media_types.OCI_MANIFEST, "digest": SHA, "size": 1, "platform": {"os": "linux"}}],
    },
    json.loads(schema1.unsigned([(SHA, {"id": "0" * 64, "config": {"Cmd": ["sh"]}})])),
    {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["A=b"], "Cmd": ["sh"], "Volumes": {"/d": {}}},
        "rootfs": {"type": "layers", "diff_ids": [SHA]},
    },
]


@st.composite
def documents(draw: st.DrawFn) -> object:
    """A good document with one value at any depth replaced, or any other value."""
    document: object = json.loads(json.dumps(draw(st.sampled_from(GOOD))))
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place))) if isinstance(place, list) else []
        if not keys:
            return draw(VALUES)
        key = draw(st.sampled_from(keys))
        below = place[key]  # type: ignore[index]  # a dict or a list, by its keys
        if not isinstance(below, (dict, list)) or not below or draw(st.booleans()):
            place[key] = draw(VALUES)  # type: ignore[index]
            return document
        place = below


@given(documents(), st.sampled_from(["", *TYPES, media_types.SCHEMA1, media_types.SCHEMA1_SIGNED]))
def test_fz_04_manifest(document: object, content_type: str) -> None:
    raw = json.dumps(document).encode()
    try:
        parsed = parse_document(raw, content_type)
    except (InvalidManifest, Unsupported):
        return
    assert parsed.raw == raw
    if isinstance(parsed, Manifest):
        assert all(layer.size is not None for layer in parsed.layers)
    elif isinstance(parsed, Index):
        try:
            assert choose(host(), parsed.manifests) in parsed.manifests
        except PlatformNotFound:
            return
    else:
        diff_ids = [Digest.parse(SHA)] * len(parsed.layers)
        try:
            config = parsed.config(diff_ids)
            assert list(ImageConfig.parse(config).diff_ids) == diff_ids
        except InvalidManifest:
            return


@given(documents())
def test_fz_04_image_configuration(document: object) -> None:
    raw = json.dumps(document).encode()
    try:
        parsed = ImageConfig.parse(raw)
    except InvalidManifest:
        return
    assert parsed.digest == Digest.of(raw)
    assert all(isinstance(text, str) for text in (*parsed.env, *(parsed.cmd or ()), *parsed.volumes))
