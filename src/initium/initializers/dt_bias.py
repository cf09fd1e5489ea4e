"""DtBias: step sizes of a state space, spread over the logarithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .. import _laws as laws
from .._errors import ArgumentError
from .._fans import Layout
from .._programs import Draw
from ._base import Initializer


@dataclass(frozen=True)
class DtBias(Initializer):
    """softplus⁻¹(Δ) with log Δ ~ U(log low, log high) and Δ ≥ floor: so that softplus(bias) = Δ, Mamba's step size.

    Use when: the bias is that of step sizes behind a softplus: Mamba's and S4's.
    Not when: the step is e^b, as in S4D: ``Uniform`` between the logarithms.

    Args:
        low, high: the range of Δ, 0 < low < high.
        floor: Δ below it is set to it.

    Raises:
        ArgumentError: numbers that are not 0 < low < high, or a floor that is not in (0, high].

    Example:
        >>> steps = torch.nn.functional.softplus(DtBias()(1000))
        >>> bool((steps > 0.000999).all() and (steps < 0.1001).all()), 0.008 < float(steps.median()) < 0.0125
        (True, True)

    Source: Gu & Dao 2023 (2312.00752), section 3.6, and mamba_simple.py: low 0.001, high 0.1, floor 0.0001; softplus⁻¹(Δ) = Δ + log(1 − e^−Δ).
    """

    name = "dt_bias"
    exact = False  # by exponentials

    low: float = 0.001
    high: float = 0.1
    floor: float = 1e-4

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < float("inf"):
            raise ArgumentError(f"dt_bias expects 0 < low < high, got low={self.low}, high={self.high}")
        if not 0 < self.floor <= self.high:
            raise ArgumentError(f"dt_bias expects 0 < floor <= high, got floor={self.floor}")

    def moments(self, shape: tuple[int, ...], layout: Layout) -> tuple[float, float]:
        from mpmath import mp, mpf

        with mp.workprec(80):
            low, high = mp.log(mpf(self.low)), mp.log(mpf(self.high))

            def bias(log: Any) -> Any:
                step = max(mp.exp(log), mpf(self.floor))
                return step + mp.log(-mp.expm1(-step))

            places = sorted({low, max(low, min(high, mp.log(mpf(self.floor)))), high})
            first = mp.quad(bias, places) / (high - low)
            second = mp.quad(lambda log: bias(log) ** 2, places) / (high - low)
            return float(first), float(mp.sqrt(second - first**2))

    def make(self, shape: tuple[int, ...], layout: Layout, draw: Draw) -> Tensor:
        from mpmath import mp, mpf

        with mp.workprec(80):
            low, high = float(mp.log(mpf(self.low))), float(mp.log(mpf(self.high)))
        steps = draw(laws.Uniform(low, high), "values").double().exp().clamp(min=self.floor)
        return steps + torch.log(-torch.expm1(-steps))
