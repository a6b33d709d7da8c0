"""The look at what is no image: containers, their names, volumes, and who may do what with the files of the store."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from pyrt.store.check import reason
from pyrt.store.layout import DIRECTORIES, StoreLayout
from pyrt.store.problems import Problem
from pyrt.store.records import ID, Record, automatic_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyrt.store.store import Store


def _problem(kind: str, subject: str, text: str, fix: str = "") -> Problem:
    return Problem(kind=kind, subject=subject, text=text, fix=fix)


def containers(store: Store) -> Iterator[Problem]:
    """Records that nobody can read and nobody is writing; layers and names that a container lacks."""
    for container_id in sorted(store.containers.ids()):
        path = store.containers.file(container_id)
        if store.containers.is_held(container_id):
            continue
        try:
            with open(path, "rb") as file:
                record = Record.parse(file.read())
            if record.id != container_id:
                raise ValueError("it is of another container")
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            yield _problem("container", container_id, f"its record cannot be read: {reason(error)}", "record")
            continue
        for layer in record.layers:
            if not os.path.isdir(f"{store.layout.layers}/{layer}"):
                yield _problem("container", container_id, f"its layer sha256:{layer} is missing")
        if not record.in_memory and not os.path.isdir(store.containers.path(container_id)):
            yield _problem("container", container_id, "what it wrote is missing")
        if record.name != automatic_name(container_id) and _target(store, record.name) != container_id:
            yield _problem("container", container_id, f"its name {record.name} does not lead to it", "register")


def names(store: Store) -> Iterator[Problem]:
    """What stands in the way of whoever wants a name."""
    readable = {record.id: record.name for record in store.containers.list()}
    for name in sorted(os.listdir(store.layout.names)):
        target = _target(store, name)
        if target is None:
            if os.path.lexists(f"{store.layout.names}/{name}"):
                yield _problem("name", name, "not a link to a container", "name")
        elif target in readable and readable[target] != name:
            yield _problem("name", name, f"leads to container {target[:12]}, which has another", "name")
        elif not ID.fullmatch(target):
            yield _problem("name", name, "leads to no container", "name")


def _target(store: Store, name: str) -> str | None:
    try:
        return os.readlink(f"{store.layout.names}/{name}")
    except OSError:
        return None


def volumes(store: Store) -> Iterator[Problem]:
    """Volumes without their directory. One that is not marked as filled was being filled when its owner died; the next use
    begins anew."""
    for name in sorted(os.listdir(store.layout.volumes)):
        path = f"{store.layout.volumes}/{name}"
        if not os.path.isdir(path) or os.path.islink(path):
            yield _problem("volume", name, "not a directory", "aside")
        elif os.path.lexists(f"{path}/filled") and not os.path.isdir(f"{path}/data"):
            yield _problem("volume", name, "its data is missing", "unfilled")


def permissions(store: Store) -> Iterator[Problem]:
    """Directories that others can enter, files that others can write, and whatever belongs to somebody else."""
    layout, root = store.layout, store.layout.root
    for path in (f"{root}/oci-layout", layout.index, *_below(f"{root}/blobs/sha256"), *_below(f"{root}/blobs/sha512")):
        yield from _wrong(root, path, 0o022)
    for path in (*_below(layout.containers), *_below(layout.volumes)):
        is_directory = os.path.isdir(path) and not os.path.islink(path)
        yield from _wrong(root, path, 0o077 if is_directory else 0o022)
    for name in store.layers.recorded():
        yield from _wrong(root, f"{layout.layers}/{name}.tree", 0o022)


def open_directories(layout: StoreLayout) -> tuple[Problem, ...]:
    """Those of the store that others can enter. Look before the store is opened, which closes them."""
    found: list[Problem] = []
    for path in (layout.root, *(f"{layout.root}/{name}" for name in DIRECTORIES)):
        with suppress(OSError):
            mode = stat.S_IMODE(os.stat(path).st_mode)
            if mode & 0o077:
                text = f"mode {mode:04o}, must be 0700"
                found.append(Problem(kind="permissions", subject=path, text=text, repair="is 0700 now", mended=True))
    return tuple(found)


def _below(directory: str) -> list[str]:
    try:
        return [f"{directory}/{name}" for name in sorted(os.listdir(directory))]
    except FileNotFoundError:
        return []


def _wrong(root: str, path: str, forbidden: int) -> Iterator[Problem]:
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return
    subject = os.path.relpath(path, root)
    if status.st_uid != os.geteuid():
        yield _problem("permissions", subject, f"belongs to uid {status.st_uid}, not to {os.geteuid()}", "owner")
    if status.st_mode & forbidden and not stat.S_ISLNK(status.st_mode):
        yield _problem("permissions", subject, f"mode {stat.S_IMODE(status.st_mode):04o}: open to others", "mode")
