"""Mimetic: attention that starts as trained attention looks."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor

from .. import _laws as laws
from .._errors import ArgumentError, nearest
from .._expressions import Expression
from .._fans import Layout
from .._programs import Draw, Made, Program
from ._base import Initializer, Number

PARTS = ("query", "key", "value", "output")
_OF_BLOCK = {"q": "query", "k": "key", "v": "value"}


@dataclass(frozen=True)
class Mimetic(Initializer):
    """W_qᵀ W_k of each head ≈ a Z + b I, and W_vᵀ W_oᵀ = c Z − e I, with entries of Z ~ U(±√(3 / d)): factors of these by their SVD.

    With A = U S Vᵀ for a head of h channels, W_q is the first h rows of (U √S)ᵀ and W_k those of (V √S)ᵀ: the best factors of rank h. W_v is
    (U √S)ᵀ and W_o is V √S, over all heads together. Query and key, and value and output, draw the same Z, from the stream of their attention.

    Use when: small vision transformers learn from little data; through ``recipe("mimetic")``.
    Not when: keys are shared between queries, or the width of the attention is not the stream's.

    Args:
        part: ``"query"``, ``"key"``, ``"value"`` or ``"output"``; a tensor in which q, k and v are packed gets all three.
        heads: how many; as an expression, ``"heads"`` is what the module above counts.
        noise, identity: a and b.
        value_noise, value_identity: c and e.

    Raises:
        ArgumentError: a tensor that is not (d, d), heads that do not divide d (grouped queries have no such start), an unknown part.

    Example:
        >>> w = Mimetic("query", heads=4)(32, 32)
        >>> w.shape
        torch.Size([32, 32])

    Source: Trockman & Kolter 2023 (2305.09828), section 4: 0.7 and 0.7, 0.4 and 0.4; the split of value and output by a third party's
    structured_init, no code of the authors was there to check it. Meant for sinusoidal positions.
    """

    name = "mimetic"
    exact = False  # by an SVD
    shared: ClassVar[bool] = True  # drawn from the stream of its attention module, not from its own

    part: str = "query"
    heads: Number = "heads"
    noise: float = 0.7
    identity: float = 0.7
    value_noise: float = 0.4
    value_identity: float = 0.4

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise ArgumentError(
                f"mimetic knows the parts {', '.join(PARTS)}, not {self.part!r}.{nearest(str(self.part), PARTS)}"
            )

    def program(self, shape: tuple[int, ...], layout: Layout) -> Program:
        whole = dataclasses.replace(layout, zero_rows=())
        return Made(self, whole, *self.moments(shape, whole), self.exact)

    def moments(self, shape: tuple[int, ...], layout: Layout) -> tuple[None, None]:
        """None: the singular values of a random matrix have no formula at finite d. A shape that does not fit is refused here."""
        self._parts(shape, layout)
        return None, None

    def make(self, shape: tuple[int, ...], layout: Layout, draw: Draw) -> Tensor:
        size, parts = self._parts(shape, layout)
        made = [
            self._value(part, size, draw) if part in ("value", "output") else self._head_by_head(part, size, draw)
            for part in parts
        ]
        return torch.cat(made, 0)

    def _parts(self, shape: tuple[int, ...], layout: Layout) -> tuple[int, list[str]]:
        names = layout.block_names
        parts = [_OF_BLOCK.get(name, "") for name in names] if names else [self.part]
        size = shape[-1] if shape else 0
        if len(shape) != 2 or shape[0] != size * len(parts) or "" in parts or layout.repeats != 1 or layout.in_axes != (1,):
            raise ArgumentError(
                f"mimetic is for (d, d) weights of attention, or q, k and v packed as (3 d, d), not for {shape}"
            )
        heads = self.heads
        if isinstance(heads, Expression):
            raise ArgumentError(f"mimetic has to be told how many heads there are: Mimetic({self.part!r}, heads=8)")
        if (isinstance(heads, float) and not heads.is_integer()) or (
            isinstance(heads, (int, float)) and (heads < 1 or size % heads)
        ):
            raise ArgumentError(f"mimetic needs heads that divide the width, got {self.heads} heads and a width of {size}")
        return size, parts

    def _z(self, tag: str, size: int, draw: Draw) -> Tensor:
        bound = math.sqrt(3 / size)
        return draw(laws.Uniform(-bound, bound), tag).double()[:size]

    def _head_by_head(self, part: str, size: int, draw: Draw) -> Tensor:
        heads = int(cast(float, self.heads))
        rows = []
        for head in range(heads):
            target = self.noise * self._z(f"qk/{head}", size, draw) + self.identity * torch.eye(
                size, dtype=torch.float64, device="cpu"
            )
            rows.append(_factor(target, left=part == "query")[: size // heads])
        return torch.cat(rows, 0)

    def _value(self, part: str, size: int, draw: Draw) -> Tensor:
        target = self.value_noise * self._z("vo", size, draw) - self.value_identity * torch.eye(
            size, dtype=torch.float64, device="cpu"
        )
        return _factor(target, left=True) if part == "value" else _factor(target, left=False).T


def _factor(matrix: Tensor, *, left: bool) -> Tensor:
    """(U √S)ᵀ or (V √S)ᵀ, the signs such that the largest entry of each left vector is positive."""
    u, s, vh = torch.linalg.svd(matrix)
    signs = u.gather(0, u.abs().argmax(0, keepdim=True)).sign().squeeze(0)
    factor: Tensor = (u.T if left else vh) * (signs * s.sqrt())[:, None]
    return factor
