"""Named volumes: directories that outlive the containers that use them.

    volumes/<name>/data    what the container sees
    volumes/<name>/filled  there once the image's content has been copied in, or nothing had to be
"""

from __future__ import annotations

import os
import re

from pyrt.errors import UsageError
from pyrt.store.layout import StoreLayout, is_there, refused
from pyrt.store.locks import hold
from pyrt.store.removal import remove_tree
from pyrt.store.staging import sync_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


class Volumes:
    """The named volumes of one store."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout

    def path(self, name: str) -> str:
        """The volume's directory on the host. Raises UsageError for a name that docker would refuse."""
        if not _NAME.fullmatch(name):
            raise UsageError(f"volume name {name!r}: not [a-zA-Z0-9][a-zA-Z0-9_.-]+")
        return f"{self._layout.volumes}/{name}/data"

    def ready(self, name: str) -> bool:
        """Whether the volume is there and has something in it; one that we may not look into has."""
        path = self.path(name)
        try:
            return is_there(f"{os.path.dirname(path)}/filled") and not _is_empty(path)
        except PermissionError:
            return True

    def use(self, name: str, fill: Callable[[str], None]) -> str:
        """The volume's directory, made where it is missing; an empty one is filled by ``fill(directory)`` (docker fills them
        whenever they are empty). What fill raises leaves no new volume behind."""
        path = self.path(name)
        home = os.path.dirname(path)
        if self.ready(name):
            return path
        with hold(self._layout.lock(f"volume-{name}"), remove=True):
            try:
                if is_there(f"{home}/filled"):
                    if _is_empty(path):
                        fill(path)
                    return path
                if is_there(home):  # somebody was killed while filling it
                    remove_tree(home)
                os.mkdir(home, 0o700)
                os.mkdir(path, 0o755)
                os.chmod(path, 0o755)
                try:
                    fill(path)
                    os.close(os.open(f"{home}/filled", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
                    sync_directory(home)  # or a power cut could take the mark away and leave what a container has synced
                except BaseException:
                    remove_tree(home)
                    raise
            except OSError as error:
                raise refused(path, error) from error
        return path


def _is_empty(directory: str) -> bool:
    with os.scandir(directory) as entries:
        return next(entries, None) is None
