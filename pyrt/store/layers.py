"""Unpacked layers by diff id: each a directory tree, shared by all images, never changed after the rename that commits
it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from pyrt.errors import UsageError
from pyrt.oci.digest import Digest
from pyrt.overlay import is_opaque
from pyrt.store.layout import refused
from pyrt.store.staging import entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyrt.store.layout import StoreLayout


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
        return os.path.isdir(self._layout.layer(diff_id))

    def names(self) -> list[str]:
        """The hex of the diff id of every layer that is here."""
        return os.listdir(self._layout.layers)

    @contextmanager
    def staging(self) -> Iterator[StagedLayer]:
        """An empty directory to unpack into; it is gone at the end unless it was committed."""
        with entry(self._layout, "layer") as path:
            try:
                os.mkdir(path, 0o755)
                os.chmod(path, 0o755)  # the mode of the root where the tar has no entry for it; tmp/ above is 0700
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
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
        except FileNotFoundError:
            return False
        except OSError as error:
            raise refused(path, error) from error
        return True


class StagedLayer:
    """A layer that nobody sees yet. ``fd`` is its root directory."""

    def __init__(self, layout: StoreLayout, path: str, fd: int) -> None:
        self._layout = layout
        self.path = path
        self.fd = fd

    def commit(self, diff_id: Digest) -> None:
        """Make it visible. Where another process was first, that copy stays: it has the same diff id."""
        final = self._layout.layer(diff_id)
        try:
            move(self.path, final)
        except FileExistsError:
            pass
        except OSError as error:
            if not os.path.isdir(final):
                raise refused(final, error) from error


def move(source: str, target: str) -> None:
    """rename(2) of a tree, whose root an unprivileged owner may not be allowed to write (its ".." changes)."""
    try:
        os.rename(source, target)
    except PermissionError:
        mode = os.stat(source, follow_symlinks=False).st_mode & 0o7777
        os.chmod(source, mode | 0o700)
        os.rename(source, target)
        os.chmod(target, mode)
