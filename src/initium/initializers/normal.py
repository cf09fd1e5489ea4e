"""Normal: independent Gaussian elements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from .. import _laws as laws
from .._expressions import Expression
from .._fans import BARE, Layout
from ._base import Initializer, Number


@dataclass(frozen=True)
class Normal(Initializer):
    """N(mean, std²), each element by itself.

    w = z · std + mean, z standard normal by its quantile (max abs error 7.4e-7, |z| ≤ 6.23).

    Use when: a source says N(0, std²), as most language models with 0.02.
    Not when: the width changes and the std is not to be tuned by hand: ``XavierNormal``, ``KaimingNormal``.

    Args:
        std: standard deviation, ≥ 0; a number or an expression such as ``"0.02 / sqrt(2 * depth)"``.
        mean: any finite number.

    Raises:
        ArgumentError: std < 0 or NaN.

    Example:
        >>> w = Normal(std=0.02)(256, 256)
        >>> abs(float(w.std()) - 0.02) < 2e-4
        True

    Differs from torch: elements are addressed one by one, so a part of the tensor can be drawn alone.
    """

    name = "normal"

    std: Number = 1.0
    mean: Number = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.std, Expression) and not isinstance(self.mean, Expression):
            self.law_for((), BARE)

    def law_for(self, shape: tuple[int, ...], layout: Layout) -> laws.Law:
        return laws.Normal(cast(float, self.mean), cast(float, self.std))
