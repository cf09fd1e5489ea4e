"""RandomWalk: weights under which the logarithm of the gradient's norm neither grows nor shrinks with depth."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from .. import _laws as laws
from .._errors import ArgumentError, nearest
from .._fans import Layout
from ._base import Initializer

ACTIVATIONS = ("relu", "linear")


@dataclass(frozen=True)
class RandomWalk(Initializer):
    """N(0, g² / fan_in) with the g for which E log(‖δ_l‖ / ‖δ_(l+1)‖) = 0 exactly, at this very width.

    A layer's backpropagated vector has ‖δ_l‖² = (g² / N) χ²_M ‖δ_(l+1)‖², N = fan_in and M = N for linear units; for ReLU M is
    the number of active units, Binomial(N, ½), at least one. So log g² = log N − E[ψ(M / 2) + log 2], worked out by mpmath. He's
    √2 keeps E‖δ‖² and lets the typical gradient shrink, by about e^(−5 / 4N) a layer.

    Use when: a plain dense network of ReLU, or of none, is hundreds of layers deep and narrow.
    Not when: there are norms or shortcuts: they take the drift away.

    Args:
        activation: ``"relu"`` or ``"linear"``.

    Raises:
        ArgumentError: another activation, or a tensor without fans.

    Example:
        >>> round(walk_gain(100, "relu"), 6), round(walk_gain(100, "linear"), 6)
        (1.432304, 1.005029)

    Source: Sussillo & Abbott 2014 (1412.6558), eq. 7 and 15, where g = e^(1 / 2N), and for ReLU the fit √2 e^(1.2 / (max(N, 6) − 2.4)):
    1.656105, 1.450319, 1.431709 at N = 10, 50, 100, against 1.649223, 1.451276, 1.432304 here.
    """

    name = "random_walk"

    activation: str = "relu"

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ArgumentError(
                f"random_walk knows the exact gain of {' and '.join(ACTIVATIONS)}, not of {self.activation!r}."
                f"{nearest(str(self.activation), ACTIVATIONS)}"
            )

    def law_for(self, shape: tuple[int, ...], layout: Layout) -> laws.Law:
        fan_in = layout.fans(shape)[0]
        return laws.Normal(0.0, walk_gain(fan_in, self.activation) / math.sqrt(fan_in))


@functools.lru_cache(maxsize=1024)
def walk_gain(n: int, activation: str) -> float:
    """The gain g at width ``n``; the binomial's terms beyond 12σ (1e-32 of it) are left out."""
    from mpmath import mp, mpf  # its import costs 40 ms, so only here

    with mp.workprec(120):
        if activation == "linear":
            mean = mp.digamma(mpf(n) / 2)
        else:
            reach = int(12 * math.sqrt(n) / 2) + 1
            low, high = max(1, n // 2 - reach), min(n, n // 2 + 1 + reach)
            weight = mp.binomial(n, low)
            total = mass = mpf(0)
            psi = [mp.digamma(mpf(low) / 2), mp.digamma(mpf(low + 1) / 2)]
            for m in range(low, high + 1):
                total, mass = total + weight * psi[0], mass + weight
                weight = weight * (n - m) / (m + 1)
                psi = [psi[1], psi[0] + mpf(2) / m]  # ψ(x + 1) = ψ(x) + 1 / x
            mean = total / mass
        return float(mp.sqrt(n / (2 * mp.exp(mean))))
