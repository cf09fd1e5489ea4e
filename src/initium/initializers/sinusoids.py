"""Sinusoids: positions as sines and cosines of many wavelengths."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._errors import ArgumentError, nearest
from ._repeated import Repeated

KINDS = ("line", "grid")


@dataclass(frozen=True)
class Sinusoids(Repeated):
    """Row p is [sin(p ω₀), sin(p ω₁), …, cos(p ω₀), cos(p ω₁), …]: a table of positions that is not learned.

    ``line``: Whisper's, ω_i = longest^(−i / (d/2 − 1)), the last wavelength being 2π · longest. ``grid``: positions (x, y) of a square
    grid, row by row, ω_i = longest^(−i / (d/4)), the first half of the channels for x and the second for y: DiT's and MAE's.

    Use when: positions are given and not learned.
    Not when: positions are learned: ``Normal(std=0.02)``.

    Args:
        kind: ``"line"`` or ``"grid"``.
        longest: the longest wavelength, over 2π.

    Raises:
        ArgumentError: not (…, positions, channels); channels not divisible by 2, or by 4 on a grid; positions that make no square.

    Example:
        >>> [round(x, 4) for x in Sinusoids()(2, 4)[1].tolist()]
        [0.8415, 0.0001, 0.5403, 1.0]

    Source: Vaswani et al. 2017 (1706.03762) with channels in two halves; Radford et al. 2022, whisper/model.py; Peebles & Xie 2022, DiT/models.py.
    """

    name = "sinusoids"
    exact = False  # by a sine

    kind: str = "line"
    longest: float = 10000.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ArgumentError(
                f"sinusoids knows the kinds {' and '.join(KINDS)}, not {self.kind!r}.{nearest(str(self.kind), KINDS)}"
            )
        if not self.longest > 1:
            raise ArgumentError(f"sinusoids expects longest > 1, got {self.longest}")

    def pattern(self, shape: tuple[int, ...]) -> Tensor:
        halves = 4 if self.kind == "grid" else 2
        if len(shape) < 2 or shape[-1] % halves or shape[-1] < 2 * halves:
            raise ArgumentError(
                f"sinusoids is for tables (…, positions, channels) with channels a multiple of {halves} and at least {2 * halves}, got {shape}"
            )
        positions, channels = shape[-2:]
        rows = torch.arange(positions, dtype=torch.float64, device="cpu")
        if self.kind == "line":
            return self._waves(rows, channels // 2, channels // 2 - 1)
        side = math.isqrt(positions)
        if side * side != positions:
            raise ArgumentError(f"sinusoids on a grid needs a square number of positions, got {positions}")
        waves = [self._waves(axis, channels // 4, channels // 4) for axis in (rows % side, rows // side)]
        return torch.cat(waves, 1)

    def _waves(self, positions: Tensor, count: int, steps: int) -> Tensor:
        frequencies = torch.exp(-math.log(self.longest) / steps * torch.arange(count, dtype=torch.float64, device="cpu"))
        angles = positions[:, None] * frequencies
        return torch.cat((angles.sin(), angles.cos()), 1)
