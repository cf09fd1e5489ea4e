"""Constant: every element the same."""

from __future__ import annotations

import cmath
from dataclasses import dataclass

from .. import _laws as laws
from .._errors import ArgumentError
from .._expressions import Expression
from .._fans import Layout
from ._base import Initializer, Number


@dataclass(frozen=True)
class Constant(Initializer):
    """Every element is ``value``, written in the tensor's own dtype (no fp32 on the way).

    Use when: biases, gains and scales, which need no randomness.
    Not when: the tensor is a weight of several units: equal units get equal gradients and stay equal.

    Args:
        value: a number, or an expression as text.

    Example:
        >>> Constant(0.5)(2)
        tensor([0.5000, 0.5000])
    """

    name = "constant"

    value: Number | complex = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.value, complex) and not cmath.isfinite(self.value):
            raise ArgumentError(f"constant expects a finite value, got {self.value}")

    def law_for(self, shape: tuple[int, ...], layout: Layout) -> laws.Law:
        assert not isinstance(self.value, (str, Expression))
        return laws.Constant(self.value)

    def __str__(self) -> str:
        return f"{self.value:g}" if isinstance(self.value, (int, float)) else str(self.value)


@dataclass(frozen=True)
class Zeros(Constant):
    """Every element 0.

    Use when: biases; ends of residual branches, so that a block starts as the identity; heads.
    Not when: both of two weights in a row would be 0: then neither gets a gradient.

    Example:
        >>> Zeros()(2)
        tensor([0., 0.])
    """

    name = "zeros"


@dataclass(frozen=True)
class Ones(Constant):
    """Every element 1.

    Use when: scales of norms and gates that are open at the start.
    Not when: the norm stores its scale less 1, as Gemma's: ``Reset`` knows.

    Example:
        >>> Ones()(2)
        tensor([1., 1.])
    """

    name = "ones"

    value: Number | complex = 1.0
