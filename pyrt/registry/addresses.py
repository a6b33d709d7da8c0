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


PUBLIC, PRIVATE, THIS_MACHINE, NOWHERE = range(4)


def reach(host: str) -> int:
    """How far inside ``host`` (no port) lies, as far as can be told without DNS.

    PUBLIC; PRIVATE networks; THIS_MACHINE: loopback, ``localhost`` and what is below it (RFC 6761); and NOWHERE:
    link-local (clouds keep their secrets there), unspecified, multicast and reserved addresses, which no registry has
    any business with. Addresses count in any spelling, and for the IPv4 address that an IPv6 one leads to.
    """
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return THIS_MACHINE
    address = ip_literal(name)
    return PUBLIC if address is None else max(map(_reach, (address, *_embedded(address))))


def is_internal(host: str) -> bool:
    """Whether a public registry has no business to send us to ``host``. Threat catalogue RG-02, RG-03, RG-09."""
    return reach(host) != PUBLIC


def _reach(address: IPv4Address | IPv6Address) -> int:
    import ipaddress

    if address.is_loopback:
        return THIS_MACHINE
    if address.is_link_local or address.is_unspecified or address.is_multicast or address.is_reserved:
        return NOWHERE
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
        return PRIVATE
    return PUBLIC if address.is_global else PRIVATE


def _embedded(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses to which gateways and kernels carry on what is sent to an IPv6 address: NAT64 (RFC 6052, RFC
    8215), 6to4 (RFC 3056), Teredo (RFC 4380), and the compatible form of RFC 4291."""
    import ipaddress

    if isinstance(address, ipaddress.IPv4Address):
        return []
    last = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    carried = [address.sixtofour, *(address.teredo or ())]
    if any(address in ipaddress.IPv6Network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")):
        carried.append(last)
    return [each for each in carried if each is not None]
