"""LogUniform: the logarithm of a uniform number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .. import _laws as laws
from .._errors import ArgumentError
from .._fans import Layout
from .._programs import Draw
from ._base import Initializer


@dataclass(frozen=True)
class LogUniform(Initializer):
    """log u with u ~ U(a, b): Mamba-2's ``A_log``, one decay a head.

    Use when: ``A_log`` of Mamba-2.
    Not when: Mamba-1: ``LogRange``.

    Args:
        a, b: 0 < a < b.

    Raises:
        ArgumentError: bounds that are not 0 < a < b.

    Example:
        >>> w = LogUniform(1, 16)(1000).exp()
        >>> bool((w >= 1).all() and (w <= 16).all()), abs(float(w.mean()) - 8.5) < 0.7
        (True, True)

    Source: Dao & Gu 2024 (2405.21060), mamba2.py, ``A_init_range=(1, 16)``. (transformers writes log 1, …, log heads there: ``LogRange``.)
    """

    name = "log_uniform"
    exact = False  # by a logarithm

    a: float = 1.0
    b: float = 16.0

    def __post_init__(self) -> None:
        if not 0 < self.a < self.b or not math.isfinite(self.b):
            raise ArgumentError(f"log_uniform expects 0 < a < b, got a={self.a}, b={self.b}")

    def moments(self, shape: tuple[int, ...], layout: Layout) -> tuple[float, float]:
        from mpmath import mp, mpf

        with mp.workprec(120):
            a, b = mpf(self.a), mpf(self.b)
            first = (b * mp.log(b) - b - a * mp.log(a) + a) / (b - a)
            second = (_square(b) - _square(a)) / (b - a)
            return float(first), float(mp.sqrt(second - first**2))

    def make(self, shape: tuple[int, ...], layout: Layout, draw: Draw) -> Tensor:
        return draw(laws.Uniform(float(self.a), float(self.b)), "values").double().log()


def _square(t: Any) -> Any:
    """The antiderivative of log²."""
    from mpmath import mp

    return t * mp.log(t) ** 2 - 2 * t * mp.log(t) + 2 * t
