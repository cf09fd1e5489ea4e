"""LogRange: the decays of a state space that remembers at every scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._errors import ArgumentError
from ._repeated import Repeated


@dataclass(frozen=True)
class LogRange(Repeated):
    """log 1, log 2, …, log N along the last axis: Mamba's ``A_log``, so that A = −e^A_log is S4D-Real's −1, −2, …, −N.

    Use when: ``A_log`` of Mamba or S4D-Real.
    Not when: Mamba-2 as its authors have it: ``LogUniform``.

    Raises:
        ArgumentError: a tensor without dimensions.

    Example:
        >>> LogRange()(2, 3).exp()
        tensor([[1., 2., 3.],
                [1., 2., 3.]])

    Source: Gu et al. 2022 (2206.11893), S4D-Real; Gu & Dao 2023 (2312.00752), mamba_simple.py; transformers has it along the heads of Mamba-2.
    """

    name = "log_range"
    exact = False  # by a logarithm

    def pattern(self, shape: tuple[int, ...]) -> Tensor:
        if not shape:
            raise ArgumentError("log_range is for tensors of at least 1 dimension")
        return torch.tensor([math.log(n) for n in range(1, shape[-1] + 1)], dtype=torch.float64, device="cpu")
