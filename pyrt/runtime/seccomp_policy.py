"""What a profile means for one container: its rules for these capabilities, this machine and this kernel (moby's rules)."""

from __future__ import annotations

from pyrt.errors import Unsupported
from pyrt.runtime.seccomp_profile import (
    ALLOW,
    DATA,
    ERRNO,
    KILL_PROCESS,
    KILL_THREAD,
    LOG,
    TRACE,
    TRAP,
    Condition,
    Profile,
    Rule,
    Selection,
)
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WORDS = {
    ALLOW: "SCMP_ACT_ALLOW", ERRNO: "SCMP_ACT_ERRNO", KILL_PROCESS: "SCMP_ACT_KILL_PROCESS",
    KILL_THREAD: "SCMP_ACT_KILL_THREAD", LOG: "SCMP_ACT_LOG", TRACE: "SCMP_ACT_TRACE", TRAP: "SCMP_ACT_TRAP",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine by libseccomp's name and Go's, and the ABIs that it can run, by the names in syscall_numbers.

    ``others`` are (libseccomp's name, ABI). x32 is none of them: nothing needs it, and its numbers are a second way to every
    system call.
    """

    name: str
    go_name: str
    abi: str
    others: tuple[tuple[str, str], ...]


MACHINES = {
    "x86_64": Machine(name="SCMP_ARCH_X86_64", go_name="amd64", abi="x86_64", others=(("SCMP_ARCH_X86", "i386"),)),
    "aarch64": Machine(name="SCMP_ARCH_AARCH64", go_name="arm64", abi="aarch64", others=(("SCMP_ARCH_ARM", "arm"),)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules that hold for one container, in the profile's order; those of ``first`` come before all others, whatever these
    say. ``abis`` begins with the machine's own."""

    default: int
    abis: tuple[str, ...]
    rules: tuple[Rule, ...]
    first: tuple[Rule, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """``linux.seccomp`` of the OCI runtime specification."""
        names = {machine.abi: machine.name for machine in MACHINES.values()}
        names |= {abi: name for machine in MACHINES.values() for name, abi in machine.others}
        return {
            **_action_json(self.default, "defaultAction", "defaultErrnoRet"),
            "architectures": [names[abi] for abi in self.abis],
            "syscalls": [_rule_json(rule) for rule in self.rules],
        }


def resolve(profile: Profile, *, capabilities: int, machine: str, kernel: tuple[int, int]) -> Policy:
    """What ``profile`` says for a container with this bounding set. Raises Unsupported for a machine that is not ours."""
    if machine not in MACHINES:
        raise Unsupported(f"seccomp: no table of system calls for {machine}")
    here = MACHINES[machine]
    mapped = next((others for name, others in profile.arch_map if name == here.name), profile.architectures)
    rules = (
        rule
        for rule in profile.rules
        if _included(rule.includes, capabilities, here, kernel) and not _excluded(rule.excludes, capabilities, here, kernel)
    )
    return Policy(
        default=profile.default,
        abis=(here.abi, *(abi for name, abi in here.others if name in mapped)),
        rules=tuple(rules),
    )


def open_to_all(machine: str) -> Policy:
    """No profile at all. Raises Unsupported for a machine that is not ours."""
    if machine not in MACHINES:
        raise Unsupported(f"seccomp: no table of system calls for {machine}")
    here = MACHINES[machine]
    return Policy(default=ALLOW, abis=(here.abi, *(abi for _, abi in here.others)), rules=())


def _included(asked: Selection, capabilities: int, machine: Machine, kernel: tuple[int, int]) -> bool:
    """Everything that is asked for is there."""
    if asked.architectures and machine.go_name not in asked.architectures:
        return False
    if asked.min_kernel is not None and kernel < asked.min_kernel:
        return False
    return asked.capabilities & ~capabilities == 0


def _excluded(asked: Selection, capabilities: int, machine: Machine, kernel: tuple[int, int]) -> bool:
    """Anything of it is there."""
    if machine.go_name in asked.architectures or asked.capabilities & capabilities:
        return True
    return asked.min_kernel is not None and kernel >= asked.min_kernel


def _rule_json(rule: Rule) -> dict[str, Any]:
    arguments = [_condition_json(condition) for condition in rule.conditions]
    return {
        "names": [*rule.names],
        **_action_json(rule.action, "action", "errnoRet"),
        **({"args": arguments} if arguments else {}),
    }


def _condition_json(condition: Condition) -> dict[str, Any]:
    two = {"valueTwo": condition.value_two} if condition.operator == "MASKED_EQ" else {}
    return {"index": condition.index, "value": condition.value, **two, "op": f"SCMP_CMP_{condition.operator}"}


def _action_json(action: int, word: str, number: str) -> dict[str, Any]:
    kind = action & ~DATA
    return {word: _WORDS[kind], **({number: action & DATA} if kind in (ERRNO, TRACE) else {})}
