"""Initializer: what one tensor gets, as a frozen value. Adding one is a file here and a test; the registry finds it by name."""

from __future__ import annotations

import dataclasses
import functools
import numbers
import re
from collections.abc import Callable
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from .. import _laws as laws
from .._errors import ArgumentError, ArgumentTypeError, nearest
from .._expressions import Expression
from .._fans import Layout
from .._programs import Made, Maker, Program, mixed, packed

Number = float | int | str | Expression
"""A number, or an expression of ``fan_in``, ``fan_out``, ``depth``, … as text: ``"0.02 / sqrt(2 * depth)"``."""

_WORD = re.compile(r"[A-Za-z_]\w*")


class Initializer:
    """Base of all initializers: frozen dataclasses whose fields are the arguments a user writes.

    A subclass says ``name`` (its word in text recipes), ``law_for`` when it is elementwise, and ``make`` and ``moments`` when
    it needs the whole tensor.
    """

    name: ClassVar[str] = ""
    exact: ClassVar[bool] = True  # False: goes through LAPACK or a reduction, so promised to 1e-6 rather than to the bit
    random: ClassVar[bool] = True  # False: always the same values
    shared: ClassVar[bool] = False  # True: drawn from the stream of the attention module it belongs to
    _registry: ClassVar[dict[str, type[Initializer]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__dict__.get("__post_init__")
        if own is not None:
            cls.__post_init__ = _after_the_check(own)  # type: ignore[assignment, method-assign]
        if cls.name:
            known = Initializer._registry.get(cls.name.lower())
            homes = [f"{one.__module__}.{one.__qualname__}" for one in (known or cls, cls)]
            if homes[0] != homes[1]:
                raise ArgumentError(f"two initializers are called {cls.name!r}: {homes[0]} and {homes[1]}")
            Initializer._registry[cls.name.lower()] = cls

    def __post_init__(self) -> None:
        """Arguments are held to their annotations; a subclass checks what they mean."""
        _check_arguments(self)

    def law_for(self, shape: tuple[int, ...], layout: Layout) -> laws.Law:
        """The law of one logical weight of this shape."""
        raise NotImplementedError(f"{type(self).__name__} defines neither law_for nor make")

    def program(self, shape: tuple[int, ...], layout: Layout) -> Program:
        """What fills a tensor of this shape and layout: packed weights each by themselves, padding rows zero."""
        if not shape or 0 in shape:
            return laws.Constant(0.0) if 0 in shape else self._block(shape, layout)
        blocks = [self._block(block, layout) for block in layout.block_shapes(shape)]
        if layout.repeats > 1 and isinstance(blocks[0], Made):  # made block by block, then dealt out: see ``_execute.make``
            mean, std = mixed([(size, block) for size, block in zip(layout.blocks, blocks, strict=True)])
            return Made(blocks[0].maker, dataclasses.replace(layout, zero_rows=()), mean, std, self.exact)
        sizes = layout.pieces() if layout.blocks else [(0, shape[layout.block_axis])]
        program = packed(layout.block_axis, [(size, blocks[index]) for index, size in sizes])
        return _with_zero_rows(program, shape, layout)

    def _block(self, shape: tuple[int, ...], layout: Layout) -> Program:
        if not hasattr(self, "make"):
            return self.law_for(shape, layout)
        maker = cast(Maker, self)
        lone = dataclasses.replace(layout, blocks=(), block_names=(), repeats=1, zero_rows=())
        mean, std = maker.moments(shape, lone)
        return Made(maker, lone, mean, std, self.exact)

    def bound(self, names: dict[str, float]) -> Initializer:
        """This initializer with its expressions worked out, those of initializers in it as well."""
        changes: dict[str, Any] = {
            field.name: value.evaluate(names) if isinstance(value, Expression) else value.bound(names)
            for field in dataclasses.fields(cast(Any, self))
            if isinstance(value := getattr(self, field.name), (Expression, Initializer))
        }
        return cast(Initializer, dataclasses.replace(cast(Any, self), **changes)) if changes else self

    def held(self) -> list[Initializer]:
        """The initializers it is made of."""
        values = (getattr(self, field.name) for field in dataclasses.fields(cast(Any, self)))
        return [value for value in values if isinstance(value, Initializer)]

    def names(self) -> frozenset[str]:
        """What its expressions refer to; functions count too."""
        found: list[str] = []
        for field in dataclasses.fields(cast(Any, self)):
            value = getattr(self, field.name)
            if isinstance(value, Expression):
                found += _WORD.findall(value.text)
            elif isinstance(value, Initializer):
                found += value.names()
        return frozenset(found)

    def __call__(
        self,
        *shape: int | tuple[int, ...],
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A new tensor of this shape, keyed from torch's generator: ``Normal(std=.02)(3, 4)``."""
        from .._init.dropin import fill_by_generator

        if any(isinstance(size, Tensor) for size in shape):
            raise ArgumentTypeError(
                f"{type(self).__name__}(…) is called with sizes and makes a new tensor; to fill one that is there, write "
                f"initium.init.{self.name}_(tensor, …) where there is such a function, or a recipe"
            )
        sizes = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
        tensor = torch.empty(cast(Any, sizes), dtype=dtype, device=device)
        return fill_by_generator(tensor, self, generator=generator)

    def __str__(self) -> str:
        """As the plan shows it: the name and the arguments that differ from their defaults."""
        shown = []
        for field in dataclasses.fields(cast(Any, self)):
            value = getattr(self, field.name)
            if value != field.default:
                text = f"{value:.6g}" if isinstance(value, float) else str(value)
                shown.append(f"{field.name}={text}")
        return f"{self.name}({', '.join(shown)})" if shown else self.name


def _with_zero_rows(program: Program, shape: tuple[int, ...], layout: Layout) -> Program:
    if not layout.zero_rows or isinstance(program, laws.Constant):
        return program
    parts: list[tuple[int, Program]] = []
    row = 0
    for zero in sorted(layout.zero_rows):
        parts += [(zero - row, program), (1, laws.Constant(0.0))]
        row = zero + 1
    return packed(0, [*parts, (shape[0] - row, program)])


def as_number(value: Number, what: str, owner: str) -> float | Expression:
    """A field's number: text becomes an ``Expression``, anything else must be a real number."""
    if isinstance(value, str):
        return Expression(value)
    if isinstance(value, Expression):
        return value
    return as_real(value, what, owner)


def as_real(value: object, what: str, owner: str) -> float:
    """A real number as Python's own int or float; NaN and the infinities are for the initializer to judge."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ArgumentTypeError(f"{owner} expects a number for {what}, got {value!r}")
    try:
        plain = float(value)
    except OverflowError:
        raise ArgumentError(f"{owner}'s {what} is beyond what double precision holds (1.8e308)") from None
    return value if isinstance(value, int) else plain


def _real_or_complex(value: Any, what: str, owner: str) -> complex | Expression:
    return value if isinstance(value, complex) else as_number(value, what, owner)


def _whole(value: object, what: str, owner: str) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ArgumentTypeError(f"{owner} expects a whole number for {what}, got {value!r}")
    return int(value)


def _flag(value: object, what: str, owner: str) -> bool:
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"{owner} expects True or False for {what}, got {value!r}")
    return value


def _axes(value: object, what: str, owner: str) -> tuple[int, ...] | None:
    """Axes as a tuple; None where they are not said."""
    listed = (value,) if isinstance(value, int) else value
    if listed is None:
        return None
    if not isinstance(listed, (tuple, list)) or not all(type(axis) is int for axis in listed):
        raise ArgumentTypeError(f"{owner} expects an axis or a tuple of axes for {what}, got {value!r}")
    return tuple(listed)


_KINDS: dict[str, Callable[[Any, str, str], object]] = {  # by annotation; what else there is, initializers check themselves
    "Number": as_number,
    "Number | complex": _real_or_complex,
    "float": as_real,
    "float | None": lambda value, what, owner: None if value is None else as_real(value, what, owner),
    "int": _whole,
    "bool": _flag,
    "Axes": _axes,
}


def _check_arguments(initializer: Initializer) -> None:
    for field in dataclasses.fields(cast(Any, initializer)):
        kind = _KINDS.get(cast(str, field.type))
        if kind is not None:
            given = getattr(initializer, field.name)
            object.__setattr__(initializer, field.name, kind(given, field.name, initializer.name or type(initializer).__name__))


def _after_the_check(post_init: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(post_init)
    def checked(self: Any) -> None:
        _check_arguments(self)
        post_init(self)

    return checked


def initializer_class(name: str) -> type[Initializer]:
    """The initializer of that name; entry points ``initium.initializers`` count."""
    from .._plugins import load

    load("initium.initializers")
    found = Initializer._registry.get(name.lower())
    if found is None:
        known = sorted(Initializer._registry)
        raise ArgumentError(f"no initializer is called {name!r}.{nearest(name, known)} Known: {', '.join(known)}")
    return found


def as_initializer(value: object) -> Initializer:
    """What a rule was given: an Initializer; a number (``Constant``); a name (``"xavier_normal"``); a tensor (``Values``)."""
    from .constant import Constant
    from .values import Values

    if isinstance(value, Initializer):
        return value
    if isinstance(value, type) and issubclass(value, Initializer):
        return value()
    if isinstance(value, bool):
        raise ArgumentTypeError(f"an initializer is expected, got {value}: write {int(value)} for the constant")
    if isinstance(value, (int, float, complex)):
        return Constant(value)
    if isinstance(value, str):
        return initializer_class(value)()
    if isinstance(value, Tensor):
        return Values(value)
    raise ArgumentTypeError(
        f"an initializer is expected, got {type(value).__name__}: write Normal(std=0.02), a number, or a name such as "
        f"'xavier_normal'"
    )
