"""``pyrt.info()``: what this machine lets pyrt do, and what is in the store."""

from __future__ import annotations

import os

from pyrt import kernel_features, ladder, machine, obstacles
from pyrt._version import VERSION
from pyrt.container_run import default_isolation
from pyrt.errors import PrivilegeError
from pyrt.host import CHROOT, NONE
from pyrt.isolation import Barrier, Isolation
from pyrt.store.records import RUNNING
from pyrt.store.store import Store
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.host import Host
    from pyrt.kernel_features import Found
    from pyrt.obstacles import Obstacle


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """``isolation`` is what a container with no options gets; its rung is "none" where none can be started, and the one
    barrier says why. ``ids`` is how its users are mapped, "direct", "subordinate" or "single", and "" without a user namespace;
    ``groups`` are those of the caller's supplementary groups that it keeps, because nobody may drop them there. ``root`` and
    ``run`` are the store's directories, ``file_system`` is what holds the first one, and ``overlay`` says whether layers can
    be stacked there."""

    version: str
    kernel: str
    architecture: str
    isolation: Isolation
    ids: str
    groups: tuple[str, ...]
    networks: tuple[str, ...]
    root: str
    run: str
    file_system: str
    overlay: str
    cgroups: machine.Cgroups
    features: tuple[Found, ...]
    images: int
    containers: int
    running: int


def info(*, store: Store | None = None) -> Info:
    """The facts, for ``store`` or the user's own. Raises StoreError."""
    store = store or Store.shared()
    records = store.containers.list()
    kernel = os.uname()
    host, isolation = _here(store.layout.run, store.layout.root)
    return Info(
        version=VERSION,
        kernel=kernel.release,
        architecture=kernel.machine,
        isolation=isolation,
        ids=host.ids.how if host is not None and host.ids is not None else "",
        groups=_kept_groups(host),
        networks=("host", "none"),
        root=store.layout.root,
        run=store.layout.run,
        file_system=machine.file_system(store.layout.root),
        overlay=_overlay(host),
        cgroups=machine.cgroups(),
        features=kernel_features.look(),
        images=len(store.images.list()),
        containers=len(records),
        running=sum(record.now.state == RUNNING for record in records),
    )


def examine(store: Store) -> tuple[Host, tuple[Obstacle, ...]]:
    """The place where we are, asked anew, and what holds it back, the best gain first. Raises PrivilegeError where there is
    no procfs."""
    ladder.forget(store.layout.run)
    host = ladder.here(store.layout.run, root=store.layout.root)
    return host, obstacles.find(host, machine.read(host, store.layout.root))


def _here(run: str, root: str) -> tuple[Host | None, Isolation]:
    """The place, None where not even that can be told, and the isolation that it gives."""
    host = None
    try:
        host = ladder.here(run, root=root)
        host.require()
    except PrivilegeError as error:
        return host, Isolation(rung="none", barriers=(Barrier(name="containers", on=False, why=str(error)),))
    return host, default_isolation(host)


def _overlay(host: Host | None) -> str:
    if host is None or host.rung in (CHROOT, NONE):
        return "no, nothing can be mounted here"
    number = dict(host.steps).get("overlay")
    if number is None:
        return "not tried, root may mount it"
    return f"no, {os.strerror(number)}" if number else "yes"


def _kept_groups(host: Host | None) -> tuple[str, ...]:
    """With a single id setgroups(2) is denied in the namespace: the kernel would not let a group be dropped that forbids
    something (user_namespaces(7))."""
    if host is None or not host.is_mapped_alone():
        return ()
    import grp

    def name(gid: int) -> str:
        try:
            return grp.getgrgid(gid).gr_name
        except KeyError:
            return str(gid)

    return tuple(name(gid) for gid in os.getgroups() if gid != host.gid)
