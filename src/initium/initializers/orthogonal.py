"""Orthogonal: rows (or columns) that are orthonormal, uniform over all such matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from .. import _laws as laws
from .._errors import ArgumentError
from .._expressions import Expression
from .._fans import Layout
from .._programs import Draw
from ._base import Initializer, Number


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """gain · Q, with Q Haar-distributed among the (semi-)orthogonal matrices of the flattened shape (out, in · field).

    Q R = QR(N) for a standard normal N (transposed where out < in · field), with the signs (complex: phases) of R's diagonal
    moved into Q (Mezzadri 2007: without that, Q is not uniform). Worked out in fp64, in one thread, and rounded once: it agrees
    to 1e-6 on every machine.

    Use when: deep linear or tanh networks, recurrent matrices, small policies.
    Not when: a convolution is to keep norms: ``DeltaOrthogonal``; the matrix is very large: the QR costs n³.

    Args:
        gain: factor on every singular value.

    Raises:
        ArgumentError: fewer than two dimensions, or a gain that is not finite.

    Example:
        >>> import torch
        >>> w = Orthogonal()(64, 100)
        >>> torch.allclose(w @ w.T, torch.eye(64), atol=1e-5)
        True

    Source: Saxe et al. 2014 (1312.6120). Packed gates and q/k/v, groups and experts are orthogonal each by itself; torch's
    function, which sees one matrix, makes none of them so. A convolution is flattened as in torch: its rows are orthonormal,
    the map is no isometry.
    """

    name = "orthogonal"
    exact = False

    gain: Number = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.gain, Expression) and not math.isfinite(cast(float, self.gain)):
            raise ArgumentError(f"orthogonal expects a finite gain, got gain={self.gain}")

    def moments(self, shape: tuple[int, ...], layout: Layout) -> tuple[float, float]:
        rows, columns, _ = matrix_sizes(shape, layout)
        return 0.0, abs(cast(float, self.gain)) / math.sqrt(max(rows, columns))

    def make(self, shape: tuple[int, ...], layout: Layout, draw: Draw) -> Tensor:
        gaussian = draw(laws.Normal(), "values")  # complex for a complex weight: then Q is Haar among the unitary matrices
        gaussian = as_matrices(gaussian.to(torch.promote_types(gaussian.dtype, torch.float64)), layout)
        tall = gaussian.shape[-2] >= gaussian.shape[-1]
        q, r = torch.linalg.qr(gaussian if tall else gaussian.transpose(-2, -1))
        phase = torch.diagonal(r, dim1=-2, dim2=-1).sgn()
        q = q * torch.where(phase == 0, torch.ones_like(phase), phase).unsqueeze(-2)
        return from_matrices((q if tall else q.transpose(-2, -1)) * cast(float, self.gain), shape, layout)


def matrix_sizes(shape: tuple[int, ...], layout: Layout) -> tuple[int, int, int]:
    """(rows, columns, count) of a tensor's logical matrices: rows are outputs, columns inputs times the receptive field."""
    if len(shape) < 2:
        raise ArgumentError(f"only tensors with 2 or more dimensions are supported, got shape {shape}")
    sizes = list(shape)
    count = layout.groups * math.prod(shape[axis] for axis in layout.batch_axes)
    sizes[0] //= layout.groups
    rows = math.prod(sizes[axis] for axis in layout.out_axes)
    return rows, math.prod(shape) // count // rows if rows and count else 0, count


def _order(ndim: int, layout: Layout) -> list[int]:
    field = [axis for axis in range(ndim) if axis not in {*layout.batch_axes, *layout.out_axes, *layout.in_axes}]
    return [*layout.batch_axes, *layout.out_axes, *layout.in_axes, *field]


def as_matrices(tensor: Tensor, layout: Layout) -> Tensor:
    """A tensor as its logical matrices, shape (count, rows, columns)."""
    shape = tuple(tensor.shape)
    rows, columns, count = matrix_sizes(shape, layout)
    if layout.groups == 1:
        return tensor.permute(_order(tensor.dim(), layout)).reshape(count, rows, columns)
    grouped = tensor.reshape(layout.groups, shape[0] // layout.groups, *shape[1:])
    order = [0, *(axis + 1 for axis in _order(tensor.dim(), layout))]
    return grouped.permute(order).reshape(count, rows, columns)


def from_matrices(matrices: Tensor, shape: tuple[int, ...], layout: Layout) -> Tensor:
    """The inverse of ``as_matrices``."""
    order = _order(len(shape), layout)
    inner = [shape[axis] for axis in order]
    if layout.groups == 1:
        permuted = matrices.reshape(inner)
        return permuted.permute([order.index(axis) for axis in range(len(shape))]).contiguous()
    inner = [shape[axis] // (layout.groups if axis == 0 else 1) for axis in order]
    permuted = matrices.reshape(layout.groups, *inner)
    back = [0, *(order.index(axis) + 1 for axis in range(len(shape)))]
    return permuted.permute(back).reshape(shape).contiguous()
