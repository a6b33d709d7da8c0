"""Proxies from the environment."""

from __future__ import annotations

import pytest

from pyrt.errors import UsageError
from pyrt.registry.proxies import ProxyRules
from tests.support.registry_client import World


def test_none() -> None:
    assert ProxyRules.from_environ({}).proxy_for("https", "registry.example", 443) == ""


def test_rg_38_by_scheme_and_case() -> None:
    rules = ProxyRules.from_environ({"HTTP_PROXY": "http://p:1", "https_proxy": "p:2", "HTTPS_PROXY": "http://other"})
    assert rules.proxy_for("http", "registry.example", 80) == "http://p:1"
    assert rules.proxy_for("https", "registry.example", 443) == "http://p:2"
    assert ProxyRules.from_environ({"ALL_PROXY": "http://p:3"}).proxy_for("https", "a.example", 443) == "http://p:3"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.5.5.5", "::1"])
def test_rg_38_loopback_never(host: str) -> None:
    assert ProxyRules.from_environ({"all_proxy": "http://p"}).proxy_for("http", host, 5000) == ""


@pytest.mark.parametrize(
    ("entry", "host", "direct"),
    [
        ("*", "a.example", True),
        ("example", "example", True),
        ("example", "a.example", True),
        ("example", "anexample", False),
        (".example", "a.example", True),
        (".example", "example", False),
        ("*.example", "a.example", True),
        ("A.Example", "a.EXAMPLE", True),
        ("a.example:443", "a.example", True),
        ("a.example:5000", "a.example", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("fd00::/8", "fd00::5", True),
        ("x, ,b.example", "b.example", True),
    ],
)
def test_rg_38_no_proxy(entry: str, host: str, direct: bool) -> None:
    rules = ProxyRules.from_environ({"https_proxy": "http://p", "NO_PROXY": entry})
    assert (rules.proxy_for("https", host, 443) == "") is direct


@pytest.mark.parametrize("address", ["http://xn--:1", "socks5://p:1", "http://"])
def test_fz_a_proxy_without_a_usable_address(world: World, address: str) -> None:
    world.environ["HTTPS_PROXY"] = address
    with world.open("registry.example/a:1") as source, pytest.raises(UsageError, match="^proxy "):
        source.manifest(None)
