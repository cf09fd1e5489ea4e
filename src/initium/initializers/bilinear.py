"""Bilinear: a transposed convolution that interpolates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._errors import ArgumentError
from .._fans import Layout
from .._programs import Draw
from ._base import Initializer


@dataclass(frozen=True)
class Bilinear(Initializer):
    """Channel i goes to channel i through a tent: w[i, i] = Π over the spatial axes of 1 − |x − c| / f, everything else 0.

    f = ⌊(k + 1) / 2⌋ and c = f − 1 for an odd size k, f − ½ for an even one. In a transposed convolution with stride s, kernel
    2s − s mod 2 and padding ⌊s / 2⌋ (⌈(s − 1) / 2⌉) this is s-fold (bi)linear upsampling, exact away from the border. In one dimension
    it is linear, in three trilinear.

    Use when: a transposed convolution is to start as smooth upsampling, as in FCN and other segmentation heads.
    Not when: channels are to mix, or the layer is no upsampling: all of its off-diagonal is 0.

    Raises:
        ArgumentError: not 3, 4 or 5 dimensions, or different numbers of channels in and out (of a group).

    Example:
        >>> Bilinear()(1, 1, 4)
        tensor([[[0.2500, 0.7500, 0.7500, 0.2500]]])

    Source: Long, Shelhamer & Darrell 2015, Fully Convolutional Networks. A depthwise layer (groups = channels) has its
    tent in every channel. Initialise the bias with 0.
    """

    name = "bilinear"
    random = False

    def _filter(self, shape: tuple[int, ...], layout: Layout) -> Tensor:
        if len(shape) not in (3, 4, 5):
            raise ArgumentError(f"bilinear is for convolutions, with 3, 4 or 5 dimensions, got shape {shape}")
        if shape[0] // layout.groups != shape[1]:
            raise ArgumentError(
                f"bilinear needs as many channels out as in, got {shape[0] // layout.groups} and {shape[1]} in shape {shape}"
            )
        tent = torch.ones((), dtype=torch.float64, device="cpu")
        for size in shape[2:]:
            factor = (size + 1) // 2
            centre = factor - 1 if size % 2 else factor - 0.5
            line = 1 - (torch.arange(size, dtype=torch.float64, device="cpu") - centre).abs() / factor
            tent = tent.unsqueeze(-1) * line
        return tent

    def moments(self, shape: tuple[int, ...], layout: Layout) -> tuple[float, float]:
        tent = self._filter(shape, layout)
        taps = tent.reshape(-1).tolist()
        numel = math.prod(shape)
        mean = shape[0] * math.fsum(taps) / numel
        square = shape[0] * math.fsum(tap * tap for tap in taps) / numel
        return mean, math.sqrt(max(square - mean * mean, 0.0))

    def make(self, shape: tuple[int, ...], layout: Layout, draw: Draw) -> Tensor:
        tensor = torch.zeros(shape, dtype=torch.float64, device="cpu")
        rows = torch.arange(shape[0], device="cpu")
        tensor[rows, rows % shape[1]] = self._filter(shape, layout)
        return tensor
