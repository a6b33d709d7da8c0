"""Hosts without DNS: loopback, inside, public."""

from __future__ import annotations

import pytest

from pyrt.registry.addresses import (
    NOWHERE,
    PRIVATE,
    PUBLIC,
    THIS_MACHINE,
    is_internal,
    is_loopback,
    reach,
    split_host_port,
)

LOOPBACK = ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]"]
INSIDE = [
    "10.0.0.1",
    "172.16.5.4",
    "192.168.1.1",
    "169.254.169.254",
    "0.0.0.0",
    "100.64.0.1",
    "::",
    "fd00::1",
    "fe80::1%eth0",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "127.1",
    "0x7f000001",
    "2130706433",
    "0177.0.0.1",
    "a.localhost",
    "localhost.",
    "224.0.0.1",
    "0xa9fea9fe",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "::127.0.0.1",
    "fec0::1",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
    "017700000001",
    "0x7f.1",
    "127.0.0.1.",
]
OUTSIDE = ["registry.example", "8.8.8.8", "2606:4700::1111", "10.example", "localhost.example", "dead.beef", "face"]
OUTSIDE += ["2002:808:808::1"]


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback(host: str) -> None:
    assert is_loopback(host) and is_internal(host)


@pytest.mark.parametrize("host", INSIDE)
def test_rg_02_inside(host: str) -> None:
    """RG-02: in every spelling that getaddrinfo understands; plain http is not allowed for these."""
    assert is_internal(host) and not is_loopback(host)


@pytest.mark.parametrize("host", OUTSIDE)
def test_public(host: str) -> None:
    assert not is_internal(host) and not is_loopback(host)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", ("a", None)), ("a:5000", ("a", 5000)), ("[::1]:5000", ("::1", 5000)), ("[::1]", ("::1", None))],
)
def test_split(text: str, expected: tuple[str, int | None]) -> None:
    assert split_host_port(text) == expected


@pytest.mark.parametrize("text", ["a:b", "a:70000", "a:-1"])
def test_split_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="not a port"):
        split_host_port(text)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("8.8.8.8", PUBLIC),
        ("10.1.2.3", PRIVATE),
        ("fd00::1", PRIVATE),
        ("100.64.0.1", PRIVATE),
        ("2002:a00:1::", PRIVATE),
        ("127.3.2.1", THIS_MACHINE),
        ("localhost", THIS_MACHINE),
        ("::1", THIS_MACHINE),
        ("::ffff:127.0.0.1", THIS_MACHINE),
        ("169.254.169.254", NOWHERE),
        ("::ffff:169.254.169.254", NOWHERE),
        ("2002:a9fe:a9fe::", NOWHERE),
        ("0.0.0.0", NOWHERE),
        ("::", NOWHERE),
        ("224.0.0.1", NOWHERE),
    ],
)
def test_rg_09_how_far_inside(host: str, expected: int) -> None:
    assert reach(host) == expected
