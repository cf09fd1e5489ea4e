"""TruncNormal: a Gaussian without its tails, with the std that was asked for."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import cast

from .. import _laws as laws
from .._errors import ArgumentError, ArgumentTypeError
from .._expressions import Expression
from .._fans import Layout
from ._base import Initializer, Number, as_real


@dataclass(frozen=True)
class TruncNormal(Initializer):
    """N(mean, σ²) cut to mean ± bounds · σ, with σ chosen so that the std of the result is ``std``.

    σ = std / s(bounds), where s is the std of the standard normal cut there: s(±2) = 0.87962566, s(±3) = 0.98657839.
    Exact by quantile: one word an element, no rejection, far and narrow intervals included.

    Use when: no weight may lie far out, and the std is to be what you say: JAX's, TF's and most ViTs' choice.
    Not when: copying ``nn.init.trunc_normal_`` to the letter: ``CutNormal``.

    Args:
        std: the std that comes out, ≥ 0.
        mean: centre of the normal; the mean of the result where the bounds are symmetric.
        bounds: the cut in units of σ: one number for ±bounds (> 0), or a pair (low, high) with low < high.

    Raises:
        ArgumentError: std < 0, or bounds that are not an interval.

    Example:
        >>> w = TruncNormal(std=0.02, bounds=2)(256, 256)
        >>> abs(float(w.std()) - 0.02) < 2e-4, float(w.abs().max()) <= 2 * 0.02 / 0.8796256610342398
        (True, True)

    Differs from torch: ``torch.nn.init.trunc_normal_`` takes absolute cuts and does not correct the std; JAX takes bounds in σ
    and corrects the std in ``variance_scaling`` only.
    """

    name = "trunc_normal"

    std: Number = 1.0
    mean: Number = 0.0
    bounds: float | tuple[float, float] = 2.0

    def __post_init__(self) -> None:
        self._interval()
        if not isinstance(self.std, Expression) and not cast(float, self.std) >= 0:  # NaN lands here too
            raise ArgumentError(f"trunc_normal expects std >= 0, got std={self.std}")

    def _interval(self) -> tuple[float, float]:
        bounds = self.bounds
        if isinstance(bounds, (list, tuple)):
            if len(bounds) != 2:
                raise ArgumentTypeError(f"trunc_normal expects bounds=2 or bounds=(-2, 2), got {bounds!r}")
            low, high = (float(as_real(bound, "bounds", "trunc_normal")) for bound in bounds)
            object.__setattr__(self, "bounds", (low, high))
        else:
            high = float(as_real(bounds, "bounds", "trunc_normal"))
            low = -high
        if not low < high:  # NaN lands here too
            raise ArgumentError(f"trunc_normal expects bounds in σ, low < high, got {bounds!r}: write bounds=2 for ±2σ")
        return low, high

    def law_for(self, shape: tuple[int, ...], layout: Layout) -> laws.Law:
        low, high = self._interval()
        mean, std = cast(float, self.mean), cast(float, self.std)
        sigma = std / _spread(low, high)
        return laws.truncated(mean, sigma, mean + low * sigma if sigma else mean, mean + high * sigma if sigma else mean)


@functools.lru_cache(maxsize=256)
def _spread(low: float, high: float) -> float:
    """The std of the standard normal cut to [low, high]."""
    if math.isinf(low) and math.isinf(high):
        return 1.0
    return float(laws.standard_moments(low, high)[1])
