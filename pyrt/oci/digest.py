"""Content digests: ``sha256:<64 hex>`` and ``sha512:<128 hex>``, nothing else.

The grammar is checked before anything else sees the text, because digests become file names and URL paths
(CVE-2024-3727). Source: OCI image-spec, descriptor.md, "Digests".
"""

from __future__ import annotations

import re

from pyrt.errors import UsageError
from pyrt.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import _Hash

_GRAMMAR = re.compile(r"(sha256):([a-f0-9]{64})|(sha512):([a-f0-9]{128})")
_HEX_LENGTHS = {"sha256": 64, "sha512": 128}
_SHOWN = 100  # characters of a wrong digest that an error repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The digest of some bytes. ``algorithm`` is "sha256" or "sha512", ``hex`` the lower-case hexadecimal sum."""

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        if _GRAMMAR.fullmatch(f"{self.algorithm}:{self.hex}") is None:
            raise UsageError(_complaint(f"{self.algorithm}:{self.hex}"))

    @classmethod
    def parse(cls, text: str) -> Digest:
        """The digest that ``text`` spells; UsageError for anything that the grammar does not allow."""
        algorithm, colon, hexadecimal = text.partition(":")
        if not colon:
            raise UsageError(_complaint(text))
        return cls(algorithm=algorithm, hex=hexadecimal)

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> Digest:
        """The sha256 digest of ``data``."""
        import hashlib

        return cls(algorithm="sha256", hex=hashlib.sha256(data).hexdigest())

    def hasher(self) -> _Hash:
        """A new hashlib object of this digest's algorithm, to be compared by ``matches``."""
        import hashlib

        return hashlib.new(self.algorithm)

    def matches(self, hasher: _Hash) -> bool:
        """Whether the bytes that were fed to ``hasher`` have this digest."""
        return hasher.hexdigest() == self.hex

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


def _complaint(text: str) -> str:
    algorithm, colon, hexadecimal = text.partition(":")
    shown = repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
    if not colon:
        return f"digest {shown}: not of the form algorithm:hex"
    if algorithm not in _HEX_LENGTHS:
        return f"digest {shown}: algorithm is not sha256 or sha512"
    wanted = _HEX_LENGTHS[algorithm]
    if len(hexadecimal) != wanted:
        return f"digest {shown}: {len(hexadecimal)} hexadecimal digits where {algorithm} has {wanted}"
    return f"digest {shown}: not lower-case hexadecimal"
