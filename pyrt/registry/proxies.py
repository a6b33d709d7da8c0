"""HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in both cases of letters, as curl and Go's net/http read them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from pyrt.registry.addresses import ip_literal, is_loopback
from pyrt.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRules:
    """Addresses of proxies ("" for none), and the hosts that are reached without."""

    http: str = ""
    https: str = ""
    bypass: tuple[str, ...] = ()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> ProxyRules:
        """The rules that the environment states; lower-case variables go first."""

        def value(name: str) -> str:
            return (environ.get(name) or environ.get(name.upper(), "")).strip()

        everything = value("all_proxy")
        entries = (entry.strip().lower() for entry in value("no_proxy").split(","))
        return cls(
            http=value("http_proxy") or everything,
            https=value("https_proxy") or everything,
            bypass=tuple(entry for entry in entries if entry),
        )

    def proxy_for(self, scheme: str, host: str, port: int) -> str:
        """The proxy's address for a request, "" for a direct one. Loopback is never reached through a proxy."""
        proxy = self.https if scheme == "https" else self.http
        if not proxy or is_loopback(host) or any(_covers(entry, host.lower(), port) for entry in self.bypass):
            return ""
        return proxy if "://" in proxy else f"http://{proxy}"


def _covers(entry: str, host: str, port: int) -> bool:
    """One entry of NO_PROXY: ``*``, an address, a network, a domain and all below it, ``.domain``: only below it."""
    if entry == "*":
        return True
    address = ip_literal(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
        except ValueError:
            pass
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit():
        if int(wanted) != port:
            return False
        entry = name.strip("[]")
    entry = entry.removeprefix("*")
    return host.endswith(entry) if entry.startswith(".") else host == entry or host.endswith("." + entry)
