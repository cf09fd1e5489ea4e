"""Siren: weights for networks of sines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

from .. import _laws as laws
from .._errors import ArgumentError
from .._expressions import Expression
from .._fans import Layout
from ._base import Initializer, Number


@dataclass(frozen=True)
class Siren(Initializer):
    """U(±√(6 / fan_in) / ω₀) for the hidden and last layers of sin(ω₀ (W x + b)), U(±1 / fan_in) for the first.

    Use when: a layer feeds sin(ω₀ ·).
    Not when: the frequencies are a layer of their own, as in Fourier features.

    Args:
        first: the network's first layer, whose inputs are coordinates in [−1, 1].
        omega_0: the frequency in this layer's sine, > 0.

    Raises:
        ArgumentError: omega_0 ≤ 0 or infinite, or a tensor without fans.

    Example:
        >>> float(Siren()(64, 600).abs().max()) <= 0.1 / 30 + 1e-8  # the bound is rounded to fp32
        True

    Source: Sitzmann et al. 2020 (2006.09661) and its code, in which biases stay as torch draws them. The paper says that what a
    sine sees is N(0, 1); with these very weights its std is .892643, the root v = .796812 of v = 1 − e^(−2v) (what √(6 / fan_in)
    gives to sines of N(0, v)); the first hidden layer, whose inputs are arcsine-distributed, has 1.
    """

    name = "siren"

    first: bool = False
    omega_0: Number = 30.0

    def __post_init__(self) -> None:
        if not isinstance(self.omega_0, Expression) and not 0 < cast(float, self.omega_0) < math.inf:
            raise ArgumentError(f"siren expects a finite omega_0 > 0, got omega_0={self.omega_0}")

    def law_for(self, shape: tuple[int, ...], layout: Layout) -> laws.Law:
        fan_in = layout.fans(shape)[0]
        bound = 1.0 / fan_in if self.first else math.sqrt(6.0 / fan_in) / cast(float, self.omega_0)
        return laws.Uniform(-bound, bound)
