"""Sparse: a matrix most of whose elements are zero."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

from torch import Tensor

from .. import _laws as laws
from .._errors import ArgumentError
from .._expressions import Expression
from .._fans import Layout
from .._programs import Draw
from ._base import Initializer, Number


@dataclass(frozen=True)
class Sparse(Initializer):
    """N(0, std²) with the same number of zeros in every column (or row), at random places.

    ``ceil(sparsity · size)`` elements of each line are zero: those with the smallest words of a stream of their own.

    Use when: dense networks of saturating units, where each unit should see a few inputs strongly.
    Not when: convolutions, attention: it is for matrices whose fans are large.

    Args:
        sparsity: the fraction that is zero, in [0, 1].
        std: std of the elements that are not zero, ≥ 0.
        along: ``"column"``, as torch does: every input feeds the same number of outputs; ``"row"``, as the paper does: every
            unit has the same number of inputs.

    Raises:
        ArgumentError: not 2 dimensions, or sparsity outside [0, 1].

    Example:
        >>> w = Sparse(sparsity=0.9)(10, 4)
        >>> (w == 0).sum(0).tolist()
        [9, 9, 9, 9]

    Source: Martens 2010, ICML, section 5 (15 incoming connections a unit: ``along="row"``).
    """

    name = "sparse"

    sparsity: float = 0.9
    std: Number = 0.01
    along: str = "column"

    def __post_init__(self) -> None:
        if not 0 <= self.sparsity <= 1:
            raise ArgumentError(f"sparse expects a sparsity in [0, 1], got {self.sparsity}")
        if self.along not in ("column", "row"):
            raise ArgumentError(f"sparse expects along='column' or 'row', got {self.along!r}")
        if not isinstance(self.std, Expression):
            laws.Normal(0.0, cast(float, self.std))

    def _zeros(self, shape: tuple[int, ...]) -> int:
        if len(shape) != 2:
            raise ArgumentError("Only tensors with 2 dimensions are supported")
        return math.ceil(self.sparsity * shape[0 if self.along == "column" else 1])

    def moments(self, shape: tuple[int, ...], layout: Layout) -> tuple[float, float]:
        share = self._zeros(shape) / shape[0 if self.along == "column" else 1]
        return 0.0, cast(float, self.std) * math.sqrt(1 - share)

    def make(self, shape: tuple[int, ...], layout: Layout, draw: Draw) -> Tensor:
        values = draw(laws.Normal(0.0, cast(float, self.std)), "values")
        places = draw(laws.Uniform(0.0, 1.0), "places")
        axis = 0 if self.along == "column" else 1
        order = places.argsort(dim=axis, stable=True)
        return values.scatter(axis, order.narrow(axis, 0, self._zeros(shape)), 0.0)
