"""Platforms: what an image is made for, normalised and ordered as containerd does it.

Sources: OCI image-spec, image-index.md, "platform"; containerd's platforms package (names, defaults, order of the
variants); Go's list of GOARCH values.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from pyrt.errors import PlatformNotFound, UsageError
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyrt.oci.descriptor import Descriptor

_ALIASES = {
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv8l": ("arm", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armv5tel": ("arm", "v5"),
    "loongarch64": ("loong64", ""),
}
_DEFAULT_VARIANTS = {("amd64", "v1"): "", ("arm64", "v8"): "", ("arm", ""): "v7"}
_ARCHITECTURES = frozenset(
    ("386", "amd64", "arm", "arm64", "loong64", "mips", "mipsle", "mips64", "mips64le", "ppc64", "ppc64le")
    + ("riscv64", "s390x", "wasm")
)
_SYSTEMS = frozenset(
    ("linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "illumos", "aix", "android", "wasip1")
)
_PART = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """An operating system and an architecture by their Go names, ``variant`` "" for the usual one.

    Always normalised: ``Platform(os="linux", architecture="x86_64")`` equals linux/amd64.
    """

    os: str
    architecture: str
    variant: str = ""

    def __post_init__(self) -> None:
        system = self.os.lower()
        architecture, variant = _normal(self.architecture.lower(), self.variant.lower())
        object.__setattr__(self, "os", "darwin" if system == "macos" else system)
        object.__setattr__(self, "architecture", architecture)
        object.__setattr__(self, "variant", variant)

    @classmethod
    def parse(cls, text: str) -> Platform:
        """``os/architecture[/variant]``, or one of os and architecture alone (the other is the host's). UsageError."""
        parts = text.split("/")
        if len(parts) > 3 or not all(_PART.fullmatch(part) for part in parts):
            raise UsageError(f"platform {text!r}: not of the form os/architecture[/variant]")
        if len(parts) > 1:
            return cls(os=parts[0], architecture=parts[1], variant=parts[2] if len(parts) > 2 else "")
        if parts[0].lower() in _SYSTEMS | {"macos"}:
            return cls(os=parts[0], architecture=host().architecture, variant=host().variant)
        alone = cls(os="linux", architecture=parts[0])
        if alone.architecture not in _ARCHITECTURES:
            raise UsageError(f"platform {text!r}: neither an operating system nor an architecture")
        return alone

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def host(machine: str | None = None) -> Platform:
    """The platform of this machine; ``machine`` is uname(2)'s, for tests."""
    return Platform(os="linux", architecture=os.uname().machine if machine is None else machine)


def matches(wanted: Platform, offered: Platform) -> bool:
    """Whether an image for ``offered`` runs where ``wanted`` is asked for."""
    return offered in _vector(wanted)


def choose(wanted: Platform, descriptors: Sequence[Descriptor]) -> Descriptor:
    """The best entry of an index for ``wanted``.

    An exact match first, then the lower variants, then the 32-bit sibling (amd64 runs 386, arm64 runs arm), then an
    entry that names no platform, the first one where several are equal. Attestations are never chosen. PlatformNotFound
    lists what there is.
    """
    images = [entry for entry in descriptors if not is_attestation(entry)]
    for platform in _vector(wanted):
        for entry in images:
            if entry.platform == platform:
                return entry
    for entry in images:
        if entry.platform is None:
            return entry
    available = tuple(dict.fromkeys(str(entry.platform) for entry in images))
    has = ", ".join(available) if available else "no image at all"
    raise PlatformNotFound(f"no image for platform {wanted}: there is {has}", available=available)


def is_attestation(entry: Descriptor) -> bool:
    """Whether an index entry is a statement about an image (BuildKit's attestation storage), not an image."""
    if any(name == "vnd.docker.reference.type" for name, _ in entry.annotations):
        return True
    return entry.platform is not None and "unknown" in (entry.platform.os, entry.platform.architecture)


def _normal(architecture: str, variant: str) -> tuple[str, str]:
    if architecture in _ALIASES:
        architecture, implied = _ALIASES[architecture]
        variant = variant or implied
    if architecture in ("arm", "arm64") and variant[:1].isdigit():
        variant = f"v{variant}"
    return architecture, _DEFAULT_VARIANTS.get((architecture, variant), variant)


def _vector(wanted: Platform) -> Iterator[Platform]:
    """What runs where ``wanted`` is asked for, best first."""
    yield wanted
    system, architecture = wanted.os, wanted.architecture
    level = int(wanted.variant[1:]) if re.fullmatch(r"v[0-9]{1,2}", wanted.variant) else 0
    if architecture == "amd64":
        for lower in range(level - 1, 0, -1):
            yield Platform(os=system, architecture="amd64", variant=f"v{lower}")
        yield Platform(os=system, architecture="386")
    elif architecture == "arm64":
        for lower in range(level - 1, 7, -1):
            yield Platform(os=system, architecture="arm64", variant=f"v{lower}")
        yield from _arm(system, 8)
    elif architecture == "arm":
        yield from _arm(system, level - 1)


def _arm(system: str, highest: int) -> Iterator[Platform]:
    for level in range(highest, 4, -1):
        yield Platform(os=system, architecture="arm", variant=f"v{level}")
