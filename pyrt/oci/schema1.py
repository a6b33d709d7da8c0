"""Docker's manifest schema 1, signed and unsigned: what old registries answer, and old images are.

It lists layers newest first, names no sizes and no configuration: that is rebuilt from the ``v1Compatibility`` strings.
The digest of a signed manifest is of its payload, the bytes before the signatures were added. Source: Docker's "Image
Manifest Version 2, Schema 1" and the JWS serialisation it describes; the image specification v1.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from pyrt.errors import InvalidManifest
from pyrt.oci import limits
from pyrt.oci.descriptor import Descriptor, digest_field
from pyrt.oci.digest import Digest
from pyrt.oci.document import JsonObject, parse_json, to_bytes
from pyrt.oci.media_types import DOCKER_LAYER_GZIP
from pyrt.values import dataclass

EMPTY_LAYER = Digest(algorithm="sha256", hex="a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4")
"""The gzip-compressed empty tar that stands for a step without a layer."""

_ID = re.compile(r"[a-f0-9]{64}")
_NOT_IN_CONFIG = ("id", "parent", "parent_id", "layer_id", "throwaway", "Size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema1:
    """A schema 1 manifest. ``layers`` are the blobs, the lowest first, without the empty ones.

    ``name``, ``tag`` and ``architecture`` are what the document says of itself. ``steps`` is its history, the oldest
    first. ``raw`` is the document as it was served, signatures included.
    """

    raw: bytes
    digest: Digest
    name: str
    tag: str
    architecture: str
    layers: tuple[Digest, ...]
    steps: tuple[JsonObject, ...]
    empty: tuple[bool, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Schema1:
        """The manifest in ``raw``; InvalidManifest where structure, chain of ids or signature block is wrong."""
        document = parse_json(raw, "manifest")
        payload = raw
        if document.has("signatures"):
            payload = _payload(raw, document)
            document = parse_json(payload, "manifest")
        if document.integer("schemaVersion") != 1:
            raise InvalidManifest("the signed part is not a schema 1 manifest")
        pairs = _chained(_pairs(document))
        pairs.reverse()
        empty = tuple(step.flag("throwaway") or blob == EMPTY_LAYER for blob, step in pairs)
        return cls(
            raw=raw,
            digest=Digest.of(payload),
            name=document.text("name", ""),
            tag=document.text("tag", ""),
            architecture=document.text("architecture", ""),
            layers=tuple(blob for (blob, _), skip in zip(pairs, empty, strict=True) if not skip),
            steps=tuple(step for _, step in pairs),
            empty=empty,
        )

    def layer_descriptors(self) -> tuple[Descriptor, ...]:
        """The layers as descriptors without a size; what they are compressed with shows only in their content."""
        return tuple(Descriptor(media_type=DOCKER_LAYER_GZIP, digest=digest, size=None) for digest in self.layers)

    def config(self, diff_ids: Sequence[Digest]) -> bytes:
        """The image configuration that this manifest implies, for the layers' ``diff_ids``, the lowest first.

        The newest step has the configuration, every step is one entry of the history. InvalidManifest where the count
        of ``diff_ids`` is not the count of ``layers``.
        """
        if len(diff_ids) != len(self.layers):
            raise InvalidManifest(f"{len(diff_ids)} diff ids for {len(self.layers)} layers")
        newest = self.steps[-1].fields
        config = {name: value for name, value in newest.items() if name not in _NOT_IN_CONFIG}
        config["architecture"] = config.get("architecture") or self.architecture or "amd64"
        config["os"] = config.get("os") or "linux"
        config["rootfs"] = {"type": "layers", "diff_ids": [str(diff_id) for diff_id in diff_ids]}
        config["history"] = [_entry(step, skip) for step, skip in zip(self.steps, self.empty, strict=True)]
        return to_bytes(config)


def _payload(raw: bytes, document: JsonObject) -> bytes:
    """The signed bytes: a prefix of ``raw`` and a tail, as the protected header of every signature says."""
    signatures = document.children("signatures")
    if len(signatures) > limits.SCHEMA1_SIGNATURES:
        raise InvalidManifest(f"a manifest of {len(signatures)} signatures, more than {limits.SCHEMA1_SIGNATURES}")
    payload = _signed(raw, signatures[0]) if signatures else None
    if payload is None or any(_signed(raw, signature) != payload for signature in signatures[1:]):
        raise InvalidManifest("the manifest's signatures are missing or not of the same payload")
    return payload


def _signed(raw: bytes, signature: JsonObject) -> bytes:
    signature.child("header").text("alg")
    _unpadded(signature, "signature")
    header = parse_json(_unpadded(signature, "protected"), f"{signature.where}.protected", limit=4096)
    length = header.integer("formatLength")
    if not 0 < length <= len(raw):
        raise InvalidManifest(f"{header.where}.formatLength is out of range: {length}")
    return raw[:length] + _unpadded(header, "formatTail")


def _unpadded(value: JsonObject, name: str) -> bytes:
    """A field in base64url without padding (RFC 7515, section 2)."""
    text = value.text(name)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidManifest(f"{value.where}.{name} is not base64url: {error}") from error


def _pairs(document: JsonObject) -> list[tuple[Digest, JsonObject]]:
    """Blob and step of every layer, the newest first as in the document."""
    layers, history = document.children("fsLayers"), document.children("history")
    if not layers or len(layers) != len(history):
        raise InvalidManifest(f"a schema 1 manifest of {len(layers)} layers and {len(history)} history entries")
    if len(layers) > limits.SCHEMA1_STEPS:
        raise InvalidManifest(f"a schema 1 manifest of {len(layers)} layers, more than {limits.SCHEMA1_STEPS}")
    return [(digest_field(layer, "blobSum"), _step(entry)) for layer, entry in zip(layers, history, strict=True)]


def _step(entry: JsonObject) -> JsonObject:
    return parse_json(entry.text("v1Compatibility").encode("utf-8"), f"{entry.where}.v1Compatibility")


def _chained(pairs: list[tuple[Digest, JsonObject]]) -> list[tuple[Digest, JsonObject]]:
    """The pairs without repetitions of one id (old docker daemons pushed them), every step the child of the next."""
    kept: list[tuple[Digest, JsonObject]] = []
    for blob, step in pairs:
        own = step.text("id")
        if _ID.fullmatch(own) is None:
            raise InvalidManifest(f"{step.where}.id is not 64 hexadecimal digits")
        if kept and kept[-1][1].text("id") == own:
            kept.pop()
        elif kept and kept[-1][1].text("parent", "") != own:
            raise InvalidManifest(f"{kept[-1][1].where}.parent is not the id of the next older layer")
        kept.append((blob, step))
    if kept[-1][1].text("parent", ""):
        raise InvalidManifest(f"{kept[-1][1].where}: the oldest layer has a parent")
    return kept


def _entry(step: JsonObject, empty: bool) -> dict[str, object]:
    ran = step.optional("container_config")
    entry: dict[str, object] = {
        "created": step.text("created", ""),
        "author": step.text("author", ""),
        "created_by": " ".join(ran.texts("Cmd")) if ran else "",
        "comment": step.text("comment", ""),
        "empty_layer": empty,
    }
    return {name: value for name, value in entry.items() if value}
