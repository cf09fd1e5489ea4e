"""Singular values of a few of the model's matrices, at a cost that does not grow with the model."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

import torch
from torch import Tensor

from ...._execute import one_thread
from ...._grouping import grouped
from ...report import Report, TensorNumbers

MOST = 24  # matrices
_ROWS, _COLUMNS = 96, 2048  # of each; rows are the shorter side


class Spectrum(NamedTuple):
    """Singular values of one matrix ÷ (std · √long), so that those of independent elements lie in 1 ∓ √(short ÷ long).

    Args:
        tensor: whose.
        values: ascending.
        short, long: sides of what was looked at.
        of: its shorter side in full.
    """

    tensor: TensorNumbers
    values: tuple[float, ...]
    short: int
    long: int
    of: int


def spectra(report: Report, first: Collection[str] = ()) -> list[Spectrum]:
    """Of the matrices named in ``first``, then of one of each kind, then of others at even distances; in model order.

    Of a large matrix some rows are taken, evenly: rows that are orthogonal, or independent, stay so.
    """
    if report.model is None:
        return []
    held = {**dict(report.model.named_buffers()), **dict(report.model.named_parameters())}
    able = [one for one in report.measured.tensors if one.name in held and _is_matrix(one)]
    by_name = {one.name: place for place, one in enumerate(able)}
    alike = grouped((one.name, one.shape) for one in able)
    step = max(len(able) // MOST, 1)
    wanted = [by_name[name] for name in first if name in by_name]
    wanted += [by_name[name] for group in alike for name in (group.names[0],)]
    wanted += [by_name[group.names[-1]] for group in alike]
    wanted += range(0, len(able), step)
    places = sorted(list(dict.fromkeys(wanted))[:MOST])
    with one_thread():  # matrices this small are slower on several
        found = [_spectrum(able[place], held[able[place].name]) for place in places]
    return [one for one in found if one is not None]


def _is_matrix(one: TensorNumbers) -> bool:
    if len(one.shape) < 2 or not one.std or not math.isfinite(one.std):
        return False
    rows = one.shape[0]
    return min(rows, math.prod(one.shape[1:])) >= 16 and not one.buffer and "float" in one.dtype


def _spectrum(numbers: TensorNumbers, tensor: Tensor) -> Spectrum | None:
    matrix = tensor.detach()
    if matrix.is_meta or matrix.layout is not torch.strided or hasattr(matrix, "full_tensor"):
        return None
    matrix = matrix.flatten(1)
    matrix = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    of = matrix.shape[0]
    matrix = _some(_some(matrix, 0, _ROWS), 1, _COLUMNS).to("cpu", torch.float32)
    short, long = matrix.shape
    assert numbers.std is not None
    centred = (matrix - (numbers.mean or 0.0)) / (numbers.std * math.sqrt(long))
    gram = centred @ centred.T
    if not math.isfinite(float(gram.sum())):
        return None
    squares = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    return Spectrum(numbers, tuple(squares.tolist()), short, long, of)


def _some(matrix: Tensor, axis: int, most: int) -> Tensor:
    size = matrix.shape[axis]
    if size <= most:
        return matrix
    return matrix.index_select(axis, torch.linspace(0, size - 1, most, device=matrix.device).long())
