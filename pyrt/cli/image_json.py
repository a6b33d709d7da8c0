"""An image as ``docker image inspect`` shows it."""

from __future__ import annotations

import json

from pyrt.cli.go_values import Map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.oci.image import Image
    from pyrt.store.images import ImageRecord
    from pyrt.store.store import Store

# The fields of an image's "config" that docker shows, with what stands for nothing. Maps have data for keys.
_FIELDS: tuple[tuple[str, object], ...] = (
    ("User", ""),
    ("ExposedPorts", None),
    ("Env", None),
    ("Entrypoint", None),
    ("Cmd", None),
    ("Volumes", None),
    ("WorkingDir", ""),
    ("Labels", None),
    ("StopSignal", None),
    ("Shell", None),
    ("Healthcheck", None),
    ("OnBuild", None),
)
_MAPS = ("ExposedPorts", "Volumes", "Labels")
_ALWAYS = ("User", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels")


def image_json(store: Store, record: ImageRecord) -> dict[str, object]:
    """docker's document for one image. Raises ImageNotFound, InvalidManifest."""
    image = store.images.load(record)
    config = image.config
    entries = [entry for entry in store.images.matching(record) if entry.reference is not None]
    names = [entry.reference for entry in entries if entry.reference is not None]
    digests = {f"{entry.reference.familiar_name()}@{entry.resolved}" for entry in entries if entry.reference}
    platform = config.platform
    return {
        "Id": str(image.id),
        "RepoTags": [name.familiar() for name in names if name.digest is None],
        "RepoDigests": sorted(digests),
        "Parent": "",
        "Comment": config.history[-1].comment if config.history else "",
        "Created": config.created,
        "Author": config.author,
        "Config": image_config(image),
        "Architecture": platform.architecture,
        **({"Variant": platform.variant} if platform.variant else {}),
        "Os": platform.os,
        "Size": sum(part.size or 0 for part in (image.manifest.config, *image.layers)),
        "GraphDriver": {"Name": "overlay", "Data": Map(_graph(store, image))},
        "RootFS": {"Type": "layers", "Layers": [str(diff_id) for diff_id in image.diff_ids]},
        "Descriptor": {
            "mediaType": record.descriptor.media_type,
            "digest": str(record.descriptor.digest),
            "size": record.descriptor.size,
        },
    }


def image_config(image: Image) -> dict[str, object]:
    """The image's own configuration with docker's field names; what the image does not say is left out or null."""
    document = json.loads(image.config.raw).get("config")
    said = document if isinstance(document, dict) else {}
    fields: dict[str, object] = {}
    for name, nothing in _FIELDS:
        value = said.get(name) or nothing
        if name in _MAPS and isinstance(value, dict):
            value = Map(value)
        if value is not None or name in _ALWAYS:
            fields[name] = value
    return fields


def _graph(store: Store, image: Image) -> dict[str, object]:
    """Where the layers are unpacked, in overlay's order: the uppermost first."""
    paths = [store.layers.path(diff_id) for diff_id in reversed(image.diff_ids)]
    return {"LowerDir": ":".join(paths)} if paths else {}
