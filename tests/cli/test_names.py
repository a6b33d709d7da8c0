"""The small grammars: names, addresses, signals, limits, devices, kernel settings."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyrt.cli import names
from pyrt.cli.devices import parse_device
from pyrt.cli.ulimits import NAMES, parse_ulimit
from pyrt.errors import Unsupported, UsageError
from pyrt.request import Device, Ulimit

GOOD: list[tuple[Callable[[str], object], str, object]] = [
    (names.parse_container_name, "web-1_x.y", "web-1_x.y"),
    (names.parse_container_name, "/web", "web"),
    (names.parse_container_name, "", ""),
    (names.parse_hostname, "h.example", "h.example"),
    (names.parse_add_host, "db:10.0.0.1", ("db", "10.0.0.1")),
    (names.parse_add_host, "db=10.0.0.1", ("db", "10.0.0.1")),
    (names.parse_add_host, "db:::1", ("db", "::1")),
    (names.parse_add_host, "db=[2001:db8::1]", ("db", "2001:db8::1")),
    (names.parse_add_host, "db:[::1]", ("db", "::1")),
    (names.parse_add_host, "host.docker.internal:host-gateway", ("host.docker.internal", "host-gateway")),
    (names.parse_address, "8.8.8.8", "8.8.8.8"),
    (names.parse_address, "::1", "::1"),
    (names.parse_search_domain, "example.com", "example.com"),
    (names.parse_search_domain, "example.com.", "example.com"),
    (names.parse_search_domain, ".", "."),
    (names.parse_resolver_option, "ndots:2", "ndots:2"),
    (names.parse_label, "k=v=w", ("k", "v=w")),
    (names.parse_label, "k", ("k", "")),
    (names.parse_sysctl, "net.core.somaxconn=1", ("net.core.somaxconn", "1")),
    (names.parse_sysctl, "net/ipv4/ip_forward=1", ("net.ipv4.ip_forward", "1")),
    (names.parse_sysctl, "kernel.sem=1 2 3 4", ("kernel.sem", "1 2 3 4")),
    (names.parse_sysctl, "fs.mqueue.msg_max=5", ("fs.mqueue.msg_max", "5")),
    (names.parse_signal, "SIGTERM", "SIGTERM"),
    (names.parse_signal, "usr1", "usr1"),
    (names.parse_signal, "9", "9"),
    (names.parse_signal, "RTMIN+3", "RTMIN+3"),
    (names.parse_capability, "CAP_NET_ADMIN", "CAP_NET_ADMIN"),
    (names.parse_capability, "net_admin", "net_admin"),
    (names.parse_capability, "all", "all"),
    (names.parse_network, "host", "host"),
    (names.parse_network, "none", "none"),
    (names.parse_pull_policy, "never", "never"),
    (names.parse_workdir, "/x", "/x"),
    (names.parse_workdir, "", ""),
    (names.parse_whole, "-3", -3),
    (names.parse_stop_timeout, "-1", -1),
    (names.parse_stop_timeout, "0", 0),
    (names.parse_seconds, "1.5", 1.5),
    (names.parse_seconds, "0", 0.0),
]

BAD: list[tuple[Callable[[str], object], str]] = [
    *((names.parse_container_name, text) for text in ("-x", ".x", "a b", "a/b", "ä", "a\n", "//a", "/")),
    *((names.parse_hostname, text) for text in ("", "a b", "x" * 65, "a\nb", "-a", "a\t")),
    *((names.parse_add_host, text) for text in ("db", "db:", ":1.2.3.4", "db:x", "db:1.2.3", "a b:1.2.3.4")),
    *((names.parse_add_host, text) for text in ("db=", "=1.2.3.4", "db:fe80::1%eth0", "db:01.2.3.4", "db:1.2.3.4 ,", "db:")),
    *((names.parse_address, text) for text in ("", "x", "1.2.3", "1.2.3.4.5", "1.2.3.256", "fe80::1%lo", "1.2.3.4/8")),
    *((names.parse_search_domain, text) for text in ("", "1.2", "-a.b", "a b", "a..b", "x" * 300)),
    *((names.parse_resolver_option, text) for text in ("", "a b", "a\nnameserver")),
    *((names.parse_label, text) for text in ("", "=v")),
    *((names.parse_sysctl, text) for text in ("", "net.x", "net.x=", "kernel.panic=1", "vm.swappiness=1", "net..x=1")),
    *((names.parse_sysctl, text) for text in ("net.core/../../x=1", "fs.file-max=1", "kernel=1", "net=1")),
    *((names.parse_signal, text) for text in ("", "0", "65", "-1", "SIG", "FOO", "SIGSIGTERM", "RTMIN+99", "1.5")),
    *((names.parse_capability, text) for text in ("", "FOO", "CAP_", "CAP_ALL")),
    *((names.parse_pull_policy, text) for text in ("", "Always", "if-not-present")),
    *((names.parse_workdir, text) for text in ("x", "./x")),
    *((names.parse_whole, text) for text in ("", "x", "1.5", "0x1", "1e3", "٣", " 1")),
    *((names.parse_stop_timeout, text) for text in ("-2", "x", "1.5")),
    *((names.parse_seconds, text) for text in ("", "-1", "x", "1s", "inf", "nan")),
]


@pytest.mark.parametrize(("parse", "text", "value"), GOOD)
def test_good(parse: Callable[[str], object], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(("parse", "text"), BAD)
def test_bad(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert not isinstance(caught.value, Unsupported)


@pytest.mark.parametrize("text", ["bridge", "default", "container:x", "mynet", "", "private", "slirp4netns", "HOST"])
def test_networks_that_are_not_there_yet(text: str) -> None:
    with pytest.raises(Unsupported) as caught:
        names.parse_network(text)
    assert f'"{text}"' in str(caught.value)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("nofile=1024", (1024, 1024)),
        ("nofile=1024:2048", (1024, 2048)),
        ("nofile=-1", (-1, -1)),
        ("nofile=1:-1", (1, -1)),
        ("core=0", (0, 0)),
    ],
)
def test_ulimit(text: str, limit: tuple[int, int]) -> None:
    assert parse_ulimit(text) == Ulimit(name=text.split("=")[0], soft=limit[0], hard=limit[1])


@pytest.mark.parametrize("name", NAMES)
def test_every_ulimit_is_one_that_the_runtime_knows(name: str) -> None:
    from pyrt.runtime.rlimits import number

    assert number(parse_ulimit(f"{name}=1").name) >= 0


@pytest.mark.parametrize(
    "text",
    [
        "", "nofile", "nofile=", "nofile=a", "nofile=1:2:3", "nofile=2:1", "nofile=-1:5", "nofile=-2", "files=1",
        "RLIMIT_NOFILE=1", "nofile=1:", "nofile=1.5", "nofile=9999999999999999999999",
    ],
)  # fmt: skip
def test_no_ulimit(text: str) -> None:
    with pytest.raises(UsageError):
        parse_ulimit(text)


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("/dev/fuse", ("/dev/fuse", "/dev/fuse", "rwm")),
        ("/dev/fuse:r", ("/dev/fuse", "/dev/fuse", "r")),
        ("/dev/sda:/dev/xvda", ("/dev/sda", "/dev/xvda", "rwm")),
        ("/dev/sda:/dev/xvda:mr", ("/dev/sda", "/dev/xvda", "mr")),
        ("/dev/../dev/sda", ("/dev/sda", "/dev/sda", "rwm")),
    ],
)
def test_device(text: str, device: tuple[str, str, str]) -> None:
    assert parse_device(text) == Device(source=device[0], target=device[1], permissions=device[2])


@pytest.mark.parametrize(
    "text", ["", "fuse", "/dev/a:", "/dev/a:b", "/dev/a:/b:x", "/dev/a:/b:rr", "/dev/a:/b:", "/dev/a:/b:r:w", ":/dev/a"]
)
def test_no_device(text: str) -> None:
    with pytest.raises(UsageError):
        parse_device(text)


def test_cdi_names_are_refused_by_name() -> None:
    with pytest.raises(Unsupported, match="CDI"):
        parse_device("vendor.com/class=name")
