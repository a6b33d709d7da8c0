"""Docker schema 1 manifests of an image, as old registries made them: unsigned, and with a JWS block around them.

The signature itself is not valid; what a client can check without the key is.
"""

from __future__ import annotations

import base64
import json

from tests.support import images

EMPTY = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"


def steps(layers: list[images.Blob], *, empty_after: tuple[int, ...] = ()) -> list[tuple[str, dict[str, object]]]:
    """Blob and v1Compatibility of every step, oldest first; ``empty_after``: an empty step behind the n-th layer."""
    made: list[tuple[str, dict[str, object]]] = []
    for number, layer in enumerate(layers):
        made.append((layer.digest, {"container_config": {"Cmd": ["/bin/sh", "-c", f"add {number}"]}}))
        if number in empty_after:
            made.append((EMPTY, {"container_config": {"Cmd": [f"/bin/sh -c #(nop) ENV {number}"]}, "throwaway": True}))
    for number, (_, step) in enumerate(made):
        step["id"] = f"{number + 1:064x}"
        step["created"] = f"2015-01-01T00:00:{number:02}Z"
        if number:
            step["parent"] = f"{number:064x}"
    made[-1][1].update(
        architecture="amd64", os="linux", author="somebody", config={"Env": [images.PATH, "A=b"], "Cmd": ["sh"]}
    )
    return made


def unsigned(made: list[tuple[str, dict[str, object]]], **more: object) -> bytes:
    """The manifest of ``made`` (see ``steps``); ``more`` replaces its fields."""
    document = {
        "schemaVersion": 1,
        "name": "library/old",
        "tag": "latest",
        "architecture": "amd64",
        "fsLayers": [{"blobSum": digest} for digest, _ in reversed(made)],
        "history": [{"v1Compatibility": json.dumps(step)} for _, step in reversed(made)],
        **more,
    }
    return json.dumps(document, indent=3).encode()


def signed(payload: bytes, *, count: int = 1, header: dict[str, object] | None = None) -> bytes:
    """``payload`` with ``count`` signature blocks inside; ``header`` replaces fields of the protected header."""
    protected = {
        "formatLength": len(payload) - 2,
        "formatTail": _base64url(payload[-2:]),
        "time": "2015-01-01T00:00:00Z",
    }
    block = {
        "header": {"jwk": {"crv": "P-256", "kid": "TEST", "kty": "EC", "x": "AA", "y": "AA"}, "alg": "ES256"},
        "signature": _base64url(b"\xfb" * 64),
        "protected": _base64url(json.dumps({**protected, **(header or {})}).encode()),
    }
    signatures = json.dumps([block] * count, indent=3).encode()
    return payload[:-2] + b',\n   "signatures": ' + signatures + payload[-2:]


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
