"""The system calls at which something is done to a command."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tests.support.listener import Condition

Names = Mapping[str, "Condition | None"]


def _each(names: str, errors: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names.split(), errors)


FILES = """
    write pwrite64 writev pwritev pwritev2 rename renameat renameat2 link linkat symlink symlinkat mkdir mkdirat mknod mknodat
    unlink unlinkat rmdir fsync fdatasync sync syncfs ftruncate truncate fallocate copy_file_range sendfile chmod fchmod
    fchmodat fchmodat2 chown fchown lchown fchownat utimensat setxattr lsetxattr fsetxattr removexattr lremovexattr
    fremovexattr creat openat2
"""
PROCESSES = """
    mount umount2 pivot_root move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr clone clone3 fork vfork unshare
    setns execve execveat sethostname memfd_create pidfd_send_signal setresuid setresgid setgroups capset prctl seccomp
    setrlimit prlimit64 keyctl add_key chroot setsid sendmsg
"""

# What changes something: files, mounts, processes. An open only where it may make the file.
CHANGES: Names = {
    **dict.fromkeys((FILES + PROCESSES).split()),
    "open": (1, os.O_CREAT),
    "openat": (2, os.O_CREAT | os.O_TMPFILE),
}

# The errors that their manual pages list, of those that a program can meet without having asked for something wrong.
_DISK = ("EIO", "ENOSPC", "ENOMEM", "EPERM")
_READ = ("EIO", "EINTR")
_OPEN = ("EIO", "EMFILE", "ENFILE", "ENOMEM", "EPERM", "EINTR")
_FD = ("EMFILE", "ENFILE", "ENOMEM")
_MOUNT = ("EPERM", "ENOMEM", "EIO")
_NEWER = ("ENOSYS",)
ERRORS: Mapping[str, tuple[str, ...]] = {
    **_each("read pread64 getdents64 readlink readlinkat", _READ),
    **_each("newfstatat statx lstat stat", ("EIO", "ENOMEM")),
    "fstat": ("EIO",),
    "openat": _OPEN,
    "openat+": (*_OPEN, "ENOSPC"),
    "openat2": (*_OPEN, "EAGAIN", "ENOSYS", "ENOSPC"),
    **_each("write pwrite64 writev", ("EIO", "ENOSPC", "EINTR", "EDQUOT")),
    **_each("""rename renameat renameat2 link linkat symlink symlinkat mkdir mkdirat mknod mknodat unlink unlinkat rmdir
        setxattr lsetxattr fsetxattr""", _DISK
    ),
    **_each("chmod fchmod fchmodat chown fchown lchown fchownat utimensat", ("EIO", "EPERM", "ENOMEM")),
    **_each("fsync fdatasync syncfs", ("EIO", "ENOSPC", "EDQUOT")),
    "ftruncate": ("EIO", "EINTR", "EPERM"),
    "flock": ("EINTR", "ENOLCK"),
    **_each("pipe2 dup dup3 epoll_create1 eventfd2 timerfd_create socketpair", _FD),
    "socket": (*_FD, "EPERM"),
    "connect": ("EINTR", "ENETUNREACH", "ETIMEDOUT"),
    **_each("poll ppoll", ("EINTR", "ENOMEM")),
    **_each("mount umount2 pivot_root", _MOUNT),
    **_each("move_mount open_tree fsopen fsconfig fsmount mount_setattr", (*_MOUNT, *_NEWER)),
    **_each("clone clone3", ("EAGAIN", "ENOMEM", "EPERM", "ENOSYS")),
    **_each("unshare setns sethostname", ("EPERM", "ENOMEM")),
    **_each("execve execveat", ("ENOMEM", "EIO", "EPERM", "EMFILE", "EAGAIN")),
    "memfd_create": (*_FD, *_NEWER),
    "close_range": _NEWER,
    "pidfd_open": (*_FD, *_NEWER),
    "pidfd_send_signal": ("EPERM", *_NEWER),
    "waitid": ("EINTR",),
    **_each("setresuid setresgid setgroups capset", ("EPERM", "EAGAIN", "ENOMEM")),
    **_each("prctl seccomp prlimit64", ("EPERM",)),
    "mmap": ("ENOMEM",),
    "getrandom": ("EINTR", *_NEWER),
    "recvmsg": ("EINTR", "ENOMEM"),
    "sendmsg": ("EINTR", "ENOMEM"),
    "recvfrom": ("EINTR", "ECONNRESET"),
    "sendto": ("EINTR", "ECONNRESET", "ENOMEM"),
}  # fmt: skip
FALLIBLE: Names = dict.fromkeys(name for name in ERRORS if name != "openat+")
