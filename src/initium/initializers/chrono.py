"""Chrono: gate biases for memories of every length up to a longest one."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from .. import _laws as laws
from .._errors import ArgumentError
from .._expressions import Expression
from .._fans import Layout
from .._programs import Draw, Made, Program
from ._base import Initializer, Number


@dataclass(frozen=True)
class Chrono(Initializer):
    """LSTM: b_f = log u, b_i = −b_f, others 0; GRU: b_z = log u; u ~ U(1, t_max − 1) for each unit.

    A unit with forget bias log u keeps half of what it holds for about u steps. torch's GRU has h' = (1 − z) n + z h, so its z is
    the gate that keeps, and the sign is the forget gate's.

    Use when: you know about how long the longest dependency is; usually through ``recipe("chrono", t_max=…)``.
    Not when: short dependencies matter most, or the network is no LSTM or GRU.

    Args:
        t_max: the longest dependency, in steps, > 2.

    Raises:
        ArgumentError: t_max ≤ 2, or a tensor that is not the packed bias of an LSTM or GRU.

    Example:
        >>> import torch, initium
        >>> lstm = torch.nn.LSTM(4, 8)
        >>> _ = initium.initialize(lstm, initium.recipe("chrono", t_max=100), seed=0)
        >>> i, f, g, o = (lstm.bias_ih_l0 + lstm.bias_hh_l0).chunk(4)
        >>> bool((f == -i).all() and (f >= 0).all() and (g == 0).all())
        True

    Source: Tallec & Ollivier 2018 (1804.11188), section 2. It belongs on *one* of the two biases, which are summed: the recipe writes the
    other 0. (A public copy writes both and so doubles every bias.)
    """

    name = "chrono"
    exact = False  # by a logarithm

    t_max: Number = 784

    def __post_init__(self) -> None:
        if not isinstance(self.t_max, Expression) and not cast(float, self.t_max) > 2:
            raise ArgumentError(f"chrono expects t_max > 2 steps, got t_max={self.t_max}")

    def program(self, shape: tuple[int, ...], layout: Layout) -> Program:
        lone = dataclasses.replace(layout, zero_rows=())
        mean, std = self.moments(shape, lone)
        return Made(self, lone, mean, std, self.exact)

    def moments(self, shape: tuple[int, ...], layout: Layout) -> tuple[float, float]:
        _gates(shape, layout)
        from mpmath import mp, mpf

        with mp.workprec(120):
            top = mpf(cast(float, self.t_max)) - 1
            log = mp.log(top)
            first = (top * log - top + 1) / (top - 1)
            second = (top * log**2 - 2 * top * log + 2 * top - 2) / (top - 1)
            if "f" in layout.block_names:  # the two cancel
                return 0.0, float(mp.sqrt(second / 2))
            return float(first / 3), float(mp.sqrt(second / 3 - (first / 3) ** 2))

    def make(self, shape: tuple[int, ...], layout: Layout, draw: Draw) -> Tensor:
        size = _gates(shape, layout)
        steps = draw(laws.Uniform(1.0, cast(float, self.t_max) - 1.0), "values").double().log().split(size)
        keep = steps[layout.block_names.index("f" if "f" in layout.block_names else "z")]
        said = {"f": keep, "i": -keep, "z": keep}
        return torch.cat([said.get(name, torch.zeros_like(keep)) for name in layout.block_names])


def _gates(shape: tuple[int, ...], layout: Layout) -> int:
    names = layout.block_names
    if len(shape) != 1 or not ({"i", "f"} <= set(names) or "z" in names) or len(set(layout.blocks)) != 1:
        raise ArgumentError(f"chrono is for the packed bias of an LSTM or a GRU, not for a tensor of shape {shape}")
    return math.prod(shape) // len(names)
