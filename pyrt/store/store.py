"""One store: the parts that share a layout."""

from __future__ import annotations

import os
from functools import lru_cache

from pyrt.store.content import Content
from pyrt.store.images import Images
from pyrt.store.layers import Layers
from pyrt.store.layout import StoreLayout, at, defaults
from pyrt.store.leases import STORE_LOCK
from pyrt.store.locks import hold
from pyrt.store.records import Containers
from pyrt.store.volumes import Volumes
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Everything that pyrt keeps on disk."""

    layout: StoreLayout
    content: Content
    images: Images
    layers: Layers
    containers: Containers
    volumes: Volumes

    @classmethod
    def open(cls, root: str | None = None, environ: Mapping[str, str] = os.environ, uid: int | None = None) -> Store:
        """The store at ``root``, else the user's own; made where missing. Raises StoreError, UsageError."""
        return cls.of(at(root) if root else defaults(environ, os.geteuid() if uid is None else uid))

    @classmethod
    def of(cls, layout: StoreLayout) -> Store:
        """The store with this layout, made where it is missing."""
        layout.create()
        content = Content(layout)
        layers = Layers(layout)
        return cls(
            layout=layout,
            content=content,
            layers=layers,
            images=Images(layout, content, layers),
            containers=Containers(layout),
            volumes=Volumes(layout),
        )

    @classmethod
    def shared(cls, environ: Mapping[str, str] = os.environ) -> Store:
        """The user's own store, opened once in this process: what it has read of images stays read."""
        return _opened(defaults(environ, os.geteuid()))

    def using(self) -> AbstractContextManager[int]:
        """Hold off garbage collection: from looking up an image until something that keeps it is written down."""
        return hold(self.layout.lock(STORE_LOCK), shared=True)


@lru_cache(maxsize=8)
def _opened(layout: StoreLayout) -> Store:
    return Store.of(layout)
