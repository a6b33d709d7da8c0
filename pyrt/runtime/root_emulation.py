"""For a container with a single id: the system calls that would give something to another id do nothing, and say that they did.

A package manager changes owners as it unpacks and would stop at the first that is refused; with this, everything it installs
belongs to the one user that there is. Nothing remembers what was asked for: who looks afterwards sees that user. The idea, and
the list of what has to be answered, are Charliecloud's (its documentation, "Privilege model"). capset is not among them: it
works here, and a program that gives up capabilities shall have given them up.
"""

from __future__ import annotations

import stat

from pyrt.runtime.seccomp_profile import ERRNO, Condition, Rule

_TYPE = 0o170000  # S_IFMT, inode(7)
_DONE = ERRNO | 0  # seccomp(2): an errno of 0 is success

_OWNERS = ("chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32")
_IDS = (
    "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32", "setregid",
    "setregid32", "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setuid", "setuid32",
)  # fmt: skip


def _nodes(name: str, argument: int) -> tuple[Rule, ...]:
    """Device nodes alone: FIFOs, sockets and files can be made (mknod(2))."""
    return tuple(
        Rule(
            names=(name,),
            action=_DONE,
            conditions=(
                Condition(index=argument, operator="MASKED_EQ", value=_TYPE, value_two=kind),
            ),
        )
        for kind in (stat.S_IFCHR, stat.S_IFBLK)
    )


RULES = (Rule(names=(*_OWNERS, *_IDS), action=_DONE), *_nodes("mknod", 1), *_nodes("mknodat", 2))
