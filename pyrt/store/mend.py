"""Repairs that need nothing but the store: documents, records, names, volumes, permissions.

What nobody can read is set aside in ``damaged/`` and not deleted: it may hold what a container has written. Only the
object that is damaged is touched.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress

from pyrt.errors import PyrtError
from pyrt.oci import media_types
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.image import Image, ImageConfig
from pyrt.oci.manifest import Manifest, parse_document
from pyrt.oci.reference import Reference
from pyrt.store.check import raw_entries, wrong_entry
from pyrt.store.images import new_entry, write_index
from pyrt.store.layout import OCI_LAYOUT, own
from pyrt.store.leases import STORE_LOCK
from pyrt.store.locks import hold
from pyrt.store.staging import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyrt.store.problems import Problem
    from pyrt.store.store import Store

ASIDE = "damaged"


class NotMended(Exception):
    """Why a repair was not made."""


def layout(store: Store, problem: Problem) -> str:
    replace(store.layout, f"{store.layout.root}/oci-layout", OCI_LAYOUT)
    return "written again"


def index(store: Store, problem: Problem) -> str:
    """A new index of the images whose documents are here; a container knows what its image was called."""
    with hold(store.layout.lock(STORE_LOCK)), hold(store.layout.lock("index")):
        called = {record.image_digest: record.image for record in store.containers.list()}
        entries = []
        for digest in store.content.digests():
            with suppress(PyrtError):
                raw = store.content.read(digest)
                manifest = parse_document(raw, None, digest) if raw.startswith(b"{") else None
                if isinstance(manifest, Manifest) and store.content.has(manifest.config.digest):
                    config = ImageConfig.parse(store.content.read(manifest.config.digest), manifest.config.digest)
                    entries.append(found_entry(Image(manifest=manifest, config=config), called))
        old = set_aside(store, store.layout.index)
        write_index(store.layout, entries)
    lost = sum("annotations" not in entry for entry in entries)
    return f"made again of {len(entries)} images that are here, {lost} without their names; the old one is {old}"


def found_entry(image: Image, called: Mapping[str, str]) -> dict[str, object]:
    """The entry of an image of which only the documents are left."""
    manifest = image.manifest
    descriptor = Descriptor(
        media_type=manifest.media_type or media_types.OCI_MANIFEST,
        digest=manifest.digest,
        size=len(manifest.raw),
        platform=image.config.platform,
    )
    with suppress(PyrtError, KeyError):
        return new_entry(Reference.parse(called[str(manifest.digest)]), descriptor, None)
    return descriptor.to_json()


def entry(store: Store, problem: Problem) -> str:
    """Takes every entry out of the index that nobody can read."""
    with hold(store.layout.lock("index")):
        entries = raw_entries(store.layout.index)
        kept = [item for item in entries if isinstance(item, dict) and not wrong_entry(store, item)]
        if len(kept) < len(entries):
            write_index(store.layout, kept)
    return "removed from the index"


def record(store: Store, problem: Problem) -> str:
    """Sets aside a container of which nobody knows what it is."""
    container_id = problem.subject
    with hold(store.layout.lock(STORE_LOCK)):
        if store.containers.is_held(container_id):
            raise NotMended("somebody runs it")
        for name in os.listdir(store.layout.names):
            path = f"{store.layout.names}/{name}"
            if os.path.islink(path) and os.readlink(path) == container_id:
                os.unlink(path)
        old = set_aside(store, store.containers.file(container_id))
        if os.path.lexists(store.containers.path(container_id)):
            old += f", what it wrote is {set_aside(store, store.containers.path(container_id))}"
    return f"removed; the record is {old}"


def register(store: Store, problem: Problem) -> str:
    with hold(store.layout.lock(STORE_LOCK)):
        found = next((one for one in store.containers.list() if one.id == problem.subject), None)
        if found is not None:
            path = f"{store.layout.names}/{found.name}"
            if os.path.lexists(path) and not os.path.islink(path):
                set_aside(store, path)
            store.containers.register(found)
    return "registered again"


def name(store: Store, problem: Problem) -> str:
    path = f"{store.layout.names}/{problem.subject}"
    with hold(store.layout.lock(STORE_LOCK)):
        if not os.path.islink(path):
            return f"free again; what stood there is {set_aside(store, path)}"
        os.unlink(path)
    return "free again"


def aside(store: Store, problem: Problem) -> str:
    return f"free again; what stood there is {set_aside(store, f'{store.layout.volumes}/{problem.subject}')}"


def unfilled(store: Store, problem: Problem) -> str:
    os.unlink(f"{store.layout.volumes}/{problem.subject}/filled")
    return "the next use fills it again"


def mode(store: Store, problem: Problem) -> str:
    path = f"{store.layout.root}/{problem.subject}"
    wanted = 0o700 if stat.S_ISDIR(os.stat(path, follow_symlinks=False).st_mode) else 0o600
    os.chmod(path, wanted)
    return f"is {wanted:04o} now"


def owner(store: Store, problem: Problem) -> str:
    os.chown(f"{store.layout.root}/{problem.subject}", os.geteuid(), os.getegid(), follow_symlinks=False)
    return f"belongs to {os.geteuid()} now"


def set_aside(store: Store, path: str) -> str:
    """Moves something out of the way; where it is now, below the root of the store."""
    own(f"{store.layout.root}/{ASIDE}", parents=False)
    target = f"{ASIDE}/{os.path.basename(path)}-{time.time_ns():x}"
    os.rename(path, f"{store.layout.root}/{target}")
    return target


WAYS: Mapping[str, Callable[[Store, Problem], str]] = {
    "layout": layout,
    "index": index,
    "entry": entry,
    "record": record,
    "register": register,
    "name": name,
    "aside": aside,
    "unfilled": unfilled,
    "mode": mode,
    "owner": owner,
}
