"""What holds a place back, and the line that would change it: from facts alone, nothing is read or tried here.

Written for somebody who has never heard of namespaces, and who may have to hand the lines on to an administrator.
"""

from __future__ import annotations

import errno
import os

from pyrt import refusals, remedies
from pyrt.host import CHROOT, FULL, NONE, SETGID, SETUID, USERNS, Host
from pyrt.ids import ENOUGH
from pyrt.machine import KUBERNETES, Machine
from pyrt.remedies import Remedy
from pyrt.subordinate import MISSING, NO_NEW_PRIVILEGES, NOSUID, UNPRIVILEGED
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

IDS, PROC, LAYERS, APPARMOR = "user ids", "own /proc", "layers", "AppArmor"
ORDER = (USERNS, CHROOT, FULL, IDS, PROC, LAYERS, APPARMOR)  # of gains, the best first

_OVERLAY_FOR_USERS = (5, 11)  # the kernel that lets a user namespace mount overlayfs

_GAINS = {
    (NONE, USERNS): "pyrt can start containers here, and nobody has to be root for it.",
    (NONE, CHROOT): "pyrt can start containers here. They see other files, but are not shut in.",
    (NONE, FULL): "pyrt can start containers, with every barrier.",
    (CHROOT, USERNS): "Containers are shut in: with processes, mounts and a root user of their own.",
    IDS: "Every user of an image is a user of its own, as on a real machine: servers that give up root work, and programs that "
    "look at who owns a file.",
    PROC: "Containers see their own processes in /proc, and nobody else's.",
    LAYERS: "Containers start at once and share the files of their image, instead of copying them.",
    APPARMOR: "A second wall behind the other barriers: the profile that docker's containers have too.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """One thing in the way. ``what`` is a sentence, ``why`` says what it means and how it comes about, ``remedy`` what to type
    and where, ``raises`` the rung or the barrier that gets better, ``gain`` how, in words."""

    what: str
    why: str
    remedy: Remedy
    raises: str
    gain: str

    def to_json(self) -> dict[str, Any]:
        """``pyrt doctor``'s form."""
        return {
            "What": self.what,
            "Why": self.why,
            "How": self.remedy.how,
            "Lines": [*self.remedy.lines],
            "Raises": self.raises,
            "Gain": self.gain,
        }


def find(host: Host, machine: Machine, profile: str = "pyrt-userns") -> tuple[Obstacle, ...]:
    """Everything that is in the way of this process, the best gain first. ``profile`` is the name of the AppArmor profile that
    ``pyrt doctor --apparmor`` prints."""
    found: list[Obstacle] = []
    if host.rung in (CHROOT, NONE):
        found += _no_user_namespace(host, machine, profile)
    if host.rung == NONE:
        found += _no_root(host, machine)
    if host.rung == USERNS and host.is_mapped_alone():
        found += _one_id(host, machine)
    if host.step("proc") or (host.rung in (CHROOT, NONE) and machine.over_proc):
        found.append(_masked_proc(machine, later=host.rung in (CHROOT, NONE)))
    if host.step("overlay"):
        found.append(_no_overlay(host, machine))
    if host.rung == FULL and machine.lacks_for_apparmor:
        found += _no_apparmor(host, machine)
    return tuple(sorted(found, key=lambda obstacle: ORDER.index(obstacle.raises)))


def hint(host: Host, machine: Machine) -> str:
    """The best of it in one line, for an error."""
    first = find(host, machine)[0]
    lines = () if machine.container == KUBERNETES else first.remedy.lines[:1]  # a pod's are of no use one by one
    return "".join([first.what.rstrip("."), *(f": {line}" for line in lines), "; pyrt doctor says more"])


def _no_user_namespace(host: Host, machine: Machine, profile: str) -> Iterator[Obstacle]:
    """Every cause that would have to go. The step that failed, and how, rules some of them out."""
    step, number = next(((name, number) for name, number in host.steps if number and name != "chroot"), ("", 0))
    for what, why, remedy in refusals.causes(host, machine, step, number, profile):
        yield Obstacle(what=what, why=why, remedy=remedy, raises=USERNS, gain=_GAINS[host.rung, USERNS])


def _no_root(host: Host, machine: Machine) -> Iterator[Obstacle]:
    """The other way to containers: being root."""
    if host.uid == 0:
        what, why = "root may not chroot here.", "The place was started with fewer rights than root has by default."
        option, pod = "--cap-add SYS_CHROOT", (remedies.CONTEXT, "  capabilities:", "    add: [SYS_CHROOT]")
    elif machine.container:
        what, why = f"This container runs as user {machine.user}, not as root.", "As root pyrt could at least chroot."
        option, pod = "--user 0", (remedies.CONTEXT, "  runAsNonRoot: false", "  runAsUser: 0")
    else:
        yield Obstacle(
            what="You are not root.",
            why="root needs no user namespace to start containers.",
            remedy=Remedy(how="If you may use sudo, type:", lines=("sudo pyrt run IMAGE",)),
            raises=FULL,
            gain=_GAINS[NONE, FULL],
        )
        return
    remedy = remedies.container_option(machine, docker=option, pod=pod)
    yield Obstacle(what=what, why=why, remedy=remedy, raises=CHROOT, gain=_GAINS[NONE, CHROOT])


def _one_id(host: Host, machine: Machine) -> Iterator[Obstacle]:
    for what, remedy in _reasons_for_one_id(host, machine):
        yield Obstacle(
            what=what,
            why="Containers have one user here, whatever names their image has: root in a container is you, and so is "
            "everybody else there. Most programs do not mind.",
            remedy=remedy,
            raises=IDS,
            gain=_GAINS[IDS],
        )


def _reasons_for_one_id(host: Host, machine: Machine) -> Iterator[tuple[str, Remedy]]:
    if machine.ids < ENOUGH:
        few = "one user id itself" if machine.ids == 1 else f"{machine.ids} user ids itself, too few to share"
        yield (
            f"This place has {few}.",
            remedies.container_option(
                machine, docker="--userns host", podman="--userns auto:size=131072", pod=(remedies.OWN_USERS,)
            )
            if machine.container
            else Remedy(how="If you came here by 'unshare -Ur', come here by:", lines=("unshare --map-root-user --map-auto",)),
        )
        return
    if host.uid == 0 and not (host.holds(SETUID) and host.holds(SETGID)):
        yield (
            "root may not change its user here.",
            remedies.container_option(
                machine,
                docker="--cap-add SETUID --cap-add SETGID",
                pod=(remedies.CONTEXT, "  capabilities:", "    add: [SETUID, SETGID]"),
            ),
        )
        return
    lacks = {mapper.lacks: mapper.path for mapper in machine.mappers if mapper.lacks}
    if MISSING in lacks:
        what = "The programs newuidmap and newgidmap are not installed."
        yield what, remedies.package(machine, uid=host.uid)
    if UNPRIVILEGED in lacks:
        paths = " ".join(mapper.path for mapper in machine.mappers if mapper.lacks == UNPRIVILEGED)
        yield "newuidmap and newgidmap have lost their rights.", remedies.as_root(f"chmod u+s {paths}", uid=host.uid)
    if NOSUID in lacks:
        find = f"$(findmnt -n -o TARGET -T {lacks[NOSUID]})"
        what = "newuidmap and newgidmap are on a file system that takes their rights away."
        yield what, remedies.as_root(f"mount -o remount,suid {find}", uid=host.uid)
    if NO_NEW_PRIVILEGES in lacks or machine.no_new_privileges:
        yield "No program may get more rights than it was started with.", _new_privileges(machine)
    if _few(machine, machine.subordinate_users, host) or _few(machine, machine.subordinate_groups, host):
        what = f"No user ids are set aside for the containers of user {machine.user}."
        yield what, remedies.subordinate_ids(machine, uid=host.uid)


def _new_privileges(machine: Machine) -> Remedy:
    if machine.container == KUBERNETES:
        return Remedy(
            how=remedies.POD,
            lines=(remedies.CONTEXT, "  allowPrivilegeEscalation: true"),
        )
    if machine.container:
        return Remedy(how="Start this container again, without the option --security-opt no-new-privileges.")
    return Remedy(how="If this is a service of systemd, give its unit the line:", lines=("NoNewPrivileges=no",))


def _few(machine: Machine, given: tuple[tuple[str, int, int], ...], host: Host) -> bool:
    owners = (machine.user, str(host.uid))
    return sum(count for owner, _, count in given if owner in owners) < ENOUGH - 1


def _masked_proc(machine: Machine, *, later: bool) -> Obstacle:
    """``later``: nothing has come so far yet."""
    several = ", ".join((*machine.over_proc[:3], "...") if machine.over_proc[3:] else machine.over_proc)
    return Obstacle(
        what=f"Containers {'could not' if later else 'cannot'} have a /proc of their own {'even then' if later else 'here'}.",
        why="The kernel gives no fresh one to somebody from whom parts of the old one are hidden"
        f"{f' ({several})' if several else ''}. Containers get the /proc of this place instead, and see its processes. "
        "With the lines below everything in this place sees those parts too.",
        remedy=remedies.container_option(
            machine,
            docker="--security-opt systempaths=unconfined",
            podman="--security-opt unmask=ALL",
            pod=(remedies.OWN_USERS, remedies.CONTEXT, "  procMount: Unmasked"),
            other="ProtectKernelTunables=no",
        ),
        raises=PROC,
        gain=_GAINS[PROC],
    )


def _no_overlay(host: Host, machine: Machine) -> Obstacle:
    number = host.step("overlay")
    store = machine.store
    if number == errno.ENODEV:
        what, why = "The kernel has not loaded overlayfs.", "It is what puts the layers of an image on top of each other."
        lines = ("modprobe overlay", "echo overlay > /etc/modules-load.d/overlay.conf")
        remedy = remedies.as_root(*lines, uid=host.uid, inside=bool(machine.container))
    elif number == errno.EPERM and machine.kernel < _OVERLAY_FOR_USERS and host.rung == USERNS:
        what = "This kernel lets only root put layers on top of each other."
        why = f"Overlayfs in user namespaces came with Linux 5.11, and this is {machine.kernel[0]}.{machine.kernel[1]}."
        remedy = Remedy(how="Only a newer kernel changes that.")
    else:
        what = f"The images are kept where their layers cannot be stacked ({store.kind or 'an unknown file system'})."
        far = " It is, or may be, on another machine." if store.remote else ""
        why = f"{store.path} is where pyrt keeps its images, and overlayfs answered '{os.strerror(number)}' there.{far}"
        remedy = _another_store(machine)
    return Obstacle(what=what, why=why, remedy=remedy, raises=LAYERS, gain=_GAINS[LAYERS])


def _another_store(machine: Machine) -> Remedy:
    path = machine.store.path
    if not machine.container:
        return Remedy(
            how="Choose a directory of your own on a local disk, and pull the images again:",
            lines=(f"export PYRT_ROOT=/var/tmp/pyrt-{machine.user}",),
        )
    return remedies.container_option(
        machine,
        docker=f"-v pyrt:{path}",
        pod=(
            "volumes: [{name: pyrt, emptyDir: {}}]",
            f"containers: [{{..., volumeMounts: [{{name: pyrt, mountPath: {path}}}]}}]",
        ),
    )


def _no_apparmor(host: Host, machine: Machine) -> Iterator[Obstacle]:
    if "securityfs" in machine.lacks_for_apparmor:
        remedy = remedies.as_root("mount -t securityfs securityfs /sys/kernel/security", uid=host.uid)
    elif "installed" in machine.lacks_for_apparmor:
        remedy = remedies.package(machine, apparmor=True, uid=host.uid)
    else:
        return  # by whoever holds CAP_MAC_ADMIN: nothing that one line gives
    yield Obstacle(
        what="Containers run without an AppArmor profile.",
        why=f"{machine.lacks_for_apparmor[0].upper()}{machine.lacks_for_apparmor[1:]}.",
        remedy=remedy,
        raises=APPARMOR,
        gain=_GAINS[APPARMOR],
    )
