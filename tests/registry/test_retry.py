"""Pauses between tries."""

from __future__ import annotations

import httpx
import pytest

from pyrt.registry.retry import Attempts, RetryPolicy, retry_after
from tests.support.registry_client import FakeClock


def test_pauses_double_up_to_the_cap() -> None:
    clock = FakeClock()
    attempts = Attempts(RetryPolicy(tries=10, cap=4.0), clock)
    assert [attempts.again() for _ in range(10)] == [True] * 9 + [False]
    assert clock.slept == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]


def test_budget_ends_it() -> None:
    clock = FakeClock()
    attempts = Attempts(RetryPolicy(tries=100, budget=10.0), clock)
    while attempts.again():
        pass
    assert sum(clock.slept) <= 10.0 and len(clock.slept) == 4


def test_retry_after_is_obeyed_up_to_its_cap() -> None:
    clock = FakeClock()
    attempts = Attempts(RetryPolicy(), clock)
    assert attempts.again(60.0)
    assert not attempts.again(61.0)
    assert clock.slept == [60.0]


def test_progress_counts_anew() -> None:
    attempts = Attempts(RetryPolicy(tries=2), FakeClock())
    assert attempts.again()
    attempts.progressed()
    assert attempts.again()
    assert not attempts.again()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:30:20 GMT"}, 20.0),
        ({"retry-after": "Tue, 14 Nov 2000 22:30:20 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"ratelimit-reset": "30"}, 30.0),
        ({"x-ratelimit-reset": "1700001020"}, 20.0),
        ({"x-retry-after": "1700001020"}, 20.0),
        ({"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "0;w=21600"}, None),
        ({"retry-after": "9" * 400}, None),
    ],
)
def test_what_headers_say(headers: dict[str, str], expected: float | None) -> None:
    clock = FakeClock(now=1000.0)
    assert retry_after(httpx.Headers(headers), clock) == expected
