"""PriorBias: a classifier that starts by predicting how rare its class is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from .. import _laws as laws
from .._errors import ArgumentError
from .._expressions import Expression
from .._fans import Layout
from ._base import Initializer, Number


@dataclass(frozen=True)
class PriorBias(Initializer):
    """b = −log((1 − π) / π), so that sigmoid(b) = π; for the bias of the last layer, over weights that are small or 0.

    Use when: classes are rare: sigmoid heads of detectors, of taggers, of 21,000 classes.
    Not when: the classes are balanced under a softmax: 0.

    Args:
        pi: the probability to start with, in (0, 1).

    Raises:
        ArgumentError: pi outside (0, 1).

    Example:
        >>> float(PriorBias(0.01)(1))
        -4.595119953155518

    Source: Lin et al. 2017 (1708.02002), section 4.1 (π = 0.01). Worked out by mpmath, so it is the same number on every machine. For a
    softmax over K classes no bias changes anything when all are equal; timm's ``-log(K)`` for sigmoids is π = 1 / (K + 1).
    """

    name = "prior_bias"
    random = False

    pi: Number = 0.01

    def __post_init__(self) -> None:
        if not isinstance(self.pi, Expression) and not 0 < cast(float, self.pi) < 1:
            raise ArgumentError(f"prior_bias expects a probability 0 < pi < 1, got pi={self.pi}")

    def law_for(self, shape: tuple[int, ...], layout: Layout) -> laws.Law:
        from mpmath import mp, mpf  # its import costs 40 ms, so only here

        with mp.workprec(120):
            pi = mpf(repr(cast(float, self.pi)))  # 0.01 means a hundredth, not the fp64 beside it
            return laws.Constant(float(-mp.log((1 - pi) / pi)))
