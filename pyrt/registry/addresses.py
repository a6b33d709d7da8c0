"""What a host name is, without asking anybody: loopback, an address inside, or something public."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

_ADDRESS = re.compile(r"[0-9.]+|\[?[0-9A-Fa-f:.]+\]?")
_NUMERIC = re.compile(r"[0-9a-fA-FxX.]+")


def split_host_port(text: str) -> tuple[str, int | None]:
    """``"[::1]:5000"`` to ``("::1", 5000)``. The port is None where none is given; ValueError where it is no port."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    if port and not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(f"not a port: {port!r}")
    return host.removeprefix("[").removesuffix("]"), int(port) if port else None


def ip_literal(host: str) -> IPv4Address | IPv6Address | None:
    """The address that ``host`` spells, else None.

    Also the short, octal and hexadecimal spellings: getaddrinfo(3) takes ``127.1`` and ``0x7f000001`` for addresses.
    An IPv4 address inside an IPv6 one (``::ffff:127.0.0.1``) is given as the IPv4 address that it means.
    """
    import ipaddress
    import socket

    bare = host.removeprefix("[").removesuffix("]").partition("%")[0]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        if not _NUMERIC.fullmatch(bare):
            return None
        try:
            return ipaddress.IPv4Address(socket.inet_aton(bare))
        except OSError:
            return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_loopback(host: str) -> bool:
    """Whether ``host`` (no port) is ``localhost``, below ``127.0.0.0/8`` or ``::1``: plain http is allowed there."""
    if host.lower() == "localhost":
        return True
    if not _ADDRESS.fullmatch(host):
        return False
    import ipaddress

    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    # Python counts ::ffff:127.0.0.1 in from 3.13 on; one answer on all versions.
    return address.is_loopback and not (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped)


def is_internal(host: str) -> bool:
    """Whether ``host`` (no port) names, without DNS, a place that a public registry has no business to send us to.

    Loopback, private, link-local, unspecified, shared and multicast addresses in any spelling; ``localhost`` and what
    is below it (RFC 6761). Threat catalogue RG-02, RG-03, RG-09.
    """
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = ip_literal(name)
    return address is not None and (not address.is_global or address.is_multicast)
