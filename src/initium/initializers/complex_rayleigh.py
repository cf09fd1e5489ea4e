"""ComplexRayleigh: complex weights with a Rayleigh modulus and a uniform phase."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .. import _laws as laws
from .._errors import ArgumentError, nearest
from .._fans import Layout
from ._base import Initializer

CRITERIA = ("glorot", "he")


@dataclass(frozen=True)
class ComplexRayleigh(Initializer):
    """|w| ~ Rayleigh(σ), arg w ~ U(−π, π): real and imaginary part are independent N(0, σ²), and Var w = 2σ².

    σ = 1 / √(fan_in + fan_out) (Glorot) or 1 / √fan_in (He), for complex tensors.

    Use when: weights are complex, or are held as two real tensors (part=True).
    Not when: the layer is real: ``KaimingNormal`` or ``XavierNormal``.

    Args:
        criterion: ``"glorot"`` or ``"he"``.
        part: the tensor is real and holds the real or the imaginary parts of the weight: N(0, σ²).

    Raises:
        ArgumentError: an unknown criterion, or a tensor without fans.

    Example:
        >>> import torch
        >>> w = ComplexRayleigh("he")(200, 300, dtype=torch.complex64)
        >>> abs(float(w.abs().square().mean()) * 300 / 2 - 1) < 0.03
        True

    Source: Trabelsi et al. 2018 (1705.09792), section 3.6: the paper's σ. Its official code draws with σ², that is a std too small by
    √(fan_in + fan_out). That modulus and phase make the parts independent normals is the Box-Muller identity.
    """

    name = "complex_rayleigh"

    criterion: str = "glorot"
    part: bool = False

    def __post_init__(self) -> None:
        if self.criterion not in CRITERIA:
            raise ArgumentError(
                f"criterion {self.criterion!r} not supported.{nearest(str(self.criterion), CRITERIA)} "
                f"Please use one of {', '.join(CRITERIA)}"
            )

    def law_for(self, shape: tuple[int, ...], layout: Layout) -> laws.Law:
        fan_in, fan_out = layout.fans(shape)
        variance = 1.0 / (fan_in + fan_out if self.criterion == "glorot" else fan_in)
        return laws.Normal(0.0, math.sqrt(variance if self.part else 2.0 * variance))
