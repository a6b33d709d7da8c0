"""Where the configuration files of containers' tools and of docker lie. All of it can be moved, for tests above all."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pyrt.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigPaths:
    """Absolute paths; none of them needs to exist.

    ``registries_conf``: the first that exists is read. ``registries_conf_dirs``: all, in order, later ones win.
    ``certs_dirs``: all. ``auth_files``: containers' auth.json and docker's config.json, the first with an answer wins.
    ``dockercfg``: the older format, asked last, "" for never. ``login_file``: written by login where no file has an
    entry for the registry yet. References: containers-registries.conf(5), containers-registries.conf.d(5),
    containers-certs.d(5), containers-auth.json(5), docker's documentation of config.json and daemon.json.
    """

    registries_conf: tuple[str, ...] = ()
    registries_conf_dirs: tuple[str, ...] = ()
    docker_daemon: str = ""
    certs_dirs: tuple[str, ...] = ()
    auth_files: tuple[str, ...] = ()
    dockercfg: str = ""
    login_file: str = ""

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str] = os.environ, *, authfile: str = "", etc: str = "/etc", uid: int | None = None
    ) -> ConfigPaths:
        """The usual places. ``authfile`` is the option of that name, which goes before REGISTRY_AUTH_FILE."""
        home = environ.get("HOME") or os.path.expanduser("~")
        config = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
        user = os.path.join(config, "containers")
        given = environ.get("CONTAINERS_REGISTRIES_CONF") or environ.get("REGISTRIES_CONFIG_PATH")
        docker = os.path.join(environ.get("DOCKER_CONFIG") or os.path.join(home, ".docker"), "config.json")
        chosen = authfile or environ.get("REGISTRY_AUTH_FILE", "")
        runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/containers/{os.getuid() if uid is None else uid}"
        runtime_auth = os.path.join(runtime, "containers" if environ.get("XDG_RUNTIME_DIR") else "", "auth.json")
        system = os.path.join(etc, "containers")
        return cls(
            registries_conf=(given,) if given else (f"{user}/registries.conf", f"{system}/registries.conf"),
            registries_conf_dirs=() if given else (f"{system}/registries.conf.d", f"{user}/registries.conf.d"),
            docker_daemon=os.path.join(etc, "docker/daemon.json"),
            certs_dirs=(f"{user}/certs.d", f"{system}/certs.d", os.path.join(etc, "docker/certs.d")),
            auth_files=(chosen,) if chosen else (runtime_auth, f"{user}/auth.json", docker),
            dockercfg="" if chosen else os.path.join(home, ".dockercfg"),
            login_file=chosen or docker,
        )
