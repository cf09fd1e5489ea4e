"""Hadamard: ZerO's deterministic weights, zeros and signs only."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._errors import ArgumentError
from .._fans import Layout
from .._programs import Draw
from ._base import Initializer
from .delta_orthogonal import centre_tap
from .orthogonal import from_matrices, matrix_sizes


@dataclass(frozen=True)
class Hadamard(Initializer):
    """A partial identity where outputs ≤ inputs, else the corner (out, in) of H / √p, H the p × p Hadamard matrix, p = 2^⌈log₂ out⌉.

    H[i, j] = (−1)^popcount(i & j). A widening layer that copied its inputs would keep its rank at the number of inputs for all of
    training; H mixes them and keeps norms (exactly where ``out`` is a power of two). A convolution has this matrix in its centre
    tap and 0 elsewhere.

    Use when: runs are to begin alike without any generator, in networks with shortcuts: ``recipe("zero")``.
    Not when: layers neither widen nor have shortcuts around them: equal units would stay equal.

    Raises:
        ArgumentError: fewer than 2 dimensions.

    Example:
        >>> Hadamard()(4, 2)
        tensor([[ 0.5000,  0.5000],
                [ 0.5000, -0.5000],
                [ 0.5000,  0.5000],
                [ 0.5000, -0.5000]])

    Source: Zhao et al. 2022 (2110.12661), algorithm 1, with the constant of the authors' notebook, 2^(−⌈log₂ out⌉ / 2); that is the
    one which keeps norms, as the test shows. The centre tap of convolutions is algorithm 2, which the notebook does not have.
    """

    name = "hadamard"
    random = False

    def moments(self, shape: tuple[int, ...], layout: Layout) -> tuple[float, float]:
        rows, columns, count = matrix_sizes(shape[:2], _flat(layout, len(shape)))
        numel = math.prod(shape)
        if rows <= columns:
            share = rows * count / numel
            return share, math.sqrt(share - share * share)
        place = 2 ** (rows - 1).bit_length()
        total = sum(_column_sum(j, rows) for j in range(columns)) / math.sqrt(place)
        mean = total * count / numel
        return mean, math.sqrt(rows * columns * count / place / numel - mean * mean)

    def make(self, shape: tuple[int, ...], layout: Layout, draw: Draw) -> Tensor:
        flat = _flat(layout, len(shape))
        rows, columns, count = matrix_sizes(shape[:2], flat)
        if rows <= columns:
            matrix = torch.eye(rows, columns, dtype=torch.float64, device="cpu")
        else:
            place = 2 ** (rows - 1).bit_length()
            signs = torch.ones(1, 1, dtype=torch.float64, device="cpu")
            while signs.shape[0] < place:
                signs = torch.cat((torch.cat((signs, signs), 1), torch.cat((signs, -signs), 1)), 0)
            matrix = signs[:rows, :columns] / math.sqrt(place)
        tap = from_matrices(matrix.expand(count, rows, columns), shape[:2], flat)
        tensor = torch.zeros(shape, dtype=torch.float64, device="cpu")
        centre_tap(tensor).copy_(tap)
        return tensor


def _flat(layout: Layout, ndim: int) -> Layout:
    if ndim < 2 or layout.batch_axes or max((*layout.in_axes, *layout.out_axes), default=0) > 1:
        raise ArgumentError(
            f"hadamard is for matrices and convolutions, with outputs and inputs on the first two axes, got {ndim} dimensions"
        )
    return dataclasses.replace(layout, said=None)


def _column_sum(column: int, rows: int) -> int:
    """Σ over i < rows of (−1)^popcount(i & column)."""
    return sum(1 - 2 * (bin(i & column).count("1") % 2) for i in range(rows))
