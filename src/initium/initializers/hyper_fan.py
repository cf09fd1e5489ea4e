"""HyperFan: the last layer of a network that makes another network's weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .. import _laws as laws
from .._errors import ArgumentError, nearest
from .._fans import Layout
from ._base import Initializer
from .variance_scaling import law_of_std

PARTS = ("weight", "bias")


@dataclass(frozen=True)
class HyperFan(Initializer):
    """Var h = 2^relu / (2^biases · d_k · fan · Var e): what the head makes of an embedding e has He's variance for the main network.

    d_k is the head's own fan_in. A main weight W = H e then has Var W = d_k Var h Var e = 2^relu / (2^biases fan). Where the main network's
    biases are made too, weights and biases bring half of the variance each; the head that makes them has Var h = 2^relu / (2 d_k Var e).
    The head's own bias is 0.

    Use when: a linear head generates weights: hypernetworks, dynamic filters. He's law on the head ignores the layer it makes.
    Not when: the head's output is multiplied or normalised before it is used as a weight.

    Args:
        fan: of the main layer: its inputs (hyperfan-in, keeps activations) or its outputs (hyperfan-out, keeps gradients); > 0.
        embedding_variance: Var e, the mean square of what goes into the head, > 0.
        relu: the main network's units are ReLU; False for linear and tanh.
        biases: the main network's biases are made by a head as well.
        part: ``"weight"``: this head makes weights; ``"bias"``: it makes biases.
        law: ``normal`` or ``uniform``, U(±√(3 Var h)).

    Raises:
        ArgumentError: a fan or a variance that is not positive, an unknown part or law, a tensor without fans.

    Example:
        >>> import torch
        >>> head = HyperFan(fan=64)(64 * 64, 50)  # from 50 numbers to a weight of 64 × 64
        >>> made = head @ torch.randn(50, 100)
        >>> abs(float(made.var()) * 64 / 2 - 1) < 0.1
        True

    Source: Chang, Flokas & Lipson 2020 (2312.08399), table 1; the formula is checked by its own mathematics. Public copies take √Var h for the
    bound of a uniform law, whose std is then too small by √3.
    """

    name = "hyper_fan"

    fan: int
    embedding_variance: float = 1.0
    relu: bool = True
    biases: bool = False
    part: str = "weight"
    law: str = "normal"

    def __post_init__(self) -> None:
        for what, number in (("fan", self.fan), ("embedding_variance", self.embedding_variance)):
            if not 1e-30 < number < 1e30:
                raise ArgumentError(f"hyper_fan expects {what} > 0 and finite, got {number}")
        for what, value, known in (("part", self.part, PARTS), ("law", self.law, ("normal", "uniform"))):
            if value not in known:
                raise ArgumentError(
                    f"{what} {value!r} not supported.{nearest(str(value), known)} Please use one of {', '.join(known)}"
                )

    def law_for(self, shape: tuple[int, ...], layout: Layout) -> laws.Law:
        inputs, _ = layout.fans(shape)
        gain = 2.0 if self.relu else 1.0
        halved = 2.0 if self.biases or self.part == "bias" else 1.0
        made = self.fan if self.part == "weight" else 1
        return law_of_std(self.law, math.sqrt(gain / (halved * inputs * made * self.embedding_variance)))
