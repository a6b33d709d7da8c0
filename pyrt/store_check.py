"""``check``: the whole store looked at, and with ``repair`` made right, in the order in which it happens.

    what the dead have left -> documents -> blobs -> images -> layers -> containers, names, volumes, permissions -> repair

Clearing up after the dead is no repair: every command does it, and only what cannot be cleared is told. A lease keeps what is
looked at from going away meanwhile. Repair makes a layer again of its blob, fetches a blob from where its image came or,
where that fails, removes the image; what nobody can read is set aside. What a running container uses is never touched.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from pyrt.errors import NoSpace, PyrtError, StoreError
from pyrt.ladder import store_ids
from pyrt.oci.digest import Digest
from pyrt.store import check as look
from pyrt.store import check_records, mend
from pyrt.store.garbage import collect
from pyrt.store.inventory import Inventory, in_use, is_writable
from pyrt.store.leases import STORE_LOCK, lease
from pyrt.store.locks import hold
from pyrt.store.problems import Checked, Problem
from pyrt.store.reunpack import unpacked_again
from pyrt.store.store import Store
from pyrt.store.sweep import sweep
from pyrt.values import dataclass, replace
from pyrt.worker import call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pyrt.store.check import Told
    from pyrt.store.images import ImageRecord
    from pyrt.store.layout import StoreLayout

SECOND_LOOK = 0.1  # seconds: whoever was just making or removing a container has done it by then


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found, and how much there was to look at."""

    problems: tuple[Problem, ...]
    checked: Checked

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong, or nothing any more."""
        return all(problem.mended for problem in self.problems)


def check(
    store: Store, *, repair: bool = False, environ: Mapping[str, str] = os.environ, told: Told = lambda *_: None
) -> Report:
    """Everything that is wrong with a store. ``told(what, done, of)`` hears how far it is. Raises StoreError where the store
    cannot be read at all."""
    ids = store_ids(store.layout.run, store.layout.root)
    if ids is None:
        return _checked(store, repair, environ, told)
    report: Report = call(ids, _check_there, store.layout, repair, dict(environ), events=lambda event: told(*event))
    return report


def _check_there(
    layout: StoreLayout, repair: bool, environ: Mapping[str, str], report: Callable[[tuple[str, int, int]], None]
) -> Report:
    """The worker's part: it alone can read what belongs to a container's other ids."""
    return _checked(Store.of(layout), repair, environ, lambda *progress: report(progress))


def _checked(store: Store, repair: bool, environ: Mapping[str, str], told: Told) -> Report:
    if not is_writable(store):
        found, inventory = _look(store, told)
        return Report(problems=tuple(found), checked=_count(store, inventory))
    problems = _leftovers(sweep(store))
    with lease(store.layout) as held:
        held.add(map(Digest.parse, look.inventory_of(store, frozenset()).users))
        found, inventory = _look(store, told)
        if not repair:
            found = [_explained(store, inventory, problem) for problem in found]
    problems += found
    if repair:
        problems = Repair(store, inventory, environ).all(problems)
    else:  # what has lost its name meanwhile
        _collect(store, held.digests)
    return Report(problems=tuple(problems), checked=_count(store, inventory))


def _look(store: Store, told: Told) -> tuple[list[Problem], Inventory]:
    """All problems but leftovers, and what belongs to what."""
    problems = list(look.documents(store))
    damaged = look.blobs(store, told)
    inventory = look.inventory_of(store, frozenset(problem.subject for problem in damaged))
    problems += [replace(problem, images=inventory.names(problem.subject)) for problem in damaged]
    problems += look.images(store, inventory)
    problems += look.layers(store, inventory, told)
    return problems + _records(store), inventory


def _records(store: Store) -> list[Problem]:
    """What is no image. Containers come and go without asking us: what is wrong has to be so twice."""

    def once() -> list[Problem]:
        looks = (check_records.containers, check_records.names, check_records.volumes, check_records.permissions)
        return [problem for one in looks for problem in one(store)]

    found = once()
    if not found:
        return found
    time.sleep(SECOND_LOOK)
    again = once()
    return [problem for problem in found if problem in again]


def _leftovers(warnings: tuple[str, ...]) -> list[Problem]:
    """One for each entry of ``tmp/`` that cannot be removed, whatever there is in it."""
    reasons: dict[str, list[str]] = {}
    for path, _, why in (warning.partition(": ") for warning in warnings):
        reasons.setdefault(path, []).append(why.removeprefix("cannot be removed: "))
    return [
        Problem(kind="leftover", subject=path, text=f"cannot be removed: {'; '.join(why)}")
        for path, why in reasons.items()
    ]


def _collect(store: Store, only: Iterable[str] | None) -> None:
    """What nothing needs goes; nothing where the index is damaged, which has been told."""
    with suppress(StoreError):
        collect(store.layout, store.content, store.layers, only=only)


def _count(store: Store, inventory: Inventory) -> Checked:
    return Checked(
        images=len(inventory.records),
        blobs=len(store.content.digests()),
        layers=len(store.layers.names()),
        containers=len(store.containers.ids()),
        volumes=len(os.listdir(store.layout.volumes)),
    )


def _explained(store: Store, inventory: Inventory, problem: Problem) -> Problem:
    """A layer's problem with the paths that differ, where its blob is here to tell."""
    if problem.text == look.CHANGED:
        for blob in inventory.blobs.get(problem.subject, ()):
            with suppress(PyrtError), unpacked_again(store, blob, Digest.parse(problem.subject)) as again:
                return replace(problem, paths=again.differences())
    return problem


class Repair:
    """The repair of one store after one look at it."""

    def __init__(self, store: Store, inventory: Inventory, environ: Mapping[str, str]) -> None:
        self._store = store
        self._inventory = inventory
        self._environ = environ
        self._images: dict[str, str] = {}  # what became of an image, by the digest of its manifest; "" for restored

    def all(self, problems: list[Problem]) -> list[Problem]:
        """The same problems with what was done about each. Blobs come before the layers that are made of them."""
        for problem in problems:
            if problem.fix == "blob" and problem.text != "missing":
                self._store.content.remove(Digest.parse(problem.subject))
        done = [self._one(problem) for problem in problems]
        # Without its manifest nobody knows what an image consisted of: all that nothing needs goes with one that goes.
        _collect(self._store, None if any(self._images.values()) else self._inventory.users)
        return done

    def _one(self, problem: Problem) -> Problem:
        if not problem.fix:
            return replace(problem, repair=problem.repair or "not repaired")
        try:
            if problem.fix == "layer":
                return self._layer(problem)
            if problem.fix in ("blob", "image"):
                return self._blob(problem)
            return replace(problem, repair=mend.WAYS[problem.fix](self._store, problem), mended=True)
        except (PyrtError, mend.NotMended) as error:
            return replace(problem, repair=f"not repaired: {error}")
        except OSError as error:
            return replace(problem, repair=f"not repaired: {look.reason(error)}")

    def _layer(self, problem: Problem) -> Problem:
        """Made again of its blob; one that nothing needs, and that cannot be made, goes."""
        store, diff_id = self._store, Digest.parse(problem.subject)
        for blob in self._inventory.blobs.get(problem.subject, ()):
            if store.content.has(blob.digest):
                with unpacked_again(store, blob, diff_id) as again:
                    problem = replace(problem, paths=again.differences())
                    user = again.place()
                if user:
                    return replace(problem, repair=f"not repaired: container {user} uses it")
                return replace(problem, repair="unpacked again", mended=True)
        _collect(store, [problem.subject])
        if store.layers.has(diff_id):
            return replace(problem, repair="not repaired: the blob that it was unpacked from is not here")
        return replace(problem, repair="removed: no image needs it", mended=True)

    def _blob(self, problem: Problem) -> Problem:
        """Fetched again for the images that need it, or they go."""
        users = [user for user in self._inventory.users.get(problem.subject, ()) if look.is_image(user.descriptor)]
        removed = []
        for record in users:
            text = str(record.descriptor.digest)
            if text not in self._images:
                self._images[text] = self._image(record, anyway=problem.fix == "image")
            if self._images[text]:
                removed.append(self._images[text])
        if removed:
            return replace(problem, repair=f"removed the image: {removed[0]}", mended=True)
        return replace(problem, repair="fetched again" if users else "removed: no image needs it", mended=True)

    def _image(self, record: ImageRecord, *, anyway: bool) -> str:
        """Why the image had to go, "" where it is whole again. ``anyway``: its documents are whole and useless."""
        from pyrt.image_restore import restore

        if not anyway:
            try:
                restore(record, self._store, self._environ)
                return ""
            except NoSpace:
                raise
            except PyrtError as error:
                why = f"cannot be fetched: {error}"
                sweep(self._store)  # its lease, which would keep the image's layers
        else:
            why = "its documents are of no use"
        with hold(self._store.layout.lock(STORE_LOCK)):
            user = in_use(self._store).images.get(str(record.descriptor.digest))
            if user is not None:
                raise mend.NotMended(f"container {user} uses the image, which {why}")
            for entry in self._store.images.matching(record):
                self._store.images.remove(entry)
        return why
