"""Where everything of the store lies on disk, and the checks before anything is trusted there.

Data root: ``blobs/`` ``index.json`` ``oci-layout`` (an OCI image layout, image-spec image-layout.md), ``layers/``,
``containers/``, ``volumes/``, ``filters/`` (compiled seccomp filters), ``tmp/``, ``locks/``. Every directory is 0700
whatever the umask is: layers hold the image's setuid programs, and nobody but the owner of the store may reach them (the class
of CVE-2024-25621).
"""

from __future__ import annotations

import errno
import os
import stat

from pyrt.errors import NoSpace, StoreError, UsageError
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyrt.oci.digest import Digest

OCI_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
NO_IMAGES = b'{"schemaVersion": 2, "manifests": []}'
DIRECTORIES = ("blobs", "blobs/sha256", "layers", "containers", "names", "scratch", "volumes", "filters", "tmp", "locks")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLayout:
    """The paths of one store. ``root`` outlives a reboot; ``run`` need not. Both are absolute."""

    root: str
    run: str

    @property
    def layers(self) -> str:
        return f"{self.root}/layers"

    @property
    def containers(self) -> str:
        return f"{self.root}/containers"

    @property
    def scratch(self) -> str:
        return f"{self.root}/scratch"

    @property
    def names(self) -> str:
        return f"{self.root}/names"

    @property
    def volumes(self) -> str:
        return f"{self.root}/volumes"

    @property
    def filters(self) -> str:
        return f"{self.root}/filters"

    @property
    def tmp(self) -> str:
        return f"{self.root}/tmp"

    @property
    def locks(self) -> str:
        return f"{self.root}/locks"

    @property
    def index(self) -> str:
        return f"{self.root}/index.json"

    def blob(self, digest: Digest) -> str:
        """Path of a blob (image-spec image-layout.md, "blobs"). A Digest has been through the grammar: no traversal."""
        return f"{self.root}/blobs/{digest.algorithm}/{digest.hex}"

    def layer(self, diff_id: Digest) -> str:
        """Path of an unpacked layer."""
        return f"{self.root}/layers/{diff_id.hex}"

    def lock(self, name: str) -> str:
        """Path of a lock file; ``name`` is one path component."""
        return f"{self.root}/locks/{name}"

    def create(self) -> None:
        """Make what is missing and refuse what cannot be trusted. Cheap where all is there: one stat for each
        directory.

        Raises StoreError: not ours, writable by others, or it cannot be made.
        """
        own(self.root)
        own(self.run)
        for name in DIRECTORIES:
            own(f"{self.root}/{name}", parents=False)
        for path, content in ((f"{self.root}/oci-layout", OCI_LAYOUT), (self.index, NO_IMAGES)):
            if not is_there(path):
                write_marker(self, path, content)


def defaults(environ: Mapping[str, str], uid: int) -> StoreLayout:
    """The store of this user (XDG base directory specification; ``PYRT_ROOT`` moves both roots).

    Without a runtime directory that is ours alone, the run root lies below the data root.
    """
    moved = environ.get("PYRT_ROOT", "")
    if moved:
        return at(moved)
    if uid == 0:
        return StoreLayout(root="/var/lib/pyrt", run="/run/pyrt")
    data = environ.get("XDG_DATA_HOME", "")
    if not data.startswith("/"):  # the specification: a relative path is invalid and shall be ignored
        data = f"{home(environ, uid)}/.local/share"
    root = f"{data}/pyrt"
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    return StoreLayout(root=root, run=f"{runtime}/pyrt" if is_private(runtime, uid) else f"{root}/run")


def at(root: str) -> StoreLayout:
    """A store in a directory that the caller names."""
    path = os.path.abspath(root)
    if path == "/":
        raise UsageError("store root /: the root directory cannot be a store")
    return StoreLayout(root=path, run=f"{path}/run")


def home(environ: Mapping[str, str], uid: int) -> str:
    """The home directory from HOME, else from the user database."""
    path = environ.get("HOME", "")
    if path.startswith("/"):
        return path.rstrip("/")
    import pwd

    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        raise StoreError(f"store: uid {uid} has no home directory", hint="set HOME or PYRT_ROOT") from None


def is_private(path: str, uid: int) -> bool:
    """True for an existing directory (no symbolic link) that only ``uid`` can write."""
    if not path.startswith("/"):
        return False
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == uid and not status.st_mode & 0o022


def own(path: str, *, parents: bool = True) -> None:
    """Make sure that ``path`` is a directory of ours with mode 0700; raises StoreError where that cannot be."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        make(path, parents=parents)
        return
    except OSError as error:
        raise refused(path, error) from error
    if not stat.S_ISDIR(status.st_mode):
        raise StoreError(f"store {path}: not a directory")
    if status.st_uid != os.geteuid():
        raise StoreError(
            f"store {path}: belongs to uid {status.st_uid}, not to uid {os.geteuid()}",
            hint="use a store of your own: --root DIR or PYRT_ROOT",
        )
    if status.st_mode & 0o022:
        raise StoreError(f"store {path}: others can write to it", hint=f"look at what is in it, then chmod 700 {path}")
    if status.st_mode & 0o077:
        try:
            os.chmod(path, 0o700)
        except OSError as error:
            raise refused(path, error) from error


def make(path: str, *, parents: bool) -> None:
    """mkdir with exactly 0700 for the last component; missing parents get 0700 too."""
    try:
        parent = os.path.dirname(path)
        if parents and not os.path.isdir(parent):
            make(parent, parents=True)
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)  # the umask may have taken bits of ours
    except FileExistsError:
        own(path, parents=False)
    except OSError as error:
        raise refused(path, error) from error


def write_marker(layout: StoreLayout, path: str, data: bytes) -> None:
    """A small file that appears whole or not at all. Two processes may race: the one that comes second changes nothing."""
    from pyrt.store.staging import entry, write_file

    with entry(layout, "marker") as temporary:
        try:
            write_file(temporary, data, durable=True)
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError as error:
            raise refused(path, error) from error


def is_there(path: str) -> bool:
    """Whether something has this name. What keeps us from knowing is an error, not an absence. Raises StoreError."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise refused(path, error) from error
    return True


def refused(path: str, error: OSError) -> StoreError:
    """The StoreError (NoSpace for ENOSPC and EDQUOT) for an OSError about ``path``."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"store {path}: {reason}", hint="free some space, or move the store with --root or PYRT_ROOT")
    hint = ""
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = "choose another place with --root or PYRT_ROOT"
    return StoreError(f"store {path}: {reason}", hint=hint)
