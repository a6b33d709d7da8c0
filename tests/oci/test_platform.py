"""Platforms, as containerd normalises and orders them."""

from __future__ import annotations

import pytest

from pyrt.errors import PlatformNotFound, UsageError
from pyrt.oci.descriptor import Descriptor
from pyrt.oci.digest import Digest
from pyrt.oci.media_types import OCI_MANIFEST
from pyrt.oci.platform import Platform, choose, host, matches

NORMAL = [
    ("linux/amd64", "linux/amd64"),
    ("linux/x86_64", "linux/amd64"),
    ("linux/x86-64", "linux/amd64"),
    ("linux/amd64/v1", "linux/amd64"),
    ("linux/amd64/v3", "linux/amd64/v3"),
    ("Linux/AMD64", "linux/amd64"),
    ("linux/i686", "linux/386"),
    ("linux/aarch64", "linux/arm64"),
    ("linux/arm64/v8", "linux/arm64"),
    ("linux/arm64/8", "linux/arm64"),
    ("linux/arm64/v9", "linux/arm64/v9"),
    ("linux/arm", "linux/arm/v7"),
    ("linux/arm/7", "linux/arm/v7"),
    ("linux/arm/v6", "linux/arm/v6"),
    ("linux/armhf", "linux/arm/v7"),
    ("linux/armel", "linux/arm/v6"),
    ("arm64", "linux/arm64"),
    ("riscv64", "linux/riscv64"),
    ("windows/amd64", "windows/amd64"),
    ("macos/arm64", "darwin/arm64"),
]


@pytest.mark.parametrize(("text", "normal"), NORMAL)
def test_normal_form(text: str, normal: str) -> None:
    platform = Platform.parse(text)
    assert str(platform) == normal
    assert Platform.parse(normal) == platform


@pytest.mark.parametrize("text", ["", "/", "linux/", "/amd64", "linux/amd64/v1/x", "linux/a b", "vax", "linux/../x/y"])
def test_bad_platform(text: str) -> None:
    with pytest.raises(UsageError, match="platform"):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("machine", "normal"),
    [
        ("x86_64", "linux/amd64"),
        ("aarch64", "linux/arm64"),
        ("armv7l", "linux/arm/v7"),
        ("armv6l", "linux/arm/v6"),
        ("i686", "linux/386"),
        ("s390x", "linux/s390x"),
    ],
)
def test_host(machine: str, normal: str) -> None:
    assert str(host(machine)) == normal


def test_system_alone_is_of_the_hosts_architecture() -> None:
    assert Platform.parse("linux") == host()
    assert Platform.parse("windows").architecture == host().architecture


MATCHES = [
    ("linux/amd64", "linux/amd64", True),
    ("linux/amd64", "linux/386", True),
    ("linux/amd64", "linux/amd64/v2", False),
    ("linux/amd64/v3", "linux/amd64/v2", True),
    ("linux/amd64/v3", "linux/amd64", True),
    ("linux/amd64/v3", "linux/amd64/v4", False),
    ("linux/386", "linux/amd64", False),
    ("linux/amd64", "windows/amd64", False),
    ("linux/arm64", "linux/arm/v7", True),
    ("linux/arm64", "linux/arm64/v8", True),
    ("linux/arm64", "linux/arm64/v9", False),
    ("linux/arm64/v9", "linux/arm64", True),
    ("linux/arm/v7", "linux/arm/v6", True),
    ("linux/arm/v7", "linux/arm/v5", True),
    ("linux/arm/v6", "linux/arm/v7", False),
    ("linux/arm/v7", "linux/arm64", False),
]


@pytest.mark.parametrize(("wanted", "offered", "fits"), MATCHES)
def test_im_11_matches(wanted: str, offered: str, fits: bool) -> None:
    assert matches(Platform.parse(wanted), Platform.parse(offered)) is fits


def entry(platform: str | None, number: int = 0, *, about: str = "") -> Descriptor:
    system, _, rest = (platform or "").partition("/")
    architecture, _, variant = rest.partition("/")
    return Descriptor(
        media_type=OCI_MANIFEST,
        digest=Digest.of(f"{platform} {number}".encode()),
        size=1,
        platform=Platform(os=system, architecture=architecture, variant=variant) if platform else None,
        annotations=(("vnd.docker.reference.type", about),) if about else (),
    )


CHOICES = [
    ("linux/amd64", ["linux/arm64", "linux/amd64", "linux/386"], 1),
    ("linux/amd64", ["linux/386", "linux/arm64"], 0),
    ("linux/amd64", ["linux/amd64", "linux/amd64"], 0),
    ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v8"], 1),
    ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], 2),
    ("linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], 1),
    ("linux/arm64", ["linux/arm/v6", "linux/arm/v7"], 1),
    ("linux/amd64", ["unknown/unknown", "linux/amd64"], 1),
    ("linux/amd64", [None, "linux/amd64"], 1),
    ("linux/amd64", ["linux/arm64", None, None], 1),
]


@pytest.mark.parametrize(("wanted", "offered", "position"), CHOICES)
def test_im_11_choice(wanted: str, offered: list[str | None], position: int) -> None:
    entries = [entry(platform, number) for number, platform in enumerate(offered)]
    assert choose(Platform.parse(wanted), entries) is entries[position]


def test_im_11_attestation_with_a_platform_is_not_an_image() -> None:
    entries = [entry("linux/amd64", about="attestation-manifest"), entry("linux/amd64", 1)]
    assert choose(Platform.parse("linux/amd64"), entries) is entries[1]
    with pytest.raises(PlatformNotFound):
        choose(Platform.parse("linux/amd64"), entries[:1])


def test_im_11_no_match_lists_what_there_is() -> None:
    entries = [entry("linux/arm/v7"), entry("windows/amd64"), entry("unknown/unknown"), entry("linux/arm/v7", 1)]
    with pytest.raises(
        PlatformNotFound, match="no image for platform linux/s390x: there is linux/arm/v7, windows"
    ) as e:
        choose(Platform.parse("linux/s390x"), entries)
    assert e.value.available == ("linux/arm/v7", "windows/amd64")


def test_empty_index_has_no_image() -> None:
    with pytest.raises(PlatformNotFound, match="no image at all"):
        choose(Platform.parse("linux/amd64"), [])
