"""Hippo: the matrices of a state that remembers its whole past in Legendre polynomials."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._errors import ArgumentError, nearest
from ._repeated import Repeated

PARTS = ("A", "B")


@dataclass(frozen=True)
class Hippo(Repeated):
    """HiPPO-LegS: A[n, k] = −√((2n + 1)(2k + 1)) below the diagonal, −(n + 1) on it, 0 above; B[n] = √(2n + 1); n and k from 0.

    Every matrix (…, N, N) or vector (…, N) of a stack gets the same.

    Use when: a linear state space x' = A x + B u is to hold all of its past: S4 before it is made diagonal.
    Not when: the state is diagonal, as in S4D and Mamba: ``Ramp`` and ``LogRange``.

    Args:
        part: ``"A"`` or ``"B"``.

    Raises:
        ArgumentError: A for a tensor whose last two sizes differ, another part, or a tensor without dimensions.

    Example:
        >>> [round(x, 6) for x in Hippo()(4, 4)[3].tolist()]
        [-2.645751, -4.582576, -5.91608, -4.0]

    Source: Gu et al. 2020 (2008.07669), theorem 2, with the sign of S4 (2111.00396), eq. 2.
    """

    name = "hippo"

    part: str = "A"

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise ArgumentError(f"hippo knows the parts A and B, not {self.part!r}.{nearest(str(self.part), PARTS)}")

    def pattern(self, shape: tuple[int, ...]) -> Tensor:
        if not shape or (self.part == "A" and (len(shape) < 2 or shape[-1] != shape[-2])):
            raise ArgumentError(f"hippo's {self.part} is {'square' if self.part == 'A' else 'a vector'}, not of shape {shape}")
        odd = 2 * torch.arange(shape[-1], dtype=torch.float64, device="cpu") + 1
        if self.part == "B":
            return odd.sqrt()
        below = -(odd[:, None] * odd).sqrt().tril(-1)  # one correctly rounded root of an exact product
        return below - torch.diag((odd + 1) / 2)


@dataclass(frozen=True)
class Ramp(Repeated):
    """start, start + step, start + 2 step, … along the last axis, or evenly from start to stop: S4D-Lin's imaginary parts are π n.

    Use when: a diagonal state is to have frequencies at equal distances, or a per-channel constant grows along the channels.
    Not when: the decays are real and to be spread over the logarithm: ``LogRange``.

    Args:
        start, step: any finite numbers.
        stop: the last value, in place of a step; an axis of one element has ``start``.

    Raises:
        ArgumentError: a number that is not finite, or a tensor without dimensions.

    Example:
        >>> Ramp(step=0.5)(2, 3)
        tensor([[0.0000, 0.5000, 1.0000],
                [0.0000, 0.5000, 1.0000]])

    Source: Gu et al. 2022 (2206.11893), section 4: A_n = −½ + iπn.
    """

    name = "ramp"

    start: float = 0.0
    step: float = math.pi
    stop: float | None = None

    def __post_init__(self) -> None:
        if not all(math.isfinite(x) for x in (self.start, self.step, self.stop or 0.0)):
            raise ArgumentError(f"ramp expects finite numbers, got start={self.start}, step={self.step}, stop={self.stop}")

    def pattern(self, shape: tuple[int, ...]) -> Tensor:
        if not shape:
            raise ArgumentError("ramp is for tensors of at least 1 dimension")
        count = shape[-1]
        start, step = float(self.start), float(self.step)
        if self.stop is not None:
            step = (float(self.stop) - start) / max(count - 1, 1)
        return start + step * torch.arange(count, dtype=torch.float64, device="cpu")
