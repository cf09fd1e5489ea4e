"""NewTokens: rows that are added to a trained embedding or head; the old rows stay what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from .. import _laws as laws
from .._errors import ArgumentError
from .._fans import Layout
from .._programs import Draw, Given, Made, Program, packed
from ._base import Initializer, as_initializer
from .values import Values


@dataclass(frozen=True, eq=False)
class NewTokens(Initializer):
    """The old rows to the bit; below them new ones ~ N(μ, scale · Σ), μ and Σ the mean and the covariance of the old rows.

    With scale = 0 every new row is μ: a new token's logit h · μ is then the mean of the old logits, and so it takes at most 1 / n of the
    probability beside n old tokens. Random rows of any size may take nearly all of it.

    Use when: a vocabulary grows: new special tokens, another language, padding to a round number.
    Not when: a new token has a meaning of its own: the mean of the rows of its old pieces says more, as ``Values``.

    Args:
        old: the trained rows, (n, d), in any dtype; the tensor to fill has more rows, and the same d.
        scale: factor on the covariance, ≥ 0; 1e-9 is transformers', which breaks the tie between new rows and no more.

    Raises:
        ArgumentError: old rows that are no matrix, a tensor with fewer rows or another width, or scale < 0.

    Example:
        >>> import torch
        >>> old = torch.randn(100, 16)
        >>> table = NewTokens(old)(104, 16)
        >>> torch.equal(table[:100], old), torch.allclose(table[100:], old.mean(0).expand(4, 16), atol=1e-3)
        (True, True)

    Source: Hewitt 2021, Initializing New Word Embeddings for Pretrained Language Models; transformers, ``resize_token_embeddings`` with
    mean_resizing=True, whose covariance is that of the old rows over n, as here.
    """

    name = "new_tokens"
    exact = False  # by sums and an eigendecomposition

    old: Tensor | Values
    scale: float = 1e-9

    def __post_init__(self) -> None:
        given = as_initializer(self.old)
        if not isinstance(given, Values) or given.tensor.dim() != 2 or not given.tensor.numel() or given.tensor.is_meta:
            what = f"a tensor of shape {tuple(given.tensor.shape)}" if isinstance(given, Values) else str(given)
            raise ArgumentError(f"new_tokens expects the old rows, a matrix of numbers, got {what}")
        if not 0 <= self.scale < float("inf"):
            raise ArgumentError(f"new_tokens expects scale >= 0, got scale={self.scale}")
        object.__setattr__(self, "old", Values(given.tensor.to("cpu")))

    @property
    def rows(self) -> Tensor:
        """The old rows."""
        return cast(Values, self.old).tensor

    def program(self, shape: tuple[int, ...], layout: Layout) -> Program:
        count, width = self.rows.shape
        if len(shape) != 2 or shape[1] != width or shape[0] < count:
            raise ArgumentError(f"new_tokens has {count} old rows of {width}, and a tensor of shape {shape} does not hold them")
        mean, std = self.moments((shape[0] - count, width), layout)
        new = Made(self, Layout(role=layout.role), mean, std, self.exact)
        return packed(0, [(count, Given(self.rows)), (shape[0] - count, new)])

    def moments(self, shape: tuple[int, ...], layout: Layout) -> tuple[float, float]:
        centre, spread = self._law()
        within = centre.var(correction=0) + self.scale * spread.diagonal().mean()
        return float(centre.mean()), float(within.sqrt())

    def make(self, shape: tuple[int, ...], layout: Layout, draw: Draw) -> Tensor:
        centre, spread = self._law()
        if self.scale == 0:
            return centre.expand(shape).clone()
        values, vectors = torch.linalg.eigh(spread)  # a root of any covariance, singular ones too (n < d)
        root: Tensor = vectors * (self.scale * values.clamp(min=0)).sqrt() @ vectors.T  # symmetric, so no sign or order is free
        return centre + draw(laws.Normal(0.0, 1.0), "values").double() @ root

    def _law(self) -> tuple[Tensor, Tensor]:
        rows = self.rows.double()
        centre = rows.mean(0)
        return centre, (rows - centre).T @ (rows - centre) / rows.shape[0]
