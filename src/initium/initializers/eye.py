"""Eye: the identity map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from .._errors import ArgumentError
from .._fans import Layout
from .._programs import Draw
from ._base import Initializer, Number


@dataclass(frozen=True)
class Eye(Initializer):
    """w[i, i] = gain, everything else 0, for a matrix of any two sizes.

    Use when: a recurrent matrix of ReLU is to remember, or a linear layer to start as the identity.
    Not when: the units are tanh or sigmoid in long recurrences: ``Orthogonal``, with gates.

    Args:
        gain: the value on the diagonal.

    Raises:
        ArgumentError: not 2 dimensions.

    Example:
        >>> Eye()(2, 3)
        tensor([[1., 0., 0.],
                [0., 1., 0.]])

    Source: Le et al. 2015 (1504.00941) for recurrent weights.
    """

    name = "eye"
    random = False

    gain: Number = 1.0

    def moments(self, shape: tuple[int, ...], layout: Layout) -> tuple[float, float]:
        if len(shape) != 2:
            raise ArgumentError("Only tensors with 2 dimensions are supported")
        share, gain = min(shape) / math.prod(shape), cast(float, self.gain)
        return share * gain, abs(gain) * math.sqrt(share - share**2)

    def make(self, shape: tuple[int, ...], layout: Layout, draw: Draw) -> Tensor:
        return torch.eye(*shape, dtype=torch.float64, device="cpu") * cast(float, self.gain)
