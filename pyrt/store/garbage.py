"""Blobs and layers that nothing needs any more.

Needed is what can be reached from the index, from containers and from leases. What cannot be read may need anything: then
nothing is removed. Documents are followed by their
``digest`` and ``diff_ids`` fields whatever their type, so what other tools keep in the layout (indexes, artifacts)
stays whole.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack

from pyrt.oci import limits
from pyrt.store.content import parse_or_none
from pyrt.store.images import read_index
from pyrt.store.layout import refused
from pyrt.store.leases import STORE_LOCK, leased
from pyrt.store.locks import hold
from pyrt.store.records import load_record
from pyrt.store.staging import entry
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyrt.store.content import Content
    from pyrt.store.layers import Layers
    from pyrt.store.layout import StoreLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """What a collection has removed. ``reclaimed`` are the bytes of the blobs (trees are not measured)."""

    blobs: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    reclaimed: int = 0


def collect(
    layout: StoreLayout, content: Content, layers: Layers, only: Iterable[str] | None = None, lease: str = ""
) -> Garbage:
    """Remove what is not needed: everything, or of the digests ``only`` and what can be reached from them.

    The lease at that path keeps nothing: it says what there is to remove, should its owner be killed meanwhile. Layers go
    out of sight under the store lock, which is quick, and are deleted after it. Raises StoreError.
    """
    with ExitStack() as later, hold(layout.lock(STORE_LOCK)):
        needed = reachable(content, roots(layout, lease))
        if only is None:
            here = {*layers.names(), *layers.recorded()}
            candidates = {str(digest) for digest in content.digests()} | {f"sha256:{name}" for name in here}
        else:
            candidates = reachable(content, set(only))
        blobs, trees, reclaimed = [], [], 0
        for text in sorted(candidates - needed):
            digest = parse_or_none(text)
            if digest is None:
                continue
            if content.has(digest):
                reclaimed += content.remove(digest)
                blobs.append(text)
            if layers.has(digest) and layers.retire(digest.hex, later.enter_context(entry(layout, "dead"))):
                trees.append(text)
        for digest in {parse_or_none(f"sha256:{name}") for name in layers.recorded()}:
            if digest is not None and str(digest) in candidates and not layers.has(digest):
                layers.forget(digest)
    return Garbage(blobs=tuple(blobs), layers=tuple(trees), reclaimed=reclaimed)


def named(layout: StoreLayout, content: Content) -> set[str]:
    """Everything that the images of the index consist of, here or not. Raises StoreError where nobody can read the index."""
    return reachable(content, set(digests_in(read_index(layout.index))))


def roots(layout: StoreLayout, but: str = "") -> set[str]:
    """The digests that images, containers and pulls name, ``but`` for the lease at that path. Raises StoreError where nobody
    can read one of them: then nobody knows what is needed."""
    found = set(digests_in(read_index(layout.index)))
    for name in os.listdir(layout.containers):
        if name.endswith(".json"):
            found |= container_digests(f"{layout.containers}/{name}")
    return found | leased(layout, but)


def container_digests(path: str) -> set[str]:
    """The layers and the image of a container's record; nothing for one that is gone or damaged. Raises StoreError."""
    try:
        record = load_record(path)
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise refused(path, error) from error
    if record is None:
        return set()
    return {f"sha256:{layer}" for layer in record.layers} | {record.image_digest}


def reachable(content: Content, start: set[str]) -> set[str]:
    """``start`` and everything that documents among it point at. Raises StoreError where one cannot be read."""
    seen: set[str] = set()
    pending = list(start)
    while pending:
        text = pending.pop()
        if text in seen:
            continue
        seen.add(text)
        digest = parse_or_none(text)
        if digest is not None:
            pending.extend(digests_in(read_document(content.path(digest))))
    return seen


def read_document(path: str) -> object:
    """A blob that is a JSON document, None for anything else and for nothing. Raises StoreError."""
    try:
        with open(path, "rb") as file:
            if file.peek(1)[:1] != b"{" or os.fstat(file.fileno()).st_size > limits.JSON_BYTES:
                return None
            document: object = json.load(file)
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    except OSError as error:
        raise refused(path, error) from error
    return document


def digests_in(document: object) -> Iterator[str]:
    """All values of fields called ``digest``, and the members of ``diff_ids``."""
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            for key, item in value.items():
                if key == "digest" and isinstance(item, str):
                    yield item
                elif key == "diff_ids" and isinstance(item, list):
                    yield from (text for text in item if isinstance(text, str))
                else:
                    pending.append(item)
