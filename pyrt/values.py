"""Frozen, slotted values with the words of ``dataclasses``, made without generating code.

``dataclasses`` writes and executes the source of six methods for each class; for the forty values on the way of a
``pyrt run`` that takes 25 ms, more than everything else of pyrt together. Here the methods are shared closures. To a type
checker this module *is* dataclasses, and the values behave alike: keyword arguments, defaults, default_factory, equality,
hash, repr, ``replace``, ``__post_init__``, pickling, no assignment when frozen.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
else:
    _MISSING = object()

    class _Factory:
        __slots__ = ("make",)

        def __init__(self, make):
            self.make = make

    def field(*, default_factory):
        """A field whose default is made anew for each value."""
        return _Factory(default_factory)

    def replace(value, /, **changes):
        """A copy of ``value`` with these fields changed; a value of ``dataclasses`` may be one too."""
        names = getattr(value, "__dataclass_fields__", None) or value.__slots__
        fields = {name: getattr(value, name) for name in names}
        return type(value)(**{**fields, **changes})

    def dataclass(cls=None, /, *, frozen=False, slots=True, kw_only=False, repr=True):
        """The class with its annotated names as slots, and the methods of a dataclass."""
        if cls is None:
            return lambda cls: _made(cls, frozen, kw_only, repr)
        return _made(cls, frozen, kw_only, repr)

    def _made(cls, frozen, kw_only, repr):
        names = tuple(cls.__annotations__)
        body = dict(cls.__dict__)
        defaults = {name: body.pop(name) for name in names if name in body}
        for name in ("__dict__", "__weakref__"):
            body.pop(name, None)
        body["__slots__"] = names
        body["__qualname__"] = cls.__qualname__
        made = type(cls)(cls.__name__, cls.__bases__, body)
        setters = tuple((name, getattr(made, name).__set__) for name in names)
        made.__init__ = _init(cls, setters, defaults, kw_only, body.get("__post_init__"))
        made.__reduce__ = lambda self: (_rebuilt, (made, tuple(getattr(self, name) for name in names)))
        if repr and "__repr__" not in body:
            made.__repr__ = lambda self: (
                f"{cls.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"
            )
        if "__eq__" not in body:
            made.__eq__ = _eq(made, names)
            made.__hash__ = _hash(names) if frozen else None
        if frozen:
            made.__setattr__ = made.__delattr__ = _refuse
        return made

    def _init(cls, setters, defaults, kw_only, post_init):
        names = [name for name, _ in setters]
        known = frozenset(names)
        fields = tuple((name, put, defaults.get(name, _MISSING)) for name, put in setters)
        factories = tuple(name for name, value in defaults.items() if type(value) is _Factory)

        def __init__(self, /, *args, **given):
            if args:
                if kw_only or len(args) > len(names):
                    allowed = 0 if kw_only else len(names)
                    raise TypeError(f"{cls.__name__}() takes {allowed} positional arguments but {len(args)} were given")
                for name, value in zip(names, args, strict=False):
                    if name in given:
                        raise TypeError(f"{cls.__name__}() got multiple values for argument {name!r}")
                    given[name] = value
            if not given.keys() <= known:
                unknown = next(name for name in given if name not in known)
                raise TypeError(f"{cls.__name__}() got an unexpected keyword argument {unknown!r}")
            for name in factories:
                if name not in given:
                    given[name] = defaults[name].make()
            for name, put, default in fields:
                value = given.get(name, default)
                if value is _MISSING:
                    raise TypeError(f"{cls.__name__}() missing argument {name!r}")
                put(self, value)
            if post_init is not None:
                post_init(self)

        return __init__

    def _eq(made, names):
        def __eq__(self, other):
            if other.__class__ is not made:
                return NotImplemented
            return self is other or all(getattr(self, name) == getattr(other, name) for name in names)

        return __eq__

    def _hash(names):
        return lambda self: hash(tuple([getattr(self, name) for name in names]))

    def _refuse(self, name, *value):
        raise AttributeError(f"{type(self).__name__}.{name}: this value is frozen")

    def _rebuilt(made, values):
        return made(**dict(zip(made.__slots__, values, strict=True)))
