"""In which paths two trees differ, for those who have to be told: the digest only says that they do.

It looks at what csrc/tree_digest.h has in a digest. Nothing is followed and nothing but regular files and directories is
opened.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, contextmanager

from pyrt.store.staging import close_on_exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
READ = 1 << 18
TYPES = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


def differences(right: int, suspect: int, since: float, most: int) -> tuple[str, ...]:
    """At most ``most`` lines "/path: what differs", for the tree ``suspect`` beside the tree ``right``, both by an open
    directory. Times of ``right`` after ``since`` are when it was unpacked, which its layer does not say. Raises OSError.
    """
    found: list[str] = []
    pending: list[tuple[str, ...]] = [()]
    while pending and len(found) < most:
        path = pending.pop()
        with below(right, path) as whole, below(suspect, path) as other:
            if not path and (why := difference(whole, other, ".", since)):
                found.append(f"/: {why}")
            names, others = set(os.listdir(whole)), set(os.listdir(other))
            for name in sorted(names | others):
                if name not in others or name not in names:
                    why = "missing" if name in names else "not of the layer"
                else:
                    why = difference(whole, other, name, since)
                    if is_directory(whole, name) and is_directory(other, name):
                        pending.append((*path, name))
                if why:
                    found.append(f"/{'/'.join((*path, name))}: {why}")
    return tuple(found[:most])


@contextmanager
def below(root: int, path: tuple[str, ...]) -> Iterator[int]:
    """The directory at ``path`` below ``root``, step by step: a path can be longer than the kernel takes at once."""
    fd = os.open(".", DIRECTORY, dir_fd=root)
    try:
        for name in path:
            child = os.open(name, DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = child
        yield fd
    finally:
        os.close(fd)


def is_directory(parent: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


def difference(whole: int, other: int, name: str, since: float) -> str:
    """What differs between two entries of the same name, "" for nothing."""
    right = os.stat(name, dir_fd=whole, follow_symlinks=False)
    found = os.stat(name, dir_fd=other, follow_symlinks=False)
    kind, other_kind = stat.S_IFMT(right.st_mode), stat.S_IFMT(found.st_mode)
    if kind != other_kind:
        return f"is {TYPES.get(other_kind, 'something else')}, should be {TYPES.get(kind, 'something else')}"
    words = [f"{what} {seen}, should be {wanted}" for what, seen, wanted in facts(right, found) if seen != wanted]
    if kind == stat.S_IFLNK and (target := os.readlink(name, dir_fd=other)) != (wanted := os.readlink(name, dir_fd=whole)):
        words.append(f"target {target}, should be {wanted}")
    if kind == stat.S_IFREG and right.st_size == found.st_size and not same_content(whole, other, name):
        words.append("content differs")
    xattrs, others = xattrs_of(whole, name), xattrs_of(other, name)
    changed = sorted(key for key in xattrs.keys() | others.keys() if xattrs.get(key) != others.get(key))
    words += [f"xattr {key} differs" for key in changed]
    if not words and right.st_mtime_ns != found.st_mtime_ns and right.st_mtime < since:
        words.append("modification time differs")
    return ", ".join(words)


def facts(right: os.stat_result, found: os.stat_result) -> Iterator[tuple[str, str, str]]:
    """(what, as it is, as it should be) for everything in a status that a layer says."""
    yield "mode", f"{stat.S_IMODE(found.st_mode):04o}", f"{stat.S_IMODE(right.st_mode):04o}"
    yield "owner", f"{found.st_uid}:{found.st_gid}", f"{right.st_uid}:{right.st_gid}"
    yield "device", device(found), device(right)
    if stat.S_ISREG(right.st_mode):
        yield "size", str(found.st_size), str(right.st_size)
    if not stat.S_ISDIR(right.st_mode):
        yield "number of names", str(found.st_nlink), str(right.st_nlink)


def device(status: os.stat_result) -> str:
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"


def same_content(whole: int, other: int, name: str) -> bool:
    """Whether two regular files of one size have the same bytes. What cannot be read is not the same."""
    try:
        with ExitStack() as opened:
            right, found = (opened.enter_context(close_on_exit(os.open(name, FILE, dir_fd=fd))) for fd in (whole, other))
            while (chunk := os.read(right, READ)) == os.read(found, READ):
                if not chunk:
                    return True
    except OSError:
        pass
    return False


def xattrs_of(parent: int, name: str) -> dict[str, bytes]:
    """The extended attributes that a layer can have."""
    path = f"/proc/self/fd/{parent}/{name}"
    try:
        names = os.listxattr(path, follow_symlinks=False)
        kept = [key for key in names if not key.startswith("security.") or key == "security.capability"]
        return {key: os.getxattr(path, key, follow_symlinks=False) for key in kept}
    except OSError:
        return {}
