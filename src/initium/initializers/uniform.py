"""Uniform: independent elements, flat between two bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from .. import _laws as laws
from .._expressions import Expression
from .._fans import BARE, Layout
from ._base import Initializer, Number


@dataclass(frozen=True)
class Uniform(Initializer):
    """U[a, b), each element by itself.

    w = u · (b − a) + a with u = k / 2²⁴, in fp32 and below b; a = b gives a.

    Use when: a source gives bounds.
    Not when: it gives a std: the bound is √3 times as large.

    Args:
        a, b: the bounds, a ≤ b; numbers or expressions. In bf16 and fp16 the fp32 value is rounded once, so it may equal b.

    Raises:
        ArgumentError: a > b, a bound that is not finite, or b − a beyond fp32.

    Example:
        >>> w = Uniform(-0.1, 0.1)(1000)
        >>> bool((w >= -0.1).all() and (w < 0.1).all())
        True
    """

    name = "uniform"

    a: Number = 0.0
    b: Number = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.a, Expression) and not isinstance(self.b, Expression):
            self.law_for((), BARE)

    def law_for(self, shape: tuple[int, ...], layout: Layout) -> laws.Law:
        return laws.Uniform(cast(float, self.a), cast(float, self.b))
