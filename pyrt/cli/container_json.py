"""A container as ``docker inspect`` shows it: what its record and its OCI spec say, under docker's names."""

from __future__ import annotations

from pyrt.cli.go_values import Map
from pyrt.errors import PyrtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.store.records import Record
    from pyrt.store.store import Store

_NEVER = "0001-01-01T00:00:00Z"


def container_json(store: Store, record: Record) -> dict[str, object]:
    """docker's document for one container, from what is on disk; sizes and networks of its own there are none."""
    spec = record.spec
    process = _object(spec, "process")
    args = [str(word) for word in _list(process, "args")] or list(record.command)
    directory = store.containers.path(record.id)
    return {
        "Id": record.id,
        "Created": record.created,
        "Path": args[0] if args else "",
        "Args": args[1:],
        "State": _state(record),
        "Image": image_id(store, record.image_digest),
        "ResolvConfPath": f"{directory}/etc/resolv.conf",
        "HostnamePath": f"{directory}/etc/hostname",
        "HostsPath": f"{directory}/etc/hosts",
        "LogPath": "",
        "Name": f"/{record.name}",
        "RestartCount": 0,
        "Driver": "overlay",
        "Platform": "linux",
        "ProcessLabel": str(process.get("selinuxLabel", "")),
        "AppArmorProfile": str(process.get("apparmorProfile", "")),
        "HostConfig": _host_config(record, spec),
        "GraphDriver": {"Name": "overlay", "Data": Map(_graph(store, record, directory))},
        "Mounts": mounts(spec),
        "Config": _config(record, spec, args),
        "NetworkSettings": {"Networks": Map({network(spec): {}})},
    }


def network(spec: dict[str, object]) -> str:
    """``none`` where the container has a network namespace of its own, else ``host``."""
    spaces = _list(_object(spec, "linux"), "namespaces")
    own = any(isinstance(space, dict) and space.get("type") == "network" for space in spaces)
    return "none" if own else "host"


def mounts(spec: dict[str, object]) -> list[dict[str, object]]:
    """The caller's binds and volumes among the mounts of the spec: those with a place of their own on the host."""
    found: list[dict[str, object]] = []
    for mount in _list(spec, "mounts"):
        if not isinstance(mount, dict) or mount.get("type") not in ("bind", "volume"):
            continue
        source, target = str(mount.get("source", "")), str(mount.get("destination", ""))
        if target in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf"):
            continue
        options = [str(option) for option in _list(mount, "options")]
        name = _volume_name(source)
        found.append(
            {
                "Type": "volume" if name or mount.get("type") == "volume" else "bind",
                **({"Name": name} if name else {}),
                "Source": source,
                "Destination": target,
                "Mode": "",
                "RW": "ro" not in options,
                "Propagation": next((option for option in options if option.endswith(_PROPAGATIONS)), ""),
            }
        )
    return found


def image_id(store: Store, manifest_digest: str) -> str:
    """docker's id of an image, the configuration's digest, from its manifest's; that one itself where it is gone."""
    from pyrt.oci.digest import Digest
    from pyrt.oci.manifest import Manifest, parse_document

    if not manifest_digest:
        return ""
    try:
        document = parse_document(store.content.read(Digest.parse(manifest_digest)), None)
    except PyrtError:
        return manifest_digest
    return str(document.config.digest) if isinstance(document, Manifest) else manifest_digest


_PROPAGATIONS = ("private", "slave", "shared")


def _state(record: Record) -> dict[str, object]:
    return {
        "Status": record.now.state,
        "Running": record.now.state == "running",
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": record.now.pid if record.now.state == "running" else 0,
        "ExitCode": record.now.exit_code,
        "Error": record.now.error,
        "StartedAt": record.now.started or _NEVER,
        "FinishedAt": record.now.finished or _NEVER,
    }


def _host_config(record: Record, spec: dict[str, object]) -> dict[str, object]:
    binds = [
        f"{mount.get('Name') or mount['Source']}:{mount['Destination']}" + ("" if mount["RW"] else ":ro")
        for mount in mounts(spec)
        if mount["Source"]
    ]
    return {
        "Binds": binds or None,
        "NetworkMode": network(spec),
        "AutoRemove": record.remove,
        "ReadonlyRootfs": bool(_object(spec, "root").get("readonly")),
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "Runtime": "pyrt",
        **record.confinement,
        "Annotations": Map(_object(spec, "annotations")),
    }


def _config(record: Record, spec: dict[str, object], args: list[str]) -> dict[str, object]:
    process = _object(spec, "process")
    user = _object(process, "user")
    return {
        "Hostname": spec.get("hostname", ""),
        "Domainname": spec.get("domainname", ""),
        "User": f"{user.get('uid', 0)}:{user.get('gid', 0)}" if user.get("uid") or user.get("gid") else "",
        "Tty": bool(process.get("terminal")),
        "Env": _list(process, "env"),
        "Cmd": args,
        "Image": record.image,
        "WorkingDir": process.get("cwd", ""),
        "Entrypoint": None,
        "Labels": Map(dict(record.labels)),
        **({"StopSignal": record.stop_signal} if record.stop_signal else {}),
        **({"StopTimeout": record.stop_timeout} if record.stop_timeout is not None else {}),
    }


def _graph(store: Store, record: Record, directory: str) -> dict[str, object]:
    lower = ":".join(f"{store.layout.layers}/{layer}" for layer in reversed(record.layers))
    return {"LowerDir": lower, "UpperDir": f"{directory}/upper", "WorkDir": f"{directory}/work"} if lower else {}


def _volume_name(source: str) -> str:
    """The name of the volume whose directory this is, "" for any other place."""
    parts = source.split("/")
    return parts[-2] if len(parts) > 3 and parts[-1] == "data" and parts[-3] == "volumes" else ""


def _object(document: dict[str, object], key: str) -> dict[str, object]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _list(document: dict[str, object], key: str) -> list[object]:
    value = document.get(key)
    return value if isinstance(value, list) else []
