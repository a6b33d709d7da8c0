"""What holds a place back, from recorded facts: the words' cause, the exact lines, the order; and that nothing is said of a
place where nothing is wrong."""

from __future__ import annotations

import errno

import pytest

from pyrt.host import CHROOT, FULL, NONE, USERNS, Host
from pyrt.machine import FileSystem, Machine
from pyrt.obstacles import APPARMOR, IDS, LAYERS, ORDER, PROC, Obstacle, find, hint
from pyrt.remedies import CONTEXT, OWN_USERS
from pyrt.remedies import POD as POD_HOW
from pyrt.subordinate import MISSING, NO_NEW_PRIVILEGES, NOSUID, UNPRIVILEGED, Mapper
from pyrt.values import replace
from tests.doctor.places import (
    CONTAINER_ROOT,
    DOCKER,
    DOCKERS,
    MACHINE,
    MASKED,
    POD,
    REFUSED,
    ROOT,
    USER,
    WITH_IDS,
    steps,
)

USERMOD = "sudo usermod --add-subuids 165536-231071 --add-subgids 165536-231071 ann"
SUDO_PYRT = ("sudo pyrt run IMAGE",)


def lines(found: tuple[Obstacle, ...]) -> list[tuple[str, tuple[str, ...]]]:
    return [(obstacle.raises, obstacle.remedy.lines) for obstacle in found]


def lack(*lacks: str) -> tuple[Mapper, ...]:
    names = ("newuidmap", "newgidmap")
    return tuple(
        Mapper(path="" if why == MISSING else f"/usr/bin/{name}", lacks=why) for name, why in zip(names, lacks, strict=True)
    )


@pytest.mark.parametrize(
    ("host", "machine"),
    [
        (ROOT, MACHINE),
        (WITH_IDS, MACHINE),
        (replace(ROOT, sandboxed=True, steps=steps()), replace(DOCKER, over_proc=())),
        # What is in the way of nothing: root needs no ids, subordinate ones are there, the probe's proc works anyway.
        (ROOT, replace(MACHINE, max_user_namespaces=0, unprivileged_userns_clone=0, apparmor_restricts=1, over_proc=MASKED)),
        (WITH_IDS, replace(MACHINE, apparmor_restricts=1, over_proc=("/proc/sys/fs/binfmt_misc",), rooted=False, seccomp=True)),
    ],
)
def test_nothing_is_in_the_way(host: Host, machine: Machine) -> None:
    assert find(host, machine) == ()


@pytest.mark.parametrize(
    ("changes", "number", "expected"),
    [
        ({"max_user_namespaces": 0}, errno.ENOSPC, (
            "sudo sysctl -w user.max_user_namespaces=28633",
            "echo user.max_user_namespaces=28633 | sudo tee -a /etc/sysctl.d/pyrt.conf",
        )),
        ({"max_user_namespaces": 20000}, errno.ENOSPC, (
            "sudo sysctl -w user.max_user_namespaces=40000",
            "echo user.max_user_namespaces=40000 | sudo tee -a /etc/sysctl.d/pyrt.conf",
        )),
        ({"unprivileged_userns_clone": 0}, errno.EPERM, (
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
            "echo kernel.unprivileged_userns_clone=1 | sudo tee -a /etc/sysctl.d/pyrt.conf",
        )),
        ({"apparmor_restricts": 1}, errno.EACCES, (
            "pyrt doctor --apparmor | sudo tee /etc/apparmor.d/pyrt-userns",
            "sudo apparmor_parser -r /etc/apparmor.d/pyrt-userns",
        )),
        ({"seccomp": True}, errno.EPERM, ("docker run --security-opt seccomp=unconfined ...", "RestrictNamespaces=no")),
        ({"label": "mine (enforce)"}, errno.EACCES, ("docker run --security-opt apparmor=unconfined ...",)),
        ({"rooted": False}, errno.EPERM, ("systemd-nspawn -D DIR",)),
        ({"has_user_namespaces": False}, errno.EINVAL, ()),
        ({}, errno.EPERM, (
            "docker run --security-opt seccomp=unconfined --security-opt label=disable ...", "RestrictNamespaces=no",
        )),
    ],
)  # fmt: skip
def test_a_user_who_may_have_no_user_namespace(changes: dict[str, object], number: int, expected: tuple[str, ...]) -> None:
    host = replace(REFUSED, steps=steps(chroot=errno.EPERM, unshare=number))
    found = find(host, replace(MACHINE, **changes))
    assert lines(found) == [(USERNS, expected), (FULL, SUDO_PYRT)]
    assert found[0].gain == "pyrt can start containers here, and nobody has to be root for it."


def test_ubuntu_refuses_the_map_and_not_the_namespace() -> None:
    host = replace(REFUSED, steps=steps(map=errno.EPERM))
    found = find(host, replace(MACHINE, apparmor_restricts=1, distribution=("ubuntu", "debian")))
    assert "--apparmor" in found[0].remedy.lines[0]


def test_two_causes_have_both_to_go() -> None:
    found = find(REFUSED, replace(MACHINE, max_user_namespaces=0, unprivileged_userns_clone=0))
    assert [obstacle.raises for obstacle in found] == [USERNS, USERNS, FULL]


def test_no_space_has_come_past_every_filter() -> None:
    host = replace(REFUSED, steps=steps(unshare=errno.ENOSPC))
    found = find(host, replace(DOCKER, max_user_namespaces=0, unprivileged_userns_clone=0, over_proc=()))
    assert lines(found)[0] == (
        USERNS,
        (
            "sysctl -w user.max_user_namespaces=28633",
            "echo user.max_user_namespaces=28633 >> /etc/sysctl.d/pyrt.conf",
        ),
    )
    assert found[0].remedy.how == "On the machine that runs this container, as root, type:"
    assert [obstacle.raises for obstacle in found] == [USERNS, CHROOT]


def test_a_setting_of_a_user_namespace_ends_with_it() -> None:
    host = replace(CONTAINER_ROOT, initial=False, steps=steps(unshare=errno.ENOSPC))
    found = find(host, replace(MACHINE, max_user_namespaces=0))
    assert found[0].remedy.lines == ("sysctl -w user.max_user_namespaces=28633",)


def test_root_in_a_container_of_docker() -> None:
    assert lines(find(CONTAINER_ROOT, DOCKER)) == [
        (USERNS, ("docker run --security-opt seccomp=unconfined ...",)),
        (USERNS, ("docker run --security-opt apparmor=unconfined ...",)),
        (PROC, ("docker run --security-opt systempaths=unconfined ...",)),
    ]


def test_root_in_a_container_of_podman() -> None:
    found = find(CONTAINER_ROOT, replace(DOCKER, container="podman", label="unconfined"))
    assert lines(found) == [
        (USERNS, ("podman run --security-opt seccomp=unconfined ...",)),
        (PROC, ("podman run --security-opt unmask=ALL ...",)),
    ]


def test_a_pod() -> None:
    """Without a filter, as most are: user namespaces work, a fresh /proc does not, and the store is on the pod's overlay."""
    host = replace(CONTAINER_ROOT, rung=USERNS, ids=None, steps=steps(proc=errno.EPERM, overlay=errno.EINVAL))
    assert lines(find(host, POD)) == [
        (PROC, (OWN_USERS, CONTEXT, "  procMount: Unmasked")),
        (LAYERS, (
            "volumes: [{name: pyrt, emptyDir: {}}]",
            "containers: [{..., volumeMounts: [{name: pyrt, mountPath: /var/lib/pyrt}]}]",
        )),
    ]  # fmt: skip


def test_a_restricted_pod() -> None:
    host = replace(REFUSED, sandboxed=True)
    found = find(host, replace(POD, seccomp=True, user="1000", label="cri-containerd.apparmor.d (enforce)", over_proc=()))
    assert lines(found) == [
        (USERNS, (CONTEXT, "  seccompProfile:", "    type: Unconfined")),
        (USERNS, (CONTEXT, "  appArmorProfile:", "    type: Unconfined")),
        (CHROOT, (CONTEXT, "  runAsNonRoot: false", "  runAsUser: 0")),
    ]
    assert found[2].what == "This container runs as user 1000, not as root."


def test_root_that_may_not_even_chroot() -> None:
    host = replace(CONTAINER_ROOT, rung=NONE, capabilities=0, steps=steps(chroot=errno.EPERM, unshare=errno.EPERM))
    found = find(host, replace(DOCKER, label="", over_proc=()))
    assert lines(found) == [
        (USERNS, ("docker run --security-opt seccomp=unconfined ...",)),
        (CHROOT, ("docker run --cap-add SYS_CHROOT ...",)),
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"mappers": lack(MISSING, MISSING)}, ["sudo apt-get install -y uidmap"]),
        ({"mappers": lack("", MISSING), "distribution": ("fedora",)}, ["sudo dnf install -y shadow-utils"]),
        ({"mappers": lack("", MISSING), "distribution": ("rocky", "rhel", "centos", "fedora")},
         ["sudo dnf install -y shadow-utils"]),
        ({"mappers": lack("", MISSING), "distribution": ("opensuse-leap", "suse")}, ["sudo zypper install -y shadow"]),
        ({"mappers": lack("", MISSING), "distribution": ("nixos",)}, []),
        ({"mappers": lack(UNPRIVILEGED, UNPRIVILEGED)}, ["sudo chmod u+s /usr/bin/newuidmap /usr/bin/newgidmap"]),
        ({"mappers": lack("", UNPRIVILEGED)}, ["sudo chmod u+s /usr/bin/newgidmap"]),
        ({"mappers": lack(NOSUID, NOSUID)}, ["sudo mount -o remount,suid $(findmnt -n -o TARGET -T /usr/bin/newgidmap)"]),
        ({"mappers": lack(NO_NEW_PRIVILEGES, NO_NEW_PRIVILEGES), "no_new_privileges": True}, ["NoNewPrivileges=no"]),
        ({"subordinate_users": (), "subordinate_groups": ()},
         ["sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ann"]),
        ({"subordinate_users": (("bob", 100000, 65536), ("1000", 300, 100))}, [USERMOD]),
        ({"subordinate_groups": (("ann", 100000, 1000),), "subordinate_users": (("1000", 100000, 65536),)}, [USERMOD]),
        ({"user": "1000", "subordinate_users": (("bob", 100000, 65536),)},
         ["echo 1000:165536:65536 | sudo tee -a /etc/subuid", "echo 1000:165536:65536 | sudo tee -a /etc/subgid"]),
        ({"ids": 1}, ["unshare --map-root-user --map-auto"]),
        ({"mappers": lack(MISSING, MISSING), "subordinate_users": (), "subordinate_groups": ()},
         ["sudo apt-get install -y uidmap", "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ann"]),
    ],
)  # fmt: skip
def test_a_user_with_one_id(changes: dict[str, object], expected: list[str]) -> None:
    found = find(USER, replace(MACHINE, **changes))
    assert [line for obstacle in found for line in obstacle.remedy.lines] == expected
    assert {obstacle.raises for obstacle in found} == {IDS}
    assert all(obstacle.remedy.how for obstacle in found)


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ("docker", "Start this container again, without the option --security-opt no-new-privileges."),
        ("kubernetes", POD_HOW),
    ],
)
def test_no_new_privileges_in_a_container(container: str, expected: str) -> None:
    mappers = lack(NO_NEW_PRIVILEGES, NO_NEW_PRIVILEGES)
    (found,) = find(USER, replace(MACHINE, container=container, no_new_privileges=True, mappers=mappers))
    assert found.remedy.how == expected


def test_root_in_a_container_with_one_id() -> None:
    host = replace(USER, uid=0, gid=0, capabilities=DOCKERS & ~(1 << 6 | 1 << 7))
    (found,) = find(host, replace(DOCKER, over_proc=()))
    assert found.remedy.lines == ("docker run --cap-add SETUID --cap-add SETGID ...",)
    (found,) = find(replace(host, capabilities=DOCKERS, initial=False), replace(DOCKER, over_proc=(), ids=1000))
    assert (found.remedy.lines, found.what) == (
        ("docker run --userns host ...",),
        "This place has 1000 user ids itself, too few to share.",
    )


def test_a_masked_proc_where_nothing_is_known() -> None:
    (found,) = find(replace(WITH_IDS, steps=steps(proc=errno.EPERM)), replace(MACHINE, over_proc=("/proc/a",)))
    assert found.remedy.lines == ("docker run --security-opt systempaths=unconfined ...", "ProtectKernelTunables=no")
    assert "are hidden (/proc/a). " in found.why
    (found,) = find(replace(WITH_IDS, steps=steps(proc=errno.EPERM)), MACHINE)
    assert "are hidden. " in found.why


@pytest.mark.parametrize(
    ("number", "changes", "expected"),
    [
        (errno.ENODEV, {}, ("sudo modprobe overlay", "echo overlay | sudo tee /etc/modules-load.d/overlay.conf")),
        (errno.EPERM, {"kernel": (5, 10)}, ()),
        (errno.EINVAL, {"store": FileSystem(path="/nfs/ann", kind="nfs")}, ("export PYRT_ROOT=/var/tmp/pyrt-ann",)),
        (errno.EPERM, {"store": FileSystem(path="/x", kind="ext4")}, ("export PYRT_ROOT=/var/tmp/pyrt-ann",)),
        (errno.EINVAL, {"container": "docker"}, ("docker run -v pyrt:/home/ann/.local/share/pyrt ...",)),
    ],
)
def test_a_store_that_carries_no_layers(number: int, changes: dict[str, object], expected: tuple[str, ...]) -> None:
    (found,) = find(replace(WITH_IDS, steps=steps(overlay=number)), replace(MACHINE, **changes))
    assert (found.raises, found.remedy.lines) == (LAYERS, expected)
    assert ("another machine" in found.why) is ("nfs" in found.what)


@pytest.mark.parametrize(
    ("lacks", "expected"),
    [
        ("profile x is not loaded, and apparmor_parser is not installed", [("apt-get install -y apparmor",)]),
        ("no securityfs is mounted at /sys/kernel/security",
         [("mount -t securityfs securityfs /sys/kernel/security",)]),
        ("profile x is not loaded, and loading it takes root with CAP_MAC_ADMIN", []),
    ],
)  # fmt: skip
def test_root_without_apparmors_profile(lacks: str, expected: list[tuple[str, ...]]) -> None:
    assert lines(find(ROOT, replace(MACHINE, lacks_for_apparmor=lacks))) == [(APPARMOR, each) for each in expected]


def test_the_best_gain_comes_first() -> None:
    everything = replace(DOCKER, apparmor_restricts=1, unprivileged_userns_clone=0)
    for host in (CONTAINER_ROOT, replace(REFUSED, uid=0), replace(USER, steps=steps(proc=1, overlay=22))):
        raises = [obstacle.raises for obstacle in find(host, everything)]
        assert raises == sorted(raises, key=ORDER.index)
        assert len(raises) > 2


def test_the_hint_of_an_error() -> None:
    assert hint(REFUSED, replace(MACHINE, unprivileged_userns_clone=0)) == (
        "This kernel allows user namespaces for root only: sudo sysctl -w kernel.unprivileged_userns_clone=1; "
        "pyrt doctor says more"
    )
    pod = replace(POD, seccomp=True)
    assert hint(REFUSED, pod) == "A filter around this place forbids what makes containers; pyrt doctor says more"
    assert hint(REFUSED, replace(MACHINE, has_user_namespaces=False)) == (
        "This kernel was built without user namespaces; pyrt doctor says more"
    )
