"""The look at everything in a store: what is wrong, by name. Nothing is changed."""

from __future__ import annotations

import json
import os
import re

from pyrt._native.tree_digest import tree_digest
from pyrt.errors import PyrtError, StoreError
from pyrt.oci import media_types
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.oci.document import JsonObject
from pyrt.oci.reference import Reference
from pyrt.store.images import REF_NAME, RESOLVED, annotations_of, read_index
from pyrt.store.inventory import Inventory, take
from pyrt.store.layout import OCI_LAYOUT
from pyrt.store.problems import Problem
from pyrt.store.tree_record import TreeRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pyrt.store.store import Store

    Told = Callable[[str, int, int], None]  # what is looked at, how many of it are done, of how many

HEX = re.compile(r"[0-9a-f]{64}")
PARALLEL = 4  # blobs or layers at once: hashing releases the GIL
READ = 1 << 20
CHANGED = "not what was unpacked"


def documents(store: Store) -> Iterator[Problem]:
    """``oci-layout`` and ``index.json``."""
    try:
        with open(f"{store.layout.root}/oci-layout", "rb") as file:
            found = json.loads(file.read(4096))
        if not isinstance(found, dict) or found.get("imageLayoutVersion") != json.loads(OCI_LAYOUT)["imageLayoutVersion"]:
            yield Problem(kind="layout", subject="oci-layout", text="not of version 1.0.0", fix="layout")
    except (OSError, ValueError) as error:
        yield Problem(kind="layout", subject="oci-layout", text=f"cannot be read: {reason(error)}", fix="layout")
    try:
        entries = raw_entries(store.layout.index)
    except (OSError, ValueError) as error:
        yield Problem(kind="index", subject="index.json", text=f"cannot be read: {reason(error)}", fix="index")
        return
    for number, item in enumerate(entries):
        why = wrong_entry(store, item)
        if why:
            yield Problem(kind="index", subject=f"entry {number}", text=why, fix="entry")


def raw_entries(path: str) -> list[object]:
    """The entries of an index, whatever they are. Raises OSError, ValueError."""
    with open(path, "rb") as file:
        document = json.loads(file.read())
    if not isinstance(document, dict) or document.get("schemaVersion") != 2:
        raise ValueError("not an OCI index of version 2")
    entries = document.get("manifests")
    if not isinstance(entries, list):
        raise ValueError("an OCI index without manifests")
    return entries


def wrong_entry(store: Store, item: object) -> str:
    """What is wrong with an entry of the index, "" for nothing."""
    if not isinstance(item, dict):
        return "not an object"
    try:
        descriptor = Descriptor.from_json(JsonObject("entry", item))
        for name, parse in ((REF_NAME, Reference.parse), (RESOLVED, Digest.parse)):
            text = annotations_of(item).get(name)
            if text:
                parse(str(text))
    except PyrtError as error:
        return str(error)
    try:
        size = os.stat(store.content.path(descriptor.digest)).st_size
    except OSError:
        return ""  # a blob that is missing is a problem of its own
    if size != descriptor.size:
        return f"says {descriptor.size} bytes of {descriptor.digest}, which has {size}"
    return ""


def blobs(store: Store, told: Told) -> list[Problem]:
    """Every blob that is here, by its digest."""

    def look(digest: Digest) -> Problem | None:
        text = wrong_blob(store, digest)
        return Problem(kind="blob", subject=str(digest), text=text, fix="blob") if text else None

    return _each(store.content.digests(), look, lambda done, of: told("blobs", done, of))


def wrong_blob(store: Store, digest: Digest) -> str:
    """What is wrong with a blob, "" for nothing, also where it has just been removed."""
    hasher, size = digest.hasher(), 0
    try:
        fd = os.open(store.content.path(digest), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(fd, "rb", buffering=0) as file:
            while chunk := file.read(READ):
                hasher.update(chunk)
                size += len(chunk)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"cannot be read: {reason(error)}"
    if digest.matches(hasher):
        return ""
    return f"damaged: its {size} bytes have digest {digest.algorithm}:{hasher.hexdigest()}"


def images(store: Store, inventory: Inventory) -> Iterator[Problem]:
    """Blobs that images need and that are not here, and documents that say nothing of use."""
    for text in inventory.users:
        digest = Digest.parse(text)
        if text in inventory.blobs or store.content.has(digest):
            continue
        if any(is_image(record.descriptor) for record in inventory.users[text]):
            yield Problem(kind="blob", subject=text, text="missing", images=inventory.names(text), fix="blob")
    for record in inventory.records:
        text = str(record.descriptor.digest)
        if text in inventory.unreadable and store.content.has(record.descriptor.digest):
            yield Problem(kind="image", subject=text, text=inventory.unreadable[text], images=(record.name,), fix="image")


def is_image(descriptor: Descriptor) -> bool:
    return descriptor.media_type in media_types.MANIFESTS


def layers(store: Store, inventory: Inventory, told: Told) -> list[Problem]:
    """Every unpacked layer by the digest of its tree; and those that were unpacked and have gone.

    An image of which no layer is unpacked has been copied here by another tool: nothing is wrong with it.
    """
    here = set(store.layers.names())
    recorded = set(store.layers.recorded())
    lost = {text for text in inventory.blobs if text.removeprefix("sha256:") in recorded - here}
    for record in inventory.records:
        if str(record.descriptor.digest) not in inventory.unreadable and is_image(record.descriptor):
            own = [text for text, users in inventory.users.items() if text in inventory.blobs and record in users]
            missing = {text for text in own if text.removeprefix("sha256:") not in here}
            lost |= missing if len(missing) < len(own) else set()

    def look(name: str) -> Problem | None:
        digest = Digest(algorithm="sha256", hex=name)
        why = wrong_layer(store, digest)
        names = inventory.names(str(digest))
        return Problem(kind="layer", subject=str(digest), text=why, images=names, fix="layer") if why else None

    found = _each(sorted(filter(HEX.fullmatch, here)), look, lambda done, of: told("layers", done, of))
    return found + [
        Problem(kind="layer", subject=text, text="missing", images=inventory.names(text), fix="layer")
        for text in sorted(lost)
    ]


def wrong_layer(store: Store, digest: Digest) -> str:
    """What is wrong with a layer, "" for nothing, also where it has just been removed."""
    try:
        record = TreeRecord.read(store.layers.record(digest))
    except (OSError, ValueError) as error:
        return f"the record of its digest cannot be read: {reason(error)}"
    try:
        fd = os.open(store.layers.path(digest), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if record is None:
                return "no digest recorded"
            tree = TreeRecord.of(tree_digest(fd))
        finally:
            os.close(fd)
    except OSError as error:
        where = f" at /{error.filename}" if error.filename else ""
        return f"cannot be read: {reason(error)}{where}" if store.layers.has(digest) else ""
    if tree == record or not store.layers.has(digest):
        return ""
    return CHANGED


def _each(items: Sequence[object], look: Callable[..., Problem | None], told: Callable[[int, int], None]) -> list[Problem]:
    """The problems among the items, several looked at at once, in their order."""
    from concurrent.futures import ThreadPoolExecutor

    found = []
    with ThreadPoolExecutor(max_workers=min(PARALLEL, os.cpu_count() or 1)) as pool:
        told(0, len(items))
        try:
            for done, problem in enumerate(pool.map(look, items), 1):
                told(done, len(items))
                if problem is not None:
                    found.append(problem)
        except BaseException:  # Ctrl-C: what has not begun need not
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def reason(error: Exception) -> str:
    """Why, in few words."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def inventory_of(store: Store, damaged: frozenset[str]) -> Inventory:
    """What belongs to what; nothing where the index cannot be read, which ``documents`` tells."""
    try:
        read_index(store.layout.index)
        return take(store, damaged)
    except StoreError:
        return Inventory()
