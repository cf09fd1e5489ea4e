"""Dirac: a convolution that passes its input through."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .._errors import ArgumentError
from .._fans import Layout
from .._programs import Draw, Program
from ._base import Initializer


@dataclass(frozen=True)
class Dirac(Initializer):
    """w[o, o, centre] = 1, everything else 0: as many channels as fit are passed through unchanged.

    Use when: a convolution is to start as the identity, in networks without shortcuts or in layers put into a trained one.
    Not when: every layer of a network would be one and nothing else breaks the symmetry.

    Args:
        groups: each of ``groups`` parts of the outputs passes the inputs again; 0 takes the module's own groups.

    Raises:
        ArgumentError: not 3, 4 or 5 dimensions, or dimension 0 is not divisible by the groups.

    Example:
        >>> Dirac()(1, 1, 3)
        tensor([[[0., 1., 0.]]])

    Source: Zagoruyko & Komodakis 2017 (1706.00388). An even kernel's centre is k // 2, as in torch.
    """

    name = "dirac"
    random = False

    groups: int = 0

    def __post_init__(self) -> None:
        if self.groups < 0:
            raise ArgumentError(f"dirac expects groups >= 1, got groups={self.groups}")

    def program(self, shape: tuple[int, ...], layout: Layout) -> Program:
        if len(shape) not in (3, 4, 5):
            raise ArgumentError("Only tensors with 3, 4, or 5 dimensions are supported")
        groups = self.groups or layout.groups
        if shape[0] % groups:
            raise ArgumentError("dim 0 must be divisible by groups")
        return super().program(shape, replace(layout, groups=groups))

    def _ones(self, shape: tuple[int, ...], layout: Layout) -> int:
        return min(shape[0] // layout.groups, shape[1]) * layout.groups

    def moments(self, shape: tuple[int, ...], layout: Layout) -> tuple[float, float]:
        mean = self._ones(shape, layout) / math.prod(shape)
        return mean, math.sqrt(mean - mean**2)

    def make(self, shape: tuple[int, ...], layout: Layout, draw: Draw) -> Tensor:
        tensor = torch.zeros(shape, dtype=torch.float32, device="cpu")
        out = shape[0] // layout.groups
        channels = torch.arange(min(out, shape[1]), device="cpu")
        middle = tensor
        for size in reversed(shape[2:]):
            middle = middle.select(-1, size // 2)
        for group in range(layout.groups):
            middle[group * out + channels, channels] = 1.0
        return tensor
