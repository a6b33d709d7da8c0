"""Debian's docker, started by a test: a daemon without bridge and iptables, whose files all lie in one directory."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.parts import need


@dataclass(frozen=True)
class Docker:
    """``socket`` is the daemon's; ``environment`` makes docker's client, and what calls it, use that daemon and no
    configuration of this machine's user."""

    directory: Path

    @property
    def socket(self) -> Path:
        return self.directory / "socket"

    @property
    def environment(self) -> dict[str, str]:
        own = {"DOCKER_HOST": f"unix://{self.socket}", "HOME": str(self.directory), "DOCKER_BUILDKIT": "0"}
        return {**os.environ, **own}

    def run(self, *words: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        """``docker WORDS...``."""
        given = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "timeout": 300, **options}
        return subprocess.run(["docker", *map(str, words)], env=self.environment, **given)  # type: ignore[call-overload, no-any-return]

    def check(self, *words: str | Path, **options: object) -> str:
        """Standard output of a docker command that has to succeed."""
        done = self.run(*words, **options)
        assert done.returncode == 0, done
        return done.stdout


@contextmanager
def running_dockerd(directory: Path) -> Iterator[Docker]:
    """A daemon for as long as the context lasts. ``directory`` must be new and below few others: a socket's path has to be
    short (unix(7)). Its containers and control groups are removed in the end."""
    need("dockerd", "docker", "containerd", "runc", "unshare", "setpriv")
    directory.mkdir()
    docker = Docker(directory)
    parent = f"/pyrt-test-dockerd-{os.getpid()}"
    (directory / "daemon.json").write_text("{}")
    argv = [
        # It ends with us, however we end.
        "setpriv", "--pdeathsig=TERM",
        # In a mount namespace of its own: what it mounts goes away with it, and the namespace file that it keeps.
        "unshare", "--mount", "--propagation=private",
        "dockerd", f"--data-root={directory}/data", f"--exec-root={directory}/exec", f"--pidfile={directory}/pid",
        f"--host=unix://{docker.socket}", f"--cgroup-parent={parent}", f"--config-file={directory}/daemon.json",
        "--storage-driver=overlay2",
        # Nothing of this machine's network is touched.
        "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
    ]  # fmt: skip
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=docker.environment)
    try:
        deadline = time.monotonic() + 60
        while docker.run("version").returncode != 0:
            assert process.poll() is None, (directory / "log").read_text(errors="replace")[-3000:]
            assert time.monotonic() < deadline, "dockerd does not answer"
            time.sleep(0.1)
        yield docker
        left = docker.check("ps", "-aq").split()
        if left:
            docker.check("rm", "-f", *left)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        _remove_cgroups(parent)


def _remove_cgroups(name: str) -> None:
    """Docker makes its parent group and keeps it."""
    for hierarchy in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]:
        group = Path(f"{hierarchy}{name}")
        deadline = time.monotonic() + 10
        while group.is_dir():
            # The kernel takes a killed container down in its own time.
            with suppress(OSError):
                group.rmdir()
            assert time.monotonic() < deadline, f"{group} is not empty"
            time.sleep(0.05)
