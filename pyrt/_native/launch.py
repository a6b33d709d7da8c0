"""Starting a container: a Plan as csrc/launch.h wants it, and what C says when it fails, in words."""

from __future__ import annotations

import errno
import os
import struct
from functools import lru_cache
from typing import Any

from pyrt._native._core import ffi, lib
from pyrt.errors import CommandNotExecutable, CommandNotFound, PrivilegeError, PyrtError, StartError
from pyrt.plan import Keeper, Limit, Op, Plan, Program

PROGRAMS = os.path.join(os.path.dirname(__file__), "bin")

_NAMESPACES = {
    "mount": 0x00020000, "cgroup": 0x02000000, "uts": 0x04000000, "ipc": 0x08000000, "user": 0x10000000,
    "pid": 0x20000000, "network": 0x40000000,
}  # fmt: skip

# What each step was about to do, for "cannot ...".
_STEPS = {
    "PREPARE": "prepare the start", "USERNS": "enter the user namespace", "CLONE": "make the container's namespaces",
    "PRIVATE": "make the mounts private",
    "CGROUP": "join the cgroup", "SCRATCH": "write the container's own files below",
    "OVERLAY": "mount the layers", "ROOT": "mount the root directory", "RESOLVE": "make the mount point",
    "MKDIR": "make the directory", "MOUNT": "mount", "BIND": "bind the mount at", "SOURCE": "open the mount's source",
    "MASK": "mask", "READONLY": "make read-only", "NODE": "make the device node", "SYMLINK": "make the link",
    "PROC": "open a procfs for the label",
    "SYSCTL": "set the sysctl", "HOSTNAME": "set the host name", "LOOPBACK": "bring up the loopback interface",
    "CONSOLE": "make the terminal", "PIVOT": "enter the new root", "FDS": "arrange the file descriptors",
    "STAGE2": "execute the last step", "PAYLOAD": "read the last step's orders", "LIMITS": "set the resource limits",
    "GROUPS": "set the groups", "USER": "set the user", "CAPABILITIES": "set the capabilities",
    "NO_NEW_PRIVILEGES": "set no_new_privs", "SECCOMP": "load the seccomp filter", "WORKDIR": "enter the working directory",
    "LABEL": "give the container the label",
    "LANDLOCK": "set up Landlock", "NOTIFY": "have system calls answered by the keeper",
    "INIT": "start the init process", "PARENT": "tie the container to its parent", "EXEC": "execute",
}  # fmt: skip

# What AppArmor and SELinux mean by the errors of a write to /proc/self/attr.
_LABEL_HINTS = {
    errno.ENOENT: "the kernel has no such profile",
    errno.EINVAL: "no security module of this kernel takes it",
    errno.EACCES: "what pyrt itself is confined by forbids the change",
    errno.EPERM: "no_new_privs, or what pyrt itself is confined by, forbids the change",
}


class Started:
    """A running container: PID 1's pid in our namespace (0 before it is started), its pidfd, and the pty's master; -1 where
    there is none. The fds are the caller's to close. C fills it in, so that an interrupt at any moment loses nothing."""

    def __init__(self) -> None:
        self.control = -1  # the writing end of a keeper's pipe: a byte ends the container
        self.fields = ffi.new("struct pyrt_started *", {"pid": 0, "pidfd": -1, "master": -1})

    @property
    def pid(self) -> int:
        return int(self.fields.pid)

    @property
    def pidfd(self) -> int:
        return int(self.fields.pidfd)

    @property
    def master(self) -> int:
        return int(self.fields.master)


_FLAG_NAMES = (
    "real_directory", "read_only", "recursive", "volatile", "nosuid", "nodev", "noexec", "userxattr", "optional", "on_proc",
    "host_terminal",
)  # fmt: skip
_FLAGS = {name: int(getattr(lib, f"PYRT_{name.upper()}")) for name in _FLAG_NAMES}
_STEP_NAMES = {int(getattr(lib, f"PYRT_AT_{name}")): name for name in _STEPS}
_KINDS = {name[8:].lower(): int(getattr(lib, name)) for name in dir(lib) if name.startswith("PYRT_OP_")}


_OP = struct.Struct("@8I2Q")  # struct pyrt_op
_LIMIT = struct.Struct("@2I2Q")  # struct pyrt_limit
assert _OP.size == ffi.sizeof("struct pyrt_op") and _LIMIT.size == ffi.sizeof("struct pyrt_limit")


def encode(ops: tuple[Op, ...]) -> tuple[bytes, bytes]:
    """The operations as an array of struct pyrt_op, and the texts that they point into, each once. Position independent."""
    offsets: dict[str | None, int] = {None: 0}
    pieces, size = [b"\0"], 1
    for op in ops:
        for text in (op.target, op.source, op.data):
            if text is not None and text not in offsets:
                pieces.append(os.fsencode(text) + b"\0")
                offsets[text] = size
                size += len(pieces[-1])
    packed = [
        _OP.pack(
            _KINDS[op.kind], _flags(op.flags), op.mode, op.uid, op.gid,
            offsets[op.target], offsets[op.source], offsets[op.data], op.device, op.mount_flags,
        )
        for op in ops
    ]  # fmt: skip
    return b"".join(packed), b"".join(pieces)


@lru_cache(maxsize=64)
def _flags(names: tuple[str, ...]) -> int:
    return sum(_FLAGS[name] for name in names)


def _vector(words: tuple[str, ...]) -> tuple[Any, Any]:
    """An argv or envp, and what has to stay alive with it."""
    joined = b"\0".join([os.fsencode(word) for word in words]) + b"\0"
    buffer = ffi.from_buffer(joined)
    pointers, position = [], 0
    for _ in words:
        pointers.append(buffer + position)
        position = joined.index(b"\0", position) + 1
    return ffi.new("char *[]", [*pointers, ffi.NULL]), buffer


def payload(program: Program) -> bytes:
    """The bytes of csrc/payload.h for a program: the header, then the tables at the offsets that it names."""
    header = ffi.new("struct pyrt_payload *")
    size: int = ffi.sizeof("struct pyrt_payload")
    tables: list[bytes] = []

    def place(table: bytes) -> int:
        nonlocal size
        offset = size
        table += b"\0" * (-len(table) % 8)
        tables.append(table)
        size += len(table)
        return offset

    header.magic = lib.PYRT_PAYLOAD_MAGIC
    header.version = lib.PYRT_PAYLOAD_VERSION
    header.flags = (
        (lib.PYRT_NO_NEW_PRIVILEGES if program.no_new_privileges else 0)
        | (lib.PYRT_WITH_INIT if program.with_init else 0)
        | (lib.PYRT_DIE_WITH_PARENT if program.die_with_parent else 0)
        | (lib.PYRT_CONTROLLING_TTY if program.controlling_tty else 0)
        | (lib.PYRT_LABEL_LAST if program.label_last else 0)
        | (lib.PYRT_KEEP_GROUPS if program.keep_groups else 0)
    )
    header.uid, header.gid, header.umask = program.uid, program.gid, program.umask
    header.bounding, header.permitted, header.ambient = program.bounding, program.permitted, 0
    header.ngroups = len(program.groups)
    header.groups = place(b"".join(group.to_bytes(4, "little") for group in program.groups))
    header.nlimits = len(program.limits)
    packed = [_LIMIT.pack(limit.resource, _how(limit), limit.soft, limit.hard) for limit in program.limits]
    header.limits = place(b"".join(packed))
    header.nfilter = len(program.filter) // 8
    header.filter = place(program.filter)
    header.workdir = place(os.fsencode(program.workdir) + b"\0")
    header.ncandidates = len(program.candidates)
    header.candidates = place(b"".join(os.fsencode(path) + b"\0" for path in program.candidates))
    header.last_capability = program.last_capability
    header.nnotify = len(program.notify) // 8
    header.notify = place(program.notify)
    if program.label:
        header.label = place(os.fsencode(program.label) + b"\0")
        header.label_files = place(b"".join(os.fsencode(path) + b"\0" for path in (*program.label_files, "")))
    header.size = size
    return bytes(ffi.buffer(header)) + b"".join(tables)


def keeper_table(keeper: Keeper) -> bytes:
    """The bytes of csrc/keeper_table.h: the header, the places, the texts that they point to."""
    header = ffi.new("struct pyrt_keeper_table *")
    places = ffi.new("struct pyrt_keeper_place[]", len(keeper.places))
    header.places = ffi.sizeof("struct pyrt_keeper_table")
    texts, size = [], int(header.places + ffi.sizeof(places))

    def text(path: str) -> int:
        nonlocal size
        texts.append(os.fsencode(path) + b"\0")
        size += len(texts[-1])
        return size - len(texts[-1])

    for place, one in zip(places, keeper.places, strict=True):
        place.flags = sum(int(getattr(lib, f"PYRT_PLACE_{flag.upper()}")) for flag in one.flags)
        place.target, place.source = text(one.target), text(one.source)
        place.empty = text(one.empty) if one.empty else 0
    header.magic, header.version, header.size = lib.PYRT_KEEPER_MAGIC, lib.PYRT_KEEPER_VERSION, size
    header.flags = lib.PYRT_KEEP_LANDLOCK if keeper.landlock else 0
    header.nplaces = len(keeper.places)
    return bytes(ffi.buffer(header)) + bytes(ffi.buffer(places)) + b"".join(texts)


def _how(limit: Limit) -> int:
    if limit.at_most:
        return int(lib.PYRT_LIMIT_AT_MOST)
    return int(lib.PYRT_LIMIT_IF_POSSIBLE if limit.if_possible else lib.PYRT_LIMIT_EXACT)


def sealed_memfd(name: str, content: bytes) -> int:
    """A memfd with this content that nobody can change any more (memfd_create(2)); the caller closes it. Raises OSError."""
    fd = int(lib.pyrt_sealed_memfd(name.encode(), ffi.from_buffer(content), len(content)))
    if fd < 0:
        raise OSError(ffi.errno, f"memfd_create: {os.strerror(ffi.errno)}")
    return fd


def _sealed_program(name: str) -> int:
    return sealed_memfd(name if name.startswith("pyrt-") else f"pyrt-{name}", _program(name))


@lru_cache(maxsize=2)
def _program(name: str) -> bytes:
    """Read once: it belongs to the extension that is loaded, also when the package is replaced meanwhile."""
    with open(os.path.join(PROGRAMS, name), "rb") as file:
        return file.read()


def launch(plan: Plan, stdio: tuple[int, int, int], started: Started) -> None:
    """Starts the plan and fills ``started``; returns when the image's program has been executed.

    ``stdio`` are the fds that become 0, 1 and 2 (not used where the plan makes a terminal). The calling thread is the
    container's parent: when it ends, so does the container. Raises StartError and its kinds; nothing is left of the attempt
    then.
    """
    ops, texts = encode(plan.ops)
    newroot_text = ffi.new("char[]", os.fsencode(plan.newroot))
    argv, _argv_words = _vector(plan.program.argv)
    envp, _envp_words = _vector(plan.program.env)
    namespaces = 0
    for name in plan.namespaces:
        namespaces |= _NAMESPACES[name]
    error = ffi.new("struct pyrt_error *")
    fds: list[int] = []
    try:
        fds.append(_sealed_program("stage2"))
        fds.append(sealed_memfd("pyrt-payload", payload(plan.program)))
        if plan.cgroup:
            fds.append(os.open(plan.cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        if plan.ids is not None:
            from pyrt._native.userns import namespace

            fds.append(namespace(plan.ids))
        keeper = _keeper(plan.keeper, started, fds) if plan.keeper is not None else (-1, -1, -1)
        request = ffi.new(
            "struct pyrt_launch *",
            {
                "ops": ffi.cast("struct pyrt_op *", ffi.from_buffer(ops)),
                "nops": len(plan.ops),
                "texts": ffi.from_buffer(texts),
                "namespaces": namespaces,
                "newroot": newroot_text,
                "cgroup": fds[2] if plan.cgroup else -1,
                "userns": fds[-1] if plan.ids is not None else -1,
                "stage2": fds[0],
                "payload": fds[1],
                "keeper": keeper[0],
                "control": keeper[1],
                "table": keeper[2],
                "stdio": list(stdio),
                "argv": argv,
                "envp": envp,
            },
        )
        failed = lib.pyrt_launch(request, started.fields, error)
    finally:
        for fd in fds:
            os.close(fd)
    if failed:
        subject = os.fsdecode(ffi.string(error.subject))
        raise start_error(_STEP_NAMES.get(error.step, str(error.step)), error.err, subject, plan.program)


def _keeper(keeper: Keeper, started: Started, fds: list[int]) -> tuple[int, int, int]:
    """The keeper's program, its end of the control pipe, and its table; added to the fds that are to be closed."""
    fds.append(program := _sealed_program("pyrt-keeper"))
    reading, started.control = os.pipe()
    fds.append(reading)
    fds.append(table := sealed_memfd("pyrt-keeper-table", keeper_table(keeper)))
    return program, reading, table


def start_error(step: str, number: int, subject: str, program: Program) -> PyrtError:
    """The exception for one error record: exec's failures by docker's exit codes, everything else with the step's words."""
    why = os.strerror(number)
    if step == "EXEC" or (step == "STAGE2" and number == errno.E2BIG):
        return _exec_error(number, subject, program)
    what = f"cannot {_STEPS.get(step, step.lower())}"
    if subject:
        what += f" {subject}"
    details: dict[str, Any] = {"step": step.lower(), "errno": number, "subject": subject}
    if step == "CLONE" and number in (errno.EPERM, errno.EACCES):
        return PrivilegeError(f"{what}: {why}", hint="it takes CAP_SYS_ADMIN and a seccomp filter that allows clone")
    return StartError(f"{what}: {why}", hint=_hint(step, number), **details)


def _exec_error(number: int, subject: str, program: Program) -> StartError:
    name = program.argv[0]
    details: dict[str, Any] = {"step": "exec", "errno": number, "subject": subject}
    if number in (errno.ENOENT, errno.ENOTDIR):
        if "/" in name:
            return CommandNotFound(
                f"{name}: no such file in the container", hint="or its interpreter is missing there", **details
            )
        return CommandNotFound(f"{name}: command not found in the container's PATH", **details)
    hint = {
        errno.EACCES: "not executable for this user, or a directory",
        errno.ENOEXEC: "a script without #!, or a program for another architecture",
        errno.E2BIG: "arguments and environment are larger than the kernel takes",
    }.get(number, "")
    return CommandNotExecutable(f"{subject or name}: {os.strerror(number)}", hint=hint, **details)


def _hint(step: str, number: int) -> str:
    if step == "LIMITS" and number == errno.EPERM:
        return "raising a hard limit takes CAP_SYS_RESOURCE"
    if step in ("MOUNT", "MKDIR", "RESOLVE") and number == errno.ENOTDIR:
        return "something else than a directory stands there in the image"
    if step in ("PRIVATE", "PIVOT") and number == errno.EINVAL:
        return "the root directory of this process is no mount point, as in a chroot or an initramfs"
    if step == "LABEL":
        return _LABEL_HINTS.get(number, "")
    if step == "SECCOMP" and number in (errno.ENOSYS, errno.EINVAL):
        return "this kernel cannot filter system calls; --security-opt seccomp=unconfined goes without"
    if step == "NOTIFY" and number == errno.EBUSY:
        return "a container in a container without namespaces: one keeper answers already"
    if step == "PIVOT" and number == errno.EPERM:
        return "chroot takes CAP_SYS_CHROOT"
    if step == "OVERLAY" and number == errno.E2BIG:
        return "too many layers"
    if step == "OVERLAY" and number == errno.EINVAL:
        return "the store's file system cannot hold an overlay's upper directory"
    return ""
