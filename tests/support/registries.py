"""Debian's docker-registry, started on a free port of loopback, in the four ways that registries guard themselves."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.parts import need

USER, PASSWORD = "anna", "pa55:wörd"


@dataclass(frozen=True, kw_only=True)
class RunningRegistry:
    """``host`` is host:port. ``certificate`` is the PEM file of the private authority, None without TLS."""

    host: str
    root: Path
    log: Path
    certificate: Path | None = None
    login: tuple[str, str] | None = None

    def push(self, layout: Path, name: str, *options: str, source: str = "latest") -> None:
        """Copies an image from an OCI layout to ``name`` (repository:tag) by skopeo."""
        need("skopeo")
        login = [f"--dest-creds={':'.join(self.login)}"] if self.login else []
        trust = f"--dest-cert-dir={self.certificate.parent}" if self.certificate else "--dest-tls-verify=false"
        subprocess.run(
            ["skopeo", "copy", "-q", "--insecure-policy", *options, *login, trust, f"oci:{layout}:{source}",
             f"docker://{self.host}/{name}"],
            check=True,
        )  # fmt: skip

    def requests(self) -> list[str]:
        """The request lines that the registry has logged so far, as ``GET /v2/... 200``."""
        found = []
        for line in self.log.read_text().splitlines():
            if '" ' in line and 'HTTP/1.1"' in line:
                request, _, rest = line.partition('"')[2].partition('"')
                method, path, _ = request.split(" ")
                found.append(f"{method} {path} {rest.split()[0]}")
        return found


@contextmanager
def running_registry(
    directory: Path,
    *,
    listen: str = "127.0.0.1",
    tls: tuple[Path, Path, Path] | None = None,
    htpasswd: tuple[str, str] | None = None,
    token: dict[str, str] | None = None,
    login: tuple[str, str] | None = None,
) -> Iterator[RunningRegistry]:
    """Runs a registry with its storage below ``directory``, which must be new.

    ``tls`` is (certificate chain, key, the authority's certificate), ``htpasswd`` a user and password for Basic auth,
    ``token`` the fields of docker-registry's ``auth: token``; ``login`` is who pushes where that is not ``htpasswd``.
    """
    need("docker-registry")
    directory.mkdir(parents=True)
    port = free_port(listen)
    configuration = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}, "delete": {"enabled": True}},
        "compatibility": {"schema1": {"enabled": True}},
        "http": {"addr": f"{listen}:{port}", "secret": "only a test"},
    }
    if tls:
        configuration["http"] |= {"tls": {"certificate": str(tls[0]), "key": str(tls[1])}}  # type: ignore[operator]
    if htpasswd:
        need("htpasswd")
        users = directory / "htpasswd"
        made = subprocess.run(["htpasswd", "-Bbn", *htpasswd], check=True, capture_output=True)
        users.write_bytes(made.stdout)
        configuration["auth"] = {"htpasswd": {"realm": "a test", "path": str(users)}}
    if token:
        configuration["auth"] = {"token": token}
    config, log = directory / "config.yml", directory / "log"
    config.write_text(json.dumps(configuration))  # JSON is YAML
    with log.open("wb") as out:
        process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=out, stderr=out)
    try:
        wait_for(listen, port, process)
        yield RunningRegistry(
            host=f"{listen}:{port}",
            root=directory / "data",
            log=log,
            certificate=tls[2] if tls else None,
            login=login or htpasswd,
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def free_port(listen: str = "127.0.0.1") -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((listen, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(host: str, port: int, process: subprocess.Popen[bytes]) -> None:
    """Until somebody listens at host:port."""
    for _ in range(200):
        if process.poll() is not None:
            raise AssertionError(f"the registry ended at once, with exit code {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the registry does not listen after 10 s")


def basic(user: str, password: str) -> str:
    """The value of ``auth`` in config.json."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def private_environ(home: Path) -> dict[str, str]:
    """An environment whose home is ``home``: no configuration of this machine's user is met."""
    home.mkdir(parents=True, exist_ok=True)
    return {"HOME": str(home), "PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(home / "run")}
