"""``pull``: from a name to an image in the store, in the order in which it happens.

    name -> source -> manifest (platform chosen) -> configuration -> layers (all at once) -> sync -> name

Nothing is visible as an image before the last step, the rename of ``index.json``. One syncfs comes before it, so that
a power cut leaves the old image or the new one. A schema 1 manifest is stored as the OCI manifest that says the
same: that has another digest, and the registry's stays beside it as ``ImageRecord.resolved``.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress

from pyrt.errors import ImageError, ImageNotFound, InvalidManifest, PlatformNotFound, StoreError, UsageError
from pyrt.ladder import store_ids
from pyrt.local_image import layers_of, local, needs
from pyrt.notes import note
from pyrt.oci import limits
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.oci.image import Image, ImageConfig
from pyrt.oci.manifest import Manifest
from pyrt.oci.media_types import OCI_CONFIG
from pyrt.oci.platform import Platform, host, matches
from pyrt.oci.reference import Reference
from pyrt.oci.schema1 import Schema1
from pyrt.request import TRANSPORTS
from pyrt.store.progress import PullEvent
from pyrt.store.store import Store
from pyrt.values import replace
from pyrt.worker import call, can_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyrt.registry.source import Source
    from pyrt.resolution import Resolved
    from pyrt.store.ingest import Layer
    from pyrt.store.layout import StoreLayout
    from pyrt.store.leases import Lease
    from pyrt.store.progress import Progress

POLICIES = ("missing", "always", "never")


def pull(
    image: str | Reference,
    *,
    store: Store | None = None,
    platform: str | Platform | None = None,
    policy: str = "missing",
    progress: Progress | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Image:
    """The image ``image``, complete in the store: the user's own, where none is given.

    ``image`` is a reference, the (abbreviated) id of an image that is here, or a transport as ``oci:DIR[:REF]``.
    ``policy`` is docker's ``--pull``: "missing" asks the registry only where the image is not here, "always" asks it
    anyway (and fetches what changed), "never" does not. ``platform`` is ``os/architecture[/variant]``, by default the
    host's; the name belongs to the platform pulled last, as with docker.

    Raises UsageError, ImageError, RegistryError, StoreError; then everything is as it was before.
    """
    if policy not in POLICIES:
        raise UsageError(f"pull policy {policy!r}: it is one of {', '.join(POLICIES)}")
    store = store or Store.shared(environ)
    wanted = Platform.parse(platform) if isinstance(platform, str) else platform
    text = str(image)
    if policy != "always" and not text.startswith(TRANSPORTS):
        found = local(text, wanted, store, progress, environ)
        if found is not None:
            return found
        if policy == "never":
            raise ImageNotFound(f"image {text}: not in the store, and may not be pulled", hint=f"pyrt pull {text}")
    ids = store_ids(store.layout.run, store.layout.root)
    if ids is None or (ids.is_single and not can_call()):
        return _pulled(text, store, wanted, environ, progress)
    there: Image = call(ids, _pull_there, text, store.layout, wanted, dict(environ), events=progress or _ignored)
    return there


def _pull_there(
    text: str, layout: StoreLayout, wanted: Platform | None, environ: Mapping[str, str], progress: Progress
) -> Image:
    """The worker's part: files of an image belong to ids that this process has only there."""
    return _pulled(text, Store.of(layout), wanted, environ, progress)


def _ignored(event: PullEvent) -> None:
    """A progress display that nobody looks at."""


def _pulled(
    text: str, store: Store, wanted: Platform | None, environ: Mapping[str, str], progress: Progress | None
) -> Image:
    source, reference = open_source(text, store, environ)
    try:
        return Pull(source, reference, text, store, wanted, progress, environ).run()
    finally:
        source.close()


def open_source(text: str, store: Store, environ: Mapping[str, str]) -> tuple[Source, Reference | None]:
    """Where ``text`` leads, and the name that the user gave to what is there."""
    from pyrt.registry import transports

    def registry(reference: Reference) -> Source:
        from pyrt.registry.client import open_registry

        return open_registry(text.removeprefix("docker://"), environ=environ)

    return transports.open_source(text, registry, tmp_dir=store.layout.tmp)


class Pull:
    """One pull under way. ``typed`` is the reference in ``text``, None for a file without one."""

    def __init__(
        self,
        source: Source,
        typed: Reference | None,
        text: str,
        store: Store,
        wanted: Platform | None,
        progress: Progress | None,
        environ: Mapping[str, str],
    ) -> None:
        self._source = source
        self._is_file = text.startswith(TRANSPORTS)
        self._pinned = None if typed is None or self._is_file else typed.digest
        self._reference = typed or file_name(text)
        self._store = store
        self._wanted = wanted
        self._progress = progress
        self._environ = environ

    def run(self) -> Image:
        """All steps; on an error nothing of this pull stays."""
        from pyrt.resolution import resolve
        from pyrt.store.garbage import collect
        from pyrt.store.leases import lease
        from pyrt.store.reboot import distrust
        from pyrt.store.staging import discard

        store = self._store
        resolved = resolve(self._source, self._pinned, self._wanted or host())
        self._reference = getattr(self._source, "reference", self._reference)  # which meaning of a short name it was
        self._tell("resolved", digest=str(resolved.digest), text=str(self._reference))
        distrust(store)
        with lease(store.layout) as held:
            try:
                image = self._bring(resolved, held)
                self._name(image, resolved.digest)
            except BaseException:
                with suppress(StoreError):  # a disk without an inode for the lock: the first error is what matters
                    collect(store.layout, store.content, store.layers, only=held.digests, lease=held.path)
                    discard(held.path)
                raise
        return image

    def _bring(self, resolved: Resolved, held: Lease) -> Image:
        """Everything but the name."""
        if isinstance(resolved.document, Schema1):
            return self._schema1(resolved.document, held)
        manifest = resolved.document
        config = ImageConfig.parse(self._config(manifest.config))
        image = Image(manifest=manifest, config=config)
        self._check_platform(config.platform)
        held.add(needs(manifest, config))
        self._layers(layers_of(image), held)
        self._keep(image)
        return image

    def _schema1(self, schema1: Schema1, held: Lease) -> Image:
        """Its layers say what they are only when they are here: configuration and manifest come last."""
        known = self._store.images.get(self._reference)
        if known is not None and known.resolved == schema1.digest:
            image = self._store.images.load(known)
            if self._store.images.present(image):
                return image
        if len(schema1.layers) > limits.LAYERS:
            raise InvalidManifest(f"an image of {len(schema1.layers)} layers, more than {limits.LAYERS}")
        held.add(schema1.layers)
        layers = self._layers(layers_of_schema1(schema1), held)
        config = ImageConfig.parse(schema1.config([layer.diff_id for layer in layers if layer.diff_id]))
        self._check_platform(config.platform)
        described = Descriptor(media_type=OCI_CONFIG, digest=config.digest, size=len(config.raw))
        manifest = Manifest.build(described, tuple(self._typed_by_content(layer.blob) for layer in layers))
        image = Image(manifest=manifest, config=config)
        held.add(needs(manifest, config))
        self._keep(image)
        return image

    def _typed_by_content(self, blob: Descriptor) -> Descriptor:
        """Schema 1 does not say how a layer is compressed; an OCI manifest has to."""
        return replace(blob, media_type=self._store.content.layer_type(blob.digest))

    def _config(self, descriptor: Descriptor) -> bytes:
        """The image configuration; from the store where it is here and whole."""
        from pyrt.resolution import read_config, verify

        with suppress(ImageError):
            raw = self._store.content.read(descriptor.digest)
            verify(raw, descriptor, "image configuration")
            return raw
        return read_config(self._source, descriptor)

    def _check_platform(self, offered: Platform) -> None:
        """An image without an index has one platform: refuse it if another was asked for, else say what it is."""
        wanted = self._wanted or host()
        if not offered.architecture or matches(wanted, offered):
            return
        if self._wanted is not None:
            raise PlatformNotFound(f"no image for platform {wanted}: it is for {offered}", available=(str(offered),))
        self._note(f"the image is for {offered}, this machine is {wanted}")

    def _layers(self, layers: list[Layer], held: Lease) -> tuple[Layer, ...]:
        """Clean up after others, but keep what a killed pull of these very blobs has begun; then bring all in."""
        from pyrt.store.content import partial_name
        from pyrt.store.ingest import ingest
        from pyrt.store.sweep import sweep

        for warning in sweep(self._store, keep=frozenset(partial_name(layer.blob.digest) for layer in layers)):
            self._note(warning)
        reject = getattr(self._source, "reject", None)  # a registry may have other endpoints, a file has none
        return ingest(layers, self._source.blob, self._store, held, self._progress, reject)

    def _keep(self, image: Image) -> None:
        """Configuration and manifest, as the bytes that they came in."""
        documents = ((image.manifest.config, image.config.raw), (image.manifest.descriptor(), image.manifest.raw))
        for descriptor, raw in documents:
            self._store.content.keep(descriptor, raw)

    def _name(self, image: Image, resolved: Digest) -> None:
        """The commit: all data to the disk, then the name."""
        from pyrt.store.staging import sync_file_system

        images, name = self._store.images, str(self._reference)
        descriptor = replace(image.manifest.descriptor(), platform=image.config.platform)
        before = images.get(self._reference)
        if before is not None and before.name == name:
            if (before.descriptor.digest, before.resolved) == (descriptor.digest, resolved):
                return
            if self._is_file and before.descriptor.digest != descriptor.digest:
                self._note(f"{name} was {before.descriptor.digest} until now")
        sync_file_system(self._store.layout.root)
        images.set(self._reference, descriptor, resolved=resolved)

    def _note(self, text: str) -> None:
        """Something that the user should read, told before it is done. Raises NoteError with PYRT_STRICT."""
        note(text, lambda said: self._tell("note", text=said), self._environ)

    def _tell(self, kind: str, *, digest: str = "", text: str = "") -> None:
        if self._progress is not None:
            self._progress(PullEvent(kind=kind, digest=digest, text=text))


def layers_of_schema1(schema1: Schema1) -> list[Layer]:
    """The layers of which nothing is known but the digests of their blobs."""
    from pyrt.store.ingest import Layer

    return [Layer(blob=blob, diff_id=None) for blob in schema1.layer_descriptors()]


def file_name(text: str) -> Reference:
    """The name of an image that came from a directory or an archive, and to which the user gave none.

    As podman: ``localhost/`` and the path; a REF that can be a tag is the tag. What the archive claims to be is not
    taken: it could take the place of an image that the user trusts (the class of CVE-2026-50195).
    """
    path, _, ref = text.partition(":")[2].partition(":")
    parts = [re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in path.split("/")]
    name = "/".join(part for part in parts if part) or "image"
    tag = ref if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", ref) else "latest"
    return Reference.parse(f"localhost/{name[-200:].strip('-/')}:{tag}")
