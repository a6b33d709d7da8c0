"""Unpacked layers by diff id: each a directory tree, shared by all images, never changed after the rename that commits
it.

    layers/<hex>       the tree
    layers/<hex>.tree  what it was when it was unpacked (tree_record.py), there before the tree is; older stores have none
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress

from pyrt.errors import UsageError
from pyrt.oci.digest import Digest
from pyrt.overlay import is_opaque
from pyrt.store.layout import is_there, refused
from pyrt.store.locks import LockHeld, hold
from pyrt.store.staging import entry, lock_of, named_entry, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyrt.store.layout import StoreLayout

RECORD = ".tree"


class Layers:
    """The layers of one store."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout

    def path(self, diff_id: Digest) -> str:
        """The tree itself, for overlay's lowerdir."""
        return self._layout.layer(diff_id)

    def stack(self, diff_ids: Iterable[Digest]) -> tuple[str, ...]:
        """The trees of an image, uppermost first, for overlay's lowerdir; ``diff_ids`` have the lowest first, as the image
        configuration has them. It ends at a layer whose root is opaque: overlayfs looks at the mark on any directory but
        the root of a layer. One that an image has twice (each RUN that changes nothing makes the same) is there once, as
        overlayfs wants it: the upper one hides all of the lower."""
        paths = []
        for path in dict.fromkeys(reversed([self.path(diff_id) for diff_id in diff_ids])):
            paths.append(path)
            if is_opaque(path):
                break
        return tuple(paths)

    def has(self, diff_id: Digest) -> bool:
        return is_there(self._layout.layer(diff_id))

    def names(self) -> list[str]:
        """The hex of the diff id of every layer that is here."""
        return [name for name in os.listdir(self._layout.layers) if not name.endswith(RECORD)]

    def recorded(self) -> list[str]:
        """The hex of the diff id of every layer of which there is a record, with or without the tree."""
        return [name.removesuffix(RECORD) for name in os.listdir(self._layout.layers) if name.endswith(RECORD)]

    def record(self, diff_id: Digest) -> str:
        """Where the record of a tree is or would be."""
        return f"{self.path(diff_id)}{RECORD}"

    @contextmanager
    def staging(self) -> Iterator[StagedLayer]:
        """An empty directory to unpack into; it is gone at the end unless it was committed."""
        with entry(self._layout, "layer") as path:
            try:
                os.mkdir(path, 0o700)
                tree = f"{path}/tree"
                os.mkdir(tree, 0o755)
                os.chmod(tree, 0o755)  # the mode of the root where the tar has no entry for it
                fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                raise refused(path, error) from error
            try:
                yield StagedLayer(self._layout, path, fd)
            finally:
                os.close(fd)

    def retire(self, name: str, target: str) -> bool:
        """Take a layer out of sight by renaming it to ``target`` below tmp/; False where it was not there."""
        if "/" in name or name in ("", ".", ".."):
            raise UsageError(f"layer {name!r}: not a name")
        path = f"{self._layout.layers}/{name}"
        try:
            move(path, target)
            with suppress(FileNotFoundError):  # after it, so that no tree is ever without one
                os.unlink(path + RECORD)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise refused(path, error) from error
        return True

    def forget(self, diff_id: Digest) -> None:
        """Remove a record whose tree never came, because a kill was between the two; one in the making stays."""
        with suppress(LockHeld), hold(lock_of(self._layout, turn(diff_id)), blocking=False, remove=True):
            if not self.has(diff_id):
                try:
                    with suppress(FileNotFoundError):
                        os.unlink(self.record(diff_id))
                except OSError as error:
                    raise refused(self.record(diff_id), error) from error


class StagedLayer:
    """A layer that nobody sees yet. ``fd`` is its root directory; all of it lies at ``path``."""

    def __init__(self, layout: StoreLayout, path: str, fd: int) -> None:
        self._layout = layout
        self.path = path
        self.fd = fd

    def seal(self) -> None:
        """Write down what the tree is, now that all of it is here. Raises StoreError."""
        from pyrt._native.tree_digest import tree_digest
        from pyrt.store.tree_record import TreeRecord

        try:
            record = TreeRecord.of(tree_digest(self.fd))
            write_file(f"{self.path}/record", record.encode(), durable=False)
        except OSError as error:
            raise refused(self.path, error) from error

    def commit(self, diff_id: Digest) -> None:
        """Make the sealed layer visible. Where another process was first, that copy stays: it has the same diff id."""
        final = self._layout.layer(diff_id)
        with named_entry(self._layout, turn(diff_id)):
            if not os.path.isdir(final):
                self._place(final)

    def exchange(self, diff_id: Digest, old: str) -> None:
        """As ``commit``, but the copy that is there goes to ``old``, below tmp/. For a moment there is none, and a kill in
        it leaves a layer that has to be unpacked again, which the next run does."""
        final = self._layout.layer(diff_id)
        with named_entry(self._layout, turn(diff_id)):
            try:
                with suppress(FileNotFoundError):
                    move(final, old)
            except OSError as error:
                raise refused(final, error) from error
            self._place(final)

    def _place(self, final: str) -> None:
        """First the record, so that no tree is ever without one."""
        try:
            os.rename(f"{self.path}/record", final + RECORD)
            move(f"{self.path}/tree", final)
        except OSError as error:
            raise refused(final, error) from error


def turn(diff_id: Digest) -> str:
    """The entry of tmp/ (there is only its lock) of whoever is about to place record and tree of a layer."""
    return f"commit-{diff_id.hex}"


def move(source: str, target: str) -> None:
    """rename(2) of a tree, whose root an unprivileged owner may not be allowed to write (its ".." changes)."""
    try:
        os.rename(source, target)
    except PermissionError:
        mode = os.stat(source, follow_symlinks=False).st_mode & 0o7777
        os.chmod(source, mode | 0o700)
        os.rename(source, target)
        os.chmod(target, mode)
