"""What to type so that a place gives more: the lines themselves, for the place as it is. ``pyrt.obstacles`` says when."""

from __future__ import annotations

from pyrt.ids import ENOUGH
from pyrt.machine import DOCKER, KUBERNETES, PODMAN, Machine
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.host import Host

_PACKAGES = {
    # distribution (os-release(5)): how packages are installed, package of newuidmap, package of apparmor_parser
    "debian": ("apt-get install -y", "uidmap", "apparmor"),
    "ubuntu": ("apt-get install -y", "uidmap", "apparmor"),
    "fedora": ("dnf install -y", "shadow-utils", ""),
    "rhel": ("dnf install -y", "shadow-utils", ""),
    "suse": ("zypper install -y", "shadow", "apparmor-parser"),
    "arch": ("pacman -S --noconfirm", "shadow", "apparmor"),
    "alpine": ("apk add", "shadow-uidmap", "apparmor"),
}
CONTEXT = "securityContext:  # of the container"
OWN_USERS = "hostUsers: false  # below spec; Kubernetes 1.33 or later"
POD = "In the YAML of this pod, if the cluster allows it:"
TYPE, SUDO = "Type:", "Somebody who may use sudo types:"
_LOWEST = 100_000  # where useradd(8) begins, login.defs(5) SUB_UID_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """``how`` says where the lines go, in words that end with a colon; without lines it is a sentence of its own."""

    how: str
    lines: tuple[str, ...] = ()


def as_root(*lines: str, uid: int, inside: bool = False) -> Remedy:
    """Commands for an administrator; ``inside`` a container they have to be typed outside of it."""
    if inside:
        return Remedy(how="On the machine that runs this container, as root, type:", lines=lines)
    if uid == 0:
        return Remedy(how=TYPE, lines=lines)
    return Remedy(how=SUDO, lines=tuple(_sudo(line) for line in lines))


def sysctl(name: str, value: int, host: Host, machine: Machine) -> Remedy:
    """A kernel setting, now and after the next boot. In a user namespace it is one of that namespace, and ends with it."""
    inside, setting = bool(machine.container), f"{name}={value}"
    keep = (f"echo {setting} >> /etc/sysctl.d/pyrt.conf",) if host.initial or inside else ()
    return as_root(f"sysctl -w {setting}", *keep, uid=host.uid, inside=inside)


def container_option(machine: Machine, *, docker: str, podman: str = "", pod: tuple[str, ...], other: str = "") -> Remedy:
    """What the container around us has to be started with. ``pod`` are lines of its YAML; ``podman`` where it differs from
    ``docker``; ``other`` where it is not known what the place is."""
    if machine.container == KUBERNETES:
        return Remedy(how=POD, lines=pod)
    if machine.container == PODMAN:
        return Remedy(how="Start this container again, with this option:", lines=(f"podman run {podman or docker} ...",))
    if machine.container == DOCKER:
        return Remedy(how="Start this container again, with this option:", lines=(f"docker run {docker} ...",))
    known = (f"docker run {docker} ...",) if docker else ()
    how = "If this is a container, whoever starts it adds the option:"
    if other:
        return Remedy(how=f"{how[:-1]}; if it is a service of systemd, the line to its unit:", lines=(*known, other))
    return Remedy(how=how, lines=known)


def package(machine: Machine, *, apparmor: bool = False, uid: int) -> Remedy:
    """The package that brings newuidmap and newgidmap, or apparmor_parser."""
    for name in machine.distribution:
        if name.startswith("opensuse"):
            name = "suse"
        if name in _PACKAGES:
            install, mappers, parser = _PACKAGES[name]
            wanted = parser if apparmor else mappers
            if wanted:
                return as_root(f"{install} {wanted}", uid=uid)
    what = "apparmor_parser" if apparmor else "newuidmap and newgidmap"
    return Remedy(how=f"Install the package of this distribution that has {what}.")


def subordinate_ids(machine: Machine, *, uid: int) -> Remedy:
    """Entries for the caller in subuid(5) and subgid(5), behind everybody else's."""
    first, last = (free + offset for free in [_free(machine)] for offset in (0, ENOUGH - 1))
    if not machine.user.isdigit():
        return as_root(f"usermod --add-subuids {first}-{last} --add-subgids {first}-{last} {machine.user}", uid=uid)
    # usermod(8) knows the users of /etc/passwd alone; newuidmap takes numbers.
    entry = f"echo {machine.user}:{first}:{ENOUGH}"
    return as_root(f"{entry} >> /etc/subuid", f"{entry} >> /etc/subgid", uid=uid)


def _free(machine: Machine) -> int:
    """The first id that is nobody's yet, in both files."""
    taken = (*machine.subordinate_users, *machine.subordinate_groups)
    return max([_LOWEST, *(first + count for _, first, count in taken)])


def _sudo(line: str) -> str:
    """A redirection is the shell's, which is not root: tee(1) opens the file."""
    for sign, option in ((" >> ", "-a "), (" > ", "")):
        if sign in line:
            command, _, file = line.partition(sign)
            return f"{command} | sudo tee {option}{file}"
    return " | sudo ".join(line.split(" | ")) if " | " in line else f"sudo {line}"
