"""One store: the parts that share a layout."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pyrt.store.content import Content
from pyrt.store.images import Images
from pyrt.store.layers import Layers
from pyrt.store.layout import StoreLayout, at, defaults
from pyrt.store.leases import STORE_LOCK
from pyrt.store.locks import hold
from pyrt.store.records import Containers
from pyrt.store.volumes import Volumes

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
        layout = at(root) if root else defaults(environ, os.geteuid() if uid is None else uid)
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

    def using(self) -> AbstractContextManager[int]:
        """Hold off garbage collection: from looking up an image until something that keeps it is written down."""
        return hold(self.layout.lock(STORE_LOCK), shared=True)
