"""CutNormal: a Gaussian cut at absolute values, as torch's ``trunc_normal_`` means it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from .. import _laws as laws
from .._errors import ArgumentError
from .._expressions import Expression
from .._fans import Layout
from ._base import Initializer, Number


@dataclass(frozen=True)
class CutNormal(Initializer):
    """N(mean, std²) cut to the absolute interval [a, b]; the std that comes out is smaller than ``std``.

    Exact by quantile: one word an element, no rejection, far and narrow intervals included. ``TruncNormal`` is the one whose
    cut is in units of σ and whose std is the one asked for.

    Use when: a source says ``trunc_normal_(std, a=…, b=…)`` and the same law is wanted.
    Not when: the std is to be the one you say: ``TruncNormal``.

    Args:
        std: standard deviation before the cut, ≥ 0; 0 gives the mean, moved to the nearest cut if it lies outside.
        mean: any finite number; it may lie outside [a, b].
        a, b: the cuts, a ≤ b, ±inf allowed.

    Raises:
        ArgumentError: std < 0, a > b, or a NaN.

    Example:
        >>> w = CutNormal(std=1.0, a=8.0, b=9.0)(1000)
        >>> bool((w >= 8).all() and (w <= 9).all())
        True

    Source: ``torch.nn.init.trunc_normal_``, whose std, a and b mean the same.
    """

    name = "cut_normal"

    std: Number = 1.0
    mean: Number = 0.0
    a: Number = -2.0
    b: Number = 2.0

    def __post_init__(self) -> None:
        mean, std, a, b = (getattr(self, field) for field in ("mean", "std", "a", "b"))
        if not isinstance(std, Expression):
            laws.Normal(0.0 if isinstance(mean, Expression) else mean, std)
        if not isinstance(a, Expression) and not isinstance(b, Expression) and not a <= b:  # NaN lands here too
            raise ArgumentError(f"cut_normal expects a <= b, got [{a}, {b}]: swap them")

    def law_for(self, shape: tuple[int, ...], layout: Layout) -> laws.Law:
        mean, std, a, b = (cast(float, number) for number in (self.mean, self.std, self.a, self.b))
        return laws.truncated(mean, std, a, b)
