"""``pyrt.info()``: what this machine lets pyrt do, and what is in the store."""

from __future__ import annotations

import os

from pyrt import ladder, machine, obstacles
from pyrt._version import VERSION
from pyrt.container_run import default_isolation
from pyrt.errors import PrivilegeError
from pyrt.isolation import Barrier, Isolation
from pyrt.store.records import RUNNING
from pyrt.store.store import Store
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.host import Host
    from pyrt.obstacles import Obstacle


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """``isolation`` is what a container with no options gets; its rung is "none" where none can be started, and the one
    barrier says why. ``root`` and ``run`` are the store's directories."""

    version: str
    kernel: str
    architecture: str
    isolation: Isolation
    networks: tuple[str, ...]
    root: str
    run: str
    images: int
    containers: int
    running: int


def info(*, store: Store | None = None) -> Info:
    """The facts, for ``store`` or the user's own. Raises StoreError."""
    store = store or Store.shared()
    records = store.containers.list()
    kernel = os.uname()
    return Info(
        version=VERSION,
        kernel=kernel.release,
        architecture=kernel.machine,
        isolation=_isolation(store.layout.run),
        networks=("host", "none"),
        root=store.layout.root,
        run=store.layout.run,
        images=len(store.images.list()),
        containers=len(records),
        running=sum(record.now.state == RUNNING for record in records),
    )


def examine(store: Store) -> tuple[Host, tuple[Obstacle, ...]]:
    """The place where we are, and what holds it back, the best gain first. Raises PrivilegeError where there is no procfs."""
    host = ladder.here(store.layout.run)
    return host, obstacles.find(host, machine.read(host, store.layout.root))


def _isolation(run: str) -> Isolation:
    try:
        host = ladder.here(run)
        host.require()
    except PrivilegeError as error:
        return Isolation(rung="none", barriers=(Barrier(name="containers", on=False, why=str(error)),))
    return default_isolation(host)
