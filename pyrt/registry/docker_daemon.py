"""daemon.json: the mirrors of Docker Hub and the insecure registries of a machine that had docker.

Source: docker's documentation of dockerd, "Daemon configuration file".
"""

from __future__ import annotations

from pyrt.errors import UsageError
from pyrt.registry.addresses import ip_literal, split_host_port
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class HubMirror:
    """A mirror of docker.io only. ``scheme`` is "http" or "https", ``host`` has the port where one is given."""

    scheme: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerDaemon:
    """``insecure`` holds host[:port] and networks in CIDR notation, as written."""

    mirrors: tuple[HubMirror, ...] = ()
    insecure: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: str) -> DockerDaemon:
        """The file at ``path``; a missing one, or "", has nothing to say. UsageError where it is wrong."""
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return cls()
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: cannot be read: {error}") from error
        import json

        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}: not valid JSON: {error}") from error
        if not isinstance(document, dict):
            raise UsageError(f"{path}: not a JSON object")
        return cls(
            mirrors=tuple(_mirror(text, path) for text in _texts(document, "registry-mirrors", path)),
            insecure=_texts(document, "insecure-registries", path),
        )

    def is_insecure(self, host: str) -> bool:
        """Whether host[:port] is listed, or is an address in a listed network. Names are not looked up."""
        address = ip_literal(split_host_port(host)[0]) if self.insecure else None
        for entry in self.insecure:
            if "/" in entry and "://" not in entry:
                if address is not None and address in _network(entry):
                    return True
            elif entry.partition("://")[2].rstrip("/") == host or entry == host:
                return True
        return False


def _network(text: str) -> IPv4Network | IPv6Network:
    import ipaddress

    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise UsageError(f"daemon.json: insecure-registries: {text!r} is not a network") from error


def _mirror(text: str, path: str) -> HubMirror:
    from urllib.parse import urlsplit

    wrong = UsageError(f"{path}: registry-mirrors: {text.partition('@')[2] or text!r} is not http(s)://host[:port]")
    try:
        parts = urlsplit(text)
        split_host_port(parts.netloc)
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.path.strip("/"):
        raise wrong
    return HubMirror(scheme=parts.scheme, host=parts.netloc)


def _texts(document: dict[str, object], key: str, path: str) -> tuple[str, ...]:
    value = document.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UsageError(f"{path}: {key} is not a list of strings")
    return tuple(value)
