"""Where an answer may send us: redirects, token servers and links to the next page, by one set of rules.

Threat catalogue RG-01 to RG-10 and RG-13; distribution-spec: Authorization never crosses hosts.
"""

from __future__ import annotations

import re

import httpx

from pyrt.errors import RegistryError
from pyrt.registry.addresses import NOWHERE, PUBLIC, ip_literal, is_loopback, reach
from pyrt.registry.shown import shown_url
from pyrt.values import dataclass

REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
_HOST = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9._-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin(url: httpx.URL) -> tuple[str, str, int]:
    """Scheme, host and port: what has to be equal for an Authorization header to stay."""
    return url.scheme, url.host.lower(), url.port or _DEFAULT_PORTS.get(url.scheme, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """The rules for one registry. ``home`` is its address, ``insecure`` that it is marked so, ``treat_as_public`` the
    addresses that tests declare to be public."""

    home: httpx.URL
    insecure: bool = False
    treat_as_public: frozenset[str] = frozenset()

    def resolve(self, base: httpx.URL, target: str, what: str) -> httpx.URL:
        """``target`` as it appears in an answer from ``base``, made absolute and allowed.

        ``what`` names it in the message of the RegistryError: "redirect", "token server", "next page".
        """
        host = self.home.netloc.decode()
        try:
            url = httpx.URL(target)
            if not url.scheme and target:  # joining only then: it would fill in an empty host
                url = base.join(target)
            name = url.host  # decoded, which "xn--" cannot be
        except (httpx.InvalidURL, ValueError):
            raise RegistryError(f"{host}: {what} is not an address: {shown_url(target)}", host=host) from None
        shown = shown_url(str(url))
        if url.scheme not in ("http", "https"):
            raise RegistryError(f"{host}: {what} is neither http nor https: {shown}", host=host)
        if not _HOST.fullmatch(url.raw_host) or not 0 < (1 if url.port is None else url.port) < 65536:
            raise RegistryError(f"{host}: {what} names no host: {shown}", host=host)
        if url.userinfo:
            raise RegistryError(f"{host}: {what} has a user name in its address: {shown}", host=host)
        if url.scheme == "http" and not self.insecure:
            if "https" in (base.scheme, self.home.scheme):
                raise RegistryError(f"{host}: {what} leads from https to plain http: {shown}", host=host)
            if not is_loopback(name) and origin(url) != origin(self.home):
                raise RegistryError(f"{host}: {what} leads to plain http beyond this machine: {shown}", host=host)
        if self._leads_inside(url):
            raise RegistryError(f"{host}: {what} leads to an address inside this network: {shown}", host=host)
        return url

    def _leads_inside(self, url: httpx.URL) -> bool:
        """Further inside than the registry itself is: one on a private network may use another machine there, but not
        what listens on ours."""
        if origin(url)[1:] == origin(self.home)[1:]:
            return False
        there = self.reach(url.host)
        return there == NOWHERE or there > self.reach(self.home.host)

    def reach(self, host: str) -> int:
        """As addresses.reach, with what tests declare."""
        return PUBLIC if str(ip_literal(host)) in self.treat_as_public else reach(host)
