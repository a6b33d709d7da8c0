"""The filter of a container with a keeper (csrc/keeper.c): which system calls stop and wait for its answer.

Only those with a path that may lead to what the keeper serves. A call that is about an fd alone (AT_EMPTY_PATH) never does, nor
one of another ABI: 32-bit programs see the root as it is. The table in csrc/keeper_calls.c has the same names.
"""

from __future__ import annotations

from functools import lru_cache

from pyrt.runtime import bpf, syscall_numbers

ASKED = (
    "access", "chdir", "chmod", "chown", "chroot", "creat", "execve", "execveat", "faccessat", "faccessat2", "fchmodat",
    "fchmodat2", "fchownat", "getcwd", "getxattr", "lchown", "lgetxattr", "link", "linkat", "listxattr", "llistxattr",
    "lremovexattr", "lsetxattr", "lstat", "mkdir", "mkdirat", "mknod", "mknodat", "newfstatat", "open", "openat",
    "openat2", "readlink", "readlinkat", "removexattr", "rename", "renameat", "renameat2", "rmdir", "setxattr", "stat",
    "statfs", "statx", "symlink", "symlinkat", "truncate", "unlink", "unlinkat", "utimensat",
)  # fmt: skip

# name -> index of the argument that may have AT_EMPTY_PATH
_FLAGS = {"newfstatat": 3, "statx": 2, "faccessat2": 3, "execveat": 4}

_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # struct seccomp_data
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h
_ALLOW, _ASK = 0x7FFF0000, 0x7FC00000  # SECCOMP_RET_ALLOW, SECCOMP_RET_USER_NOTIF
_AT_EMPTY_PATH, _AT_FDCWD = 0x1000, 0xFFFFFF9C


@lru_cache(maxsize=2)
def compiled(machine: str) -> bytes:
    """The filter for a machine (uname(2)), an array of struct sock_filter."""
    program = bpf.Program()
    numbers = syscall_numbers.numbers(machine)
    asked = sorted((numbers[name], name) for name in ASKED if name in numbers)
    leaves = {name: _unless_empty(program, index) for name, index in _FLAGS.items()}

    def tree(calls: list[tuple[int, str]]) -> int:
        """A binary search; equality only at the end."""
        if len(calls) == 1:
            number, name = calls[0]
            wanted = leaves[name] if name in leaves else program.returns(_ASK)
            return program.branch(bpf.JUMP_EQUAL, number, wanted, program.returns(_ALLOW))
        middle = len(calls) // 2
        right = tree(calls[middle:])
        left = tree(calls[:middle])
        return program.branch(bpf.JUMP_AT_LEAST, calls[middle][0], right, left)

    search = program.load(_NUMBER, tree(asked))
    ours = program.branch(bpf.JUMP_EQUAL, _AUDIT[machine], search, program.returns(_ALLOW))
    program.load(_ARCHITECTURE, ours)
    return program.encoded()


def _unless_empty(program: bpf.Program, index: int) -> int:
    """Asks, but where the flags say that an fd itself may be meant, and there is one."""
    asks = program.returns(_ASK)
    of_an_fd = program.branch(bpf.JUMP_EQUAL, _AT_FDCWD, asks, program.returns(_ALLOW))
    directory = program.load(_ARGUMENTS, of_an_fd)
    flagged = program.branch(bpf.JUMP_ANY_BIT, _AT_EMPTY_PATH, directory, program.returns(_ASK))
    return program.load(_ARGUMENTS + 8 * index, flagged)
