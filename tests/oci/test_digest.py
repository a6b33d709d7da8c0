"""No digest that is not one gets past the parser."""

from __future__ import annotations

import pytest

from pyrt.errors import UsageError
from pyrt.oci.digest import Digest

HEX = "0123456789abcdef" * 4

BAD = [
    ("", "not of the form"),
    ("sha256", "not of the form"),
    ("sha256:", "0 hexadecimal digits"),
    (f"sha256:{HEX[:-1]}", "63 hexadecimal digits"),
    (f"sha256:{HEX}0", "65 hexadecimal digits"),
    (f"sha512:{HEX}", "64 hexadecimal digits where sha512 has 128"),
    (f"sha256:{HEX.upper()}", "not lower-case"),
    (f"SHA256:{HEX}", "algorithm"),
    (f"md5:{HEX[:32]}", "algorithm"),
    (f"sha256+x:{HEX}", "algorithm"),
    ("sha256:../../../../etc/passwd", "hexadecimal digits"),
    (f"sha256:{HEX[:-6]}/../..", "not lower-case"),
    (f"sha256:{HEX[:-4]}%2f.", "not lower-case"),
    (f"sha256:{HEX[:-1]}\0", "not lower-case"),
    (f"sha256:{HEX}\n", "65 hexadecimal digits"),
    (f"sha256:{HEX[:-1]}\n", "not lower-case"),
    (f"sha256:{HEX[:-1]}٣", "not lower-case"),
]


@pytest.mark.parametrize(("text", "why"), BAD)
def test_im_01_bad_digest_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Digest.parse(text)


def test_im_01_bad_digest_cannot_be_constructed() -> None:
    with pytest.raises(UsageError):
        Digest(algorithm="sha256", hex="../x")


def test_error_does_not_repeat_a_long_text() -> None:
    with pytest.raises(UsageError) as caught:
        Digest.parse("sha256:" + "z" * 10_000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", [f"sha256:{HEX}", f"sha512:{HEX}{HEX}"])
def test_good_digest_keeps_its_text(text: str) -> None:
    assert str(Digest.parse(text)) == text


def test_digest_of_bytes_matches_its_own_hasher() -> None:
    digest = Digest.of(b"abc")
    assert str(digest) == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    hasher = digest.hasher()
    hasher.update(b"ab")
    assert not digest.matches(hasher)
    hasher.update(b"c")
    assert digest.matches(hasher)


def test_sha512_is_hashed_as_sha512() -> None:
    digest = Digest.parse("sha512:" + "0" * 128)
    assert digest.hasher().digest_size == 64
