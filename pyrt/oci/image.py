"""The image configuration: how to run an image, and which trees its layers are.

Source: OCI image-spec, config.md. Go wrote nearly every configuration there is, so null stands for "empty" everywhere.
"""

from __future__ import annotations

from pyrt.errors import DigestMismatch, InvalidManifest, UsageError
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.oci.document import JsonObject, parse_json
from pyrt.oci.manifest import Manifest
from pyrt.oci.platform import Platform
from pyrt.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One step of an image's making; ``created`` is RFC 3339 text or ""."""

    created: str
    created_by: str
    author: str
    comment: str
    empty_layer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """An image configuration. ``digest`` is the image's id.

    ``env`` are "NAME=value" strings; ``entrypoint`` and ``cmd`` are None where the image has none; ``user`` is
    "user[:group]" by name or number, "" for root; ``volumes`` are paths in the container, ``exposed_ports`` are
    "80/tcp"; ``stop_signal`` is a name or number, "" for SIGTERM; ``created`` is RFC 3339 text or "". ``diff_ids`` are
    the digests of the uncompressed layers, the lowest first.
    """

    raw: bytes
    digest: Digest
    platform: Platform
    env: tuple[str, ...]
    entrypoint: tuple[str, ...] | None
    cmd: tuple[str, ...] | None
    user: str
    working_dir: str
    volumes: tuple[str, ...]
    stop_signal: str
    labels: tuple[tuple[str, str], ...]
    exposed_ports: tuple[str, ...]
    diff_ids: tuple[Digest, ...]
    created: str
    author: str
    history: tuple[HistoryEntry, ...]

    @classmethod
    def parse(cls, raw: bytes, digest: Digest | None = None) -> ImageConfig:
        """The configuration in ``raw``, whose ``digest`` is taken for granted where one is given (it was verified when it
        was stored); InvalidManifest names the first field that is wrong."""
        document = parse_json(raw, "image configuration")
        config = document.optional("config") or JsonObject(f"{document.where}.config", {})
        return cls(
            raw=raw,
            digest=digest or Digest.of(raw),
            platform=Platform(
                os=document.text("os", "") or "linux",
                architecture=document.text("architecture", ""),
                variant=document.text("variant", ""),
            ),
            env=_no_nul(config, "Env", config.texts("Env")),
            entrypoint=_command(config, "Entrypoint"),
            cmd=_command(config, "Cmd"),
            user=_no_nul(config, "User", (config.text("User", ""),))[0],
            working_dir=_no_nul(config, "WorkingDir", (config.text("WorkingDir", ""),))[0],
            volumes=_no_nul(config, "Volumes", config.names("Volumes")),
            stop_signal=config.text("StopSignal", ""),
            labels=config.pairs("Labels"),
            exposed_ports=config.names("ExposedPorts"),
            diff_ids=_diff_ids(document),
            created=document.text("created", ""),
            author=document.text("author", ""),
            history=tuple(_history(entry) for entry in document.children("history")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A manifest and its configuration, which fit together: same digest, one diff id for each layer."""

    manifest: Manifest
    config: ImageConfig

    def __post_init__(self) -> None:
        wanted = self.manifest.config.digest
        if wanted.algorithm == self.config.digest.algorithm and wanted != self.config.digest:
            raise DigestMismatch(
                f"image configuration has digest {self.config.digest}, the manifest says {wanted}",
                expected=str(wanted),
                actual=str(self.config.digest),
            )
        check_layers(self.manifest, self.config)

    @property
    def digest(self) -> Digest:
        """The manifest's digest."""
        return self.manifest.digest

    @property
    def id(self) -> Digest:
        """The configuration's digest, docker's image id."""
        return self.config.digest

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers as they are stored, the lowest first; ``diff_ids`` runs in parallel."""
        return self.manifest.layers

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """The digests of the uncompressed layers, the lowest first."""
        return self.config.diff_ids


def check_layers(manifest: Manifest, config: ImageConfig) -> None:
    """InvalidManifest unless the configuration has exactly one diff id for each layer of the manifest."""
    if len(manifest.layers) != len(config.diff_ids):
        raise InvalidManifest(
            f"the manifest has {len(manifest.layers)} layers, the image configuration {len(config.diff_ids)} diff ids"
        )


def _command(config: JsonObject, name: str) -> tuple[str, ...] | None:
    return _no_nul(config, name, config.texts(name)) if config.has(name) else None


def _no_nul(config: JsonObject, name: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """These become arguments of system calls, which end at a NUL."""
    if any("\0" in value for value in values):
        raise InvalidManifest(f"{config.where}.{name} has a NUL character")
    return values


def _diff_ids(document: JsonObject) -> tuple[Digest, ...]:
    rootfs = document.child("rootfs")
    kind = rootfs.text("type")
    if kind != "layers":
        raise InvalidManifest(f"{rootfs.where}.type is {kind[:100]!r}, it has to be 'layers'")
    try:
        return tuple(Digest.parse(text) for text in rootfs.texts("diff_ids"))
    except UsageError as error:
        raise InvalidManifest(f"{rootfs.where}.diff_ids: {error}") from error


def _history(entry: JsonObject) -> HistoryEntry:
    return HistoryEntry(
        created=entry.text("created", ""),
        created_by=entry.text("created_by", ""),
        author=entry.text("author", ""),
        comment=entry.text("comment", ""),
        empty_layer=entry.flag("empty_layer"),
    )
