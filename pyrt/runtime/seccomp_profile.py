"""Seccomp profiles as documents: docker's JSON format, and the OCI runtime specification's, which is nearly a part of it.

Sources: moby's profiles/seccomp (includes, excludes, archMap), runtime-spec config-linux.md, "Seccomp", and podman's names of
errors in its own copy of the format. Reading is strict: what is not known is refused, because a word that is passed over here
is a hole in what somebody believes to be closed.
"""

from __future__ import annotations

import errno

from pyrt.errors import InvalidManifest, Unsupported, UsageError
from pyrt.oci.document import JsonObject, parse_json
from pyrt.runtime import capabilities
from pyrt.values import dataclass

# What a filter returns, linux/seccomp.h. The lower half of ERRNO and TRACE is a number of the profile's.
KILL_PROCESS, KILL_THREAD, TRAP, ERRNO = 0x80000000, 0x00000000, 0x00030000, 0x00050000
TRACE, LOG, ALLOW = 0x7FF00000, 0x7FFC0000, 0x7FFF0000
DATA = 0xFFFF

_ACTIONS = {
    "SCMP_ACT_KILL": KILL_THREAD, "SCMP_ACT_KILL_THREAD": KILL_THREAD, "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": TRAP, "SCMP_ACT_ERRNO": ERRNO, "SCMP_ACT_TRACE": TRACE, "SCMP_ACT_LOG": LOG, "SCMP_ACT_ALLOW": ALLOW,
}  # fmt: skip
_NUMBERED = {ERRNO: 4095, TRACE: DATA}  # the largest number that the kernel hands on
_OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
_ARCHITECTURES = frozenset(
    f"SCMP_ARCH_{name}" for name in (
        "X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64", "MIPSEL64N32",
        "PPC", "PPC64", "PPC64LE", "S390", "S390X", "PARISC", "PARISC64", "RISCV64", "LOONGARCH64", "M68K", "SH", "SHEB",
    )
)  # fmt: skip
_ARGUMENTS = 6  # of a system call

_PROFILE = frozenset((
    "comment", "defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "syscalls", "flags",
    "listenerPath", "listenerMetadata",
))  # fmt: skip
_RULE = frozenset((
    "comment", "name", "names", "action", "errnoRet", "errno", "args", "includes", "excludes",
))  # fmt: skip
_ARGUMENT = frozenset(("comment", "index", "value", "valueTwo", "op"))
_SELECTION = frozenset(("comment", "caps", "arches", "minKernel"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What one argument of a call has to be: unsigned, 64 bits. ``operator`` is the name after SCMP_CMP_; MASKED_EQ is
    ``argument & value == value_two``, the others know no second value."""

    index: int
    operator: str
    value: int
    value_two: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """For which containers a rule is meant, or not meant. ``capabilities`` are bits, ``architectures`` Go's names."""

    capabilities: int = 0
    architectures: tuple[str, ...] = ()
    min_kernel: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What becomes of the calls with these names; ``action`` is what the filter returns."""

    names: tuple[str, ...]
    action: int
    conditions: tuple[Condition, ...] = ()
    includes: Selection = Selection()
    excludes: Selection = Selection()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A whole profile, of which each container gets what concerns it. ``architectures`` are those of the older and of the
    OCI form, ``arch_map`` (architecture, its other ABIs) of docker's; only one of the two is ever set."""

    default: int
    rules: tuple[Rule, ...]
    architectures: tuple[str, ...] = ()
    arch_map: tuple[tuple[str, tuple[str, ...]], ...] = ()


def read(content: bytes, what: str) -> Profile:
    """The profile in ``content``; ``what`` is its name in errors. Raises UsageError that names the place, and Unsupported
    for what would need another process beside the container."""
    try:
        document = parse_json(content, "profile")
        _check_names(document, _PROFILE)
        _check_unsupported(document)
        architectures, arch_map = document.texts("architectures"), document.children("archMap")
        if architectures and arch_map:
            raise UsageError(f"{document.where} has both archMap and architectures")
        return Profile(
            default=_action(document, "defaultAction", "defaultErrnoRet", "defaultErrno"),
            rules=tuple(_rule(rule) for rule in document.children("syscalls")),
            architectures=tuple(_architecture(document, name) for name in architectures),
            arch_map=tuple(_mapping(entry) for entry in arch_map),
        )
    except Unsupported as error:
        raise Unsupported(f"{what}: {error}", hint=error.hint) from error
    except (InvalidManifest, UsageError) as error:
        raise UsageError(f"{what}: {error}", hint=error.hint) from error


def _check_names(document: JsonObject, known: frozenset[str]) -> None:
    for name in document.fields:
        if name not in known:
            raise UsageError(f"{document.where}.{name[:100]}: no such field")


def _check_unsupported(document: JsonObject) -> None:
    """A filter is loaded by a process of one thread, so TSYNC is what happens anyway. The other flags would change it."""
    for name in document.texts("flags"):
        if name != "SECCOMP_FILTER_FLAG_TSYNC":
            raise Unsupported(f"{document.where}.flags: {name!r} is not carried out by this version")
    for name in ("listenerPath", "listenerMetadata"):
        if document.has(name):
            raise Unsupported(f"{document.where}.{name}: this version has no listener for SCMP_ACT_NOTIFY")


def _action(document: JsonObject, field: str, number: str, name: str) -> int:
    """What the filter returns. A number that the action cannot return is an error (runtime-spec, "errnoRet")."""
    text = document.text(field)
    if text == "SCMP_ACT_NOTIFY":
        raise Unsupported(f"{document.where}.{field}: SCMP_ACT_NOTIFY needs a listener, which this version does not have")
    if text not in _ACTIONS:
        raise UsageError(f"{document.where}.{field}: {text[:100]!r} is no action")
    action = _ACTIONS[text]
    if not document.has(number) and not document.has(name):
        return action | (errno.EPERM if action in _NUMBERED else 0)
    if action not in _NUMBERED:
        raise UsageError(f"{document.where}.{number if document.has(number) else name}: {text} returns no error number")
    value = document.integer(number, -1)
    if document.has(number) and not 0 <= value <= _NUMBERED[action]:
        raise UsageError(f"{document.where}.{number}: {value} is not between 0 and {_NUMBERED[action]}")
    if document.has(name):
        named = _error_number(document, name)
        if document.has(number) and named != value:
            raise UsageError(f"{document.where}.{name}: {document.text(name)} is {named}, and {number} says {value}")
        value = named
    return action | value


def _error_number(document: JsonObject, field: str) -> int:
    name = document.text(field)
    found = getattr(errno, name, None) if name.startswith("E") else None
    if not isinstance(found, int):
        raise UsageError(f"{document.where}.{field}: {name[:100]!r} is no error's name")
    return found


def _rule(document: JsonObject) -> Rule:
    _check_names(document, _RULE)
    names = document.texts("names")
    if document.has("name"):
        if names:
            raise UsageError(f"{document.where} has both name and names")
        names = (document.text("name"),)
    if not names or "" in names:
        raise UsageError(f"{document.where}.names: a rule names at least one system call")
    return Rule(
        names=names,
        action=_action(document, "action", "errnoRet", "errno"),
        conditions=tuple(_condition(argument) for argument in document.children("args")),
        includes=_selection(document.optional("includes")),
        excludes=_selection(document.optional("excludes")),
    )


def _condition(document: JsonObject) -> Condition:
    _check_names(document, _ARGUMENT)
    index = document.integer("index")
    if not 0 <= index < _ARGUMENTS:
        raise UsageError(f"{document.where}.index: {index} is not between 0 and {_ARGUMENTS - 1}")
    operator = document.text("op")
    if operator.removeprefix("SCMP_CMP_") not in _OPERATORS or not operator.startswith("SCMP_CMP_"):
        raise UsageError(f"{document.where}.op: {operator[:100]!r} is no comparison")
    return Condition(
        index=index,
        operator=operator.removeprefix("SCMP_CMP_"),
        value=_unsigned(document, "value"),
        value_two=_unsigned(document, "valueTwo"),
    )


def _unsigned(document: JsonObject, field: str) -> int:
    value = document.integer(field, 0)
    if not 0 <= value < 1 << 64:
        raise UsageError(f"{document.where}.{field}: {value} does not fit into 64 bits without a sign")
    return value


def _selection(document: JsonObject | None) -> Selection:
    if document is None:
        return Selection()
    _check_names(document, _SELECTION)
    try:
        bits = capabilities.bits(document.texts("caps"))
    except UsageError as error:
        raise UsageError(f"{document.where}.caps: {error}") from error
    kernel = document.text("minKernel", "")
    return Selection(
        capabilities=bits,
        architectures=document.texts("arches"),
        min_kernel=_kernel(document, kernel) if kernel else None,
    )


def _kernel(document: JsonObject, text: str) -> tuple[int, int]:
    parts = text.split(".")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise UsageError(f'{document.where}.minKernel: {text[:100]!r} is not a version like "4.8"')
    return int(parts[0]), int(parts[1])


def _mapping(document: JsonObject) -> tuple[str, tuple[str, ...]]:
    _check_names(document, frozenset(("comment", "architecture", "subArchitectures")))
    others = document.texts("subArchitectures")
    return _architecture(document, document.text("architecture")), tuple(_architecture(document, name) for name in others)


def _architecture(document: JsonObject, name: str) -> str:
    if name not in _ARCHITECTURES:
        raise UsageError(f"{document.where}: {name[:100]!r} is no architecture")
    return name
