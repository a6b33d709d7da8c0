"""The values of pyrt.values behave as those of dataclasses do: each statement is tried with both."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable

import pytest

from pyrt import values

Decorator = Callable[..., Callable[[type], type]]


def _point(module) -> type:
    @module.dataclass(frozen=True, slots=True, kw_only=True)
    class Point:
        x: int
        y: int = 2
        tags: list = module.field(default_factory=list)

        def shifted(self):
            return module.replace(self, x=self.x + 1)

        @property
        def sum(self):
            return self.x + self.y

    return Point


@pytest.fixture(params=[values, dataclasses], ids=["values", "dataclasses"])
def module(request):
    return request.param


def test_fields_defaults_and_methods(module):
    point = _point(module)(x=1)
    assert (point.x, point.y, point.tags, point.sum, point.shifted().x) == (1, 2, [], 3, 2)
    assert _point(module)(x=1).tags is not point.tags


@pytest.mark.parametrize("given", [{}, {"y": 1}, {"x": 1, "z": 2}])
def test_wrong_arguments(module, given):
    with pytest.raises(TypeError):
        _point(module)(**given)
    with pytest.raises(TypeError):
        _point(module)(1)


def test_frozen_and_without_a_dict(module):
    point = _point(module)(x=1)
    with pytest.raises(AttributeError):
        point.x = 5
    with pytest.raises(AttributeError):
        del point.x
    with pytest.raises((AttributeError, TypeError)):
        point.new = 5
    assert not hasattr(point, "__dict__")


def test_equality_hash_and_repr(module):
    @module.dataclass(frozen=True, slots=True)
    class Pair:
        a: int
        b: str = "x"

    assert Pair(1) == Pair(1, "x") and Pair(1) != Pair(2) and Pair(1) != (1, "x")
    assert hash(Pair(1)) == hash(Pair(1, b="x")) and len({Pair(1), Pair(1), Pair(2)}) == 2
    assert repr(Pair(1)).endswith("Pair(a=1, b='x')")
    with pytest.raises(TypeError):
        Pair(1, "x", "y")
    with pytest.raises(TypeError):
        Pair(1, a=1)


def test_post_init_and_mutable(module):
    @module.dataclass(slots=True)
    class Counter:
        n: int = 0

        def __post_init__(self):
            self.n += 1

    counter = Counter(4)
    counter.n += 1
    assert counter.n == 6
    with pytest.raises(TypeError):
        hash(counter)


def test_values_travel_to_other_processes():
    from pyrt.request import CompletedRun

    result = CompletedRun(argv=("a",), returncode=3, stdout=b"x")
    assert pickle.loads(pickle.dumps(result)) == result
    assert copy.copy(result) == result and copy.deepcopy(result) == result
