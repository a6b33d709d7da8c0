"""Why there is no user namespace to be had here, and what would change it: every cause that the facts show.

The step that failed, and how, rules some of them out: csrc/userns.c makes the steps.
"""

from __future__ import annotations

import errno
import os

from pyrt import remedies
from pyrt.remedies import Remedy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyrt.host import Host
    from pyrt.machine import Machine

    Cause = tuple[str, str, Remedy]

_ENOUGH = 28633  # user namespaces: what Red Hat's and docker's documents have for rootless containers
_REFUSED = (errno.EPERM, errno.EACCES, errno.ENOSYS)
_LOOSENS = "Without it everything else in this place is less guarded too."
_MEANING = "They are what lets an ordinary user be root inside a container and nowhere else."


def causes(host: Host, machine: Machine, step: str, number: int, profile: str) -> list[Cause]:
    """What is in the way (a sentence), what that means, and the remedy: each of them has to go. One at least, were it that
    nothing is known. ``number`` is the errno of ``step``."""
    if not machine.has_user_namespaces:
        only = Remedy(how="Only another kernel changes that (CONFIG_USER_NS=y).")
        return [("This kernel was built without user namespaces.", _MEANING, only)]
    found = list(_limit(host, machine, number))
    if number != errno.ENOSPC:  # which comes after everything else has let the call pass
        found += [
            *_for_root_only(host, machine),
            *_filter(machine, step, number),
            *_apparmor(host, machine, number, profile),
            *_chroot(machine, number),
        ]
    return found or [_unknown(machine, step, number)]


def _limit(host: Host, machine: Machine, number: int) -> Iterator[Cause]:
    limit = machine.max_user_namespaces
    if limit is None or (limit and number != errno.ENOSPC):
        return
    if limit and not host.initial:  # ours is the limit below us: it is the one around us that is reached
        why = f"{_MEANING} Where this place was made there is a limit, user.max_user_namespaces, and it is reached."
        outside = Remedy(how="There, as root, type:", lines=(f"sysctl -w user.max_user_namespaces={_ENOUGH}",))
        yield "No further user namespaces are allowed in this place.", why, outside
        return
    what = f"All {limit} user namespaces are in use." if limit else "The kernel is set to allow no user namespaces."
    why = f"{_MEANING} The setting is user.max_user_namespaces, and it is {limit}."
    more = max(_ENOUGH, 2 * limit)
    yield what, why, remedies.sysctl("user.max_user_namespaces", more, host, machine)


def _for_root_only(host: Host, machine: Machine) -> Iterator[Cause]:
    if machine.unprivileged_userns_clone != 0:
        return
    name = "kernel.unprivileged_userns_clone"
    why = f"{_MEANING} The setting is {name}, and it is 0."
    yield "This kernel allows user namespaces for root only.", why, remedies.sysctl(name, 1, host, machine)


def _filter(machine: Machine, step: str, number: int) -> Iterator[Cause]:
    if not machine.seccomp or number not in _REFUSED or (step != "unshare" and not machine.container):
        return
    yield (
        "A filter around this place forbids what makes containers.",
        "Whoever started it gave it a list of system calls that may be used (seccomp), and some that pyrt needs are not on it. "
        f"Docker does so by default. {_LOOSENS}",
        remedies.container_option(
            machine,
            docker="--security-opt seccomp=unconfined",
            pod=(remedies.CONTEXT, "  seccompProfile:", "    type: Unconfined"),
            other="RestrictNamespaces=no",
        ),
    )


def _apparmor(host: Host, machine: Machine, number: int, profile: str) -> Iterator[Cause]:
    if number not in _REFUSED:
        return
    if machine.label.endswith("(enforce)"):
        yield (
            f"The AppArmor profile {machine.label.rpartition(' ')[0]} forbids what containers need.",
            f"AppArmor is a guard in the kernel; whoever started this place put it under that profile. {_LOOSENS}",
            remedies.container_option(
                machine,
                docker="--security-opt apparmor=unconfined",
                pod=(remedies.CONTEXT, "  appArmorProfile:", "    type: Unconfined"),
            ),
        )
    elif machine.apparmor_restricts:
        sudo, file = "sudo " if host.uid else "", f"/etc/apparmor.d/{profile}"
        yield (
            "AppArmor lets only programs that it knows have user namespaces.",
            "Ubuntu does so since 24.04. pyrt has one small program that asks for them. The lines make that program known, and "
            "loosen nothing else.",
            Remedy(
                how=remedies.SUDO if host.uid else remedies.TYPE,
                lines=(f"pyrt doctor --apparmor | {sudo}tee {file}", f"{sudo}apparmor_parser -r {file}"),
            ),
        )


def _chroot(machine: Machine, number: int) -> Iterator[Cause]:
    if machine.rooted or number != errno.EPERM:
        return
    yield (
        "pyrt runs in a chroot, and the kernel makes no user namespaces there.",
        "It refuses them to every process whose root directory is not a mount, whatever rights it has.",
        Remedy(how="Whoever entered it types, in place of 'chroot DIR':", lines=("systemd-nspawn -D DIR",)),
    )


def _unknown(machine: Machine, step: str, number: int) -> Cause:
    answer = f"'{os.strerror(number)}' at the step '{step}'" if number else "nothing"
    return (
        "The kernel refuses user namespaces, and nothing here says why.",
        f"It answered {answer}. A container, a security module (SELinux) or a hardened kernel may be behind it.",
        remedies.container_option(
            machine,
            docker="--security-opt seccomp=unconfined --security-opt label=disable",
            pod=(remedies.OWN_USERS, remedies.CONTEXT, "  seccompProfile:", "    type: Unconfined"),
            other="RestrictNamespaces=no",
        ),
    )
