"""podman with a storage of its own, on overlay as podman has it by default."""

from __future__ import annotations

from pathlib import Path

# Its own default limits are higher than what root may set where CAP_SYS_RESOURCE is missing (virtual machines, pods).
LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000")


class PodmanStorage:
    """The storage below ``directory``; ``command`` is podman with the options that lead there."""

    def __init__(self, directory: Path) -> None:
        self.command = ["podman", f"--root={directory}/r", f"--runroot={directory}/rr", "--storage-driver=overlay"]

    def run(self, image: str, *argv: str) -> list[str]:
        """A container as close to pyrt's as podman has one: the host's network, no cgroup, no log."""
        options = ("--rm", "--network=host", "--cgroups=disabled", "--log-driver=none", *LIMITS)
        return [*self.command, "run", *options, image, *argv]
