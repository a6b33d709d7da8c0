"""WWW-Authenticate: what registries send, and what attackers do (RG-14)."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from pyrt.registry.challenge import Challenge, InvalidChallenge, parse_challenges

REALM = "https://auth.example/token"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ()),
        ("Basic", (("basic", {}),)),
        ('Basic realm="a test"', (("basic", {"realm": "a test"}),)),
        (
            f'Bearer realm="{REALM}",service="registry.example",scope="repository:a/b:pull,push"',
            (("bearer", {"realm": REALM, "service": "registry.example", "scope": "repository:a/b:pull,push"}),),
        ),
        ("bearer REALM=x , service = y", (("bearer", {"realm": "x", "service": "y"}),)),
        (r'Basic realm="a \"b\", c"', (("basic", {"realm": 'a "b", c'}),)),
        ('Negotiate, Basic realm="x"', (("negotiate", {}), ("basic", {"realm": "x"}))),
        ('Negotiate YWJj==, Bearer realm="x"', (("negotiate", {}), ("bearer", {"realm": "x"}))),
        ('Bearer realm="x", Basic realm="y"', (("bearer", {"realm": "x"}), ("basic", {"realm": "y"}))),
        (
            'Bearer realm="x",error="insufficient_scope"',
            (("bearer", {"realm": "x", "error": "insufficient_scope"}),),
        ),
        (f"Bearer realm={REALM}", (("bearer", {"realm": REALM}),)),
        ('Bearer realm="x" service="y"', (("bearer", {"realm": "x", "service": "y"}),)),
        (', ,Basic realm="x",', (("basic", {"realm": "x"}),)),
    ],
)
def test_headers_of_registries(header: str, expected: tuple[tuple[str, dict[str, str]], ...]) -> None:
    found = parse_challenges([header])
    assert [(each.scheme, dict(each.parameters)) for each in found] == list(expected)


def test_several_headers_and_scopes() -> None:
    found = parse_challenges(['Bearer realm="x",scope="repository:a:pull repository:b:pull"', "Basic"])
    assert [each.scheme for each in found] == ["bearer", "basic"]
    assert found[0].scopes == ("repository:a:pull", "repository:b:pull")
    assert found[1].get("realm") == ""


@pytest.mark.parametrize(
    "values",
    [
        ['Bearer realm="x",realm="y"'],
        ['Bearer realm="x'],
        ['realm="x"'],
        ["Bearer " + "a" * (1 << 20)],
        ['Bearer realm="' + '\\"' * (1 << 19)],
        ["Basic, " * 1000],
        ["Basic"] * 1000,
        ["a=" * 8000],
        ["\x00"],
    ],
)
def test_rg_14_junk_is_refused_quickly(values: list[str]) -> None:
    started = time.thread_time()
    with pytest.raises(InvalidChallenge):
        parse_challenges(values)
    assert time.thread_time() - started < 0.1


@pytest.mark.parametrize("unit", ['a="', "a=b ", "a ", 'a="\\', ",", "a=b,", "a b=c,", "\t", '"'])
def test_rg_14_time_is_linear(unit: str) -> None:
    """No header within the limit takes long, whatever it repeats."""
    started = time.thread_time()
    with suppress(InvalidChallenge):
        parse_challenges([(unit * 16384)[:16384]])
    assert time.thread_time() - started < 0.1


def test_challenge_is_a_value() -> None:
    assert Challenge(scheme="basic") == parse_challenges(["Basic"])[0]
