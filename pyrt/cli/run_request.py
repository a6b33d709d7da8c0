"""From the options of ``pyrt run`` to a RunRequest. Everything is checked here, before anything is touched."""

from __future__ import annotations

import os
from typing import TypeVar

from pyrt.cli.env import Variable, resolve
from pyrt.cli.security_options import security
from pyrt.errors import UsageError
from pyrt.request import HOST, Device, DeviceRule, Mount, RunRequest, Ulimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")
Pairs = tuple[tuple[str, str], ...]

_DEFAULT_SHM = 64 << 20


def run_request(
    *,
    words: tuple[str, ...],
    rm: bool,
    interactive: bool,
    tty: bool,
    name: str | None,
    hostname: str | None,
    domainname: str | None,
    label: Pairs,
    label_file: tuple[Pairs, ...],
    annotation: Pairs,
    cidfile: str | None,
    init: bool,
    stop_signal: str | None,
    stop_timeout: int | None,
    timeout: float | None,
    env: tuple[Variable, ...],
    env_file: tuple[tuple[Variable, ...], ...],
    workdir: str | None,
    user: str | None,
    group_add: tuple[str, ...],
    entrypoint: str | None,
    volume: tuple[Mount, ...],
    mount: tuple[Mount, ...],
    tmpfs: tuple[Mount, ...],
    read_only: bool,
    scratch: str | None,
    shm_size: int | None,
    network: tuple[str, ...],
    add_host: Pairs,
    dns: tuple[str, ...],
    dns_search: tuple[str, ...],
    dns_option: tuple[str, ...],
    cap_add: tuple[str, ...],
    cap_drop: tuple[str, ...],
    privileged: bool,
    security_opt: Pairs,
    pid: str | None,
    ipc: str | None,
    uts: str | None,
    cgroupns: str | None,
    userns: str | None,
    isolation: str | None,
    min_isolation: str | None,
    device: tuple[Device, ...],
    device_cgroup_rule: tuple[DeviceRule, ...],
    ulimit: tuple[Ulimit, ...],
    sysctl: Pairs,
    pull: str | None,
    platform: str | None,
    rootfs: str | None,
    environ: Mapping[str, str] = os.environ,
) -> RunRequest:
    """The request for parsed options, named as in run_options.py; ``words`` are image and command. UsageError."""
    image, argv = ("", words) if rootfs else (words[0], words[1:])
    if not rootfs and not image:
        raise UsageError("the name of the image is empty")
    if ipc == HOST and shm_size:
        raise UsageError("--shm-size: with --ipc host /dev/shm is the host's own")
    confinement = security(security_opt)
    return RunRequest(
        image=image,
        rootfs=rootfs or "",
        argv=argv,
        entrypoint=None if entrypoint is None else (entrypoint,) if entrypoint else (),
        env=resolve((*_flat(env_file), *env), environ),
        workdir=workdir or None,
        user=user or None,
        group_add=group_add,
        name=name or None,
        hostname=hostname,
        domainname=domainname,
        mounts=_distinct((*volume, *mount, *tmpfs)),
        read_only=read_only,
        shm_size=shm_size or _DEFAULT_SHM,
        init=init,
        network=_one_network(network, sysctl),
        pull=pull or "missing",
        platform=platform,
        cap_add=cap_add,
        cap_drop=cap_drop,
        privileged=privileged,
        seccomp=confinement.seccomp,
        apparmor=confinement.apparmor,
        label=confinement.label,
        no_new_privileges=confinement.no_new_privileges,
        mask=confinement.mask,
        unmask=confinement.unmask,
        pid=pid or "",
        ipc=ipc or "",
        uts=uts or "",
        cgroupns=cgroupns or "",
        userns=userns or HOST,
        isolation=isolation or "",
        min_isolation=min_isolation or "",
        devices=device,
        device_rules=device_cgroup_rule,
        ulimits=ulimit,
        sysctls=sysctl,
        labels=(*_flat(label_file), *label),
        annotations=annotation,
        add_host=add_host,
        dns=dns,
        dns_search=dns_search,
        dns_option=dns_option,
        cidfile=cidfile or None,
        stop_signal=stop_signal,
        stop_timeout=stop_timeout,
        remove=rm,
        scratch=scratch or "auto",
        interactive=interactive,
        tty=tty,
        timeout=timeout or None,
    )


def _flat(groups: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(item for group in groups for item in group)


def _distinct(mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
    targets: set[str] = set()
    for mount in mounts:
        if mount.target in targets:
            raise UsageError(f"two mounts at {mount.target}")
        targets.add(mount.target)
    return mounts


def _one_network(networks: tuple[str, ...], sysctls: Pairs) -> str:
    if len(set(networks)) > 1:
        raise UsageError(f"--network: {' and '.join(dict.fromkeys(networks))} exclude each other")
    network = networks[-1] if networks else "host"
    for name, _ in sysctls:
        if network == "host" and name.startswith("net."):
            raise UsageError(f"--sysctl {name}: would change the host's own network", hint="use it with --network none")
    return network
