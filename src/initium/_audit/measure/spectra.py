"""Singular values of the model's matrices, for the checks that ask for them; of a large matrix, rows at even distances."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..._execute import one_thread
from .seen import Seen, TensorSeen

_SHORT, _LONG, _MOST = 256, 8192, 1000  # sides that are looked at, and matrices


class Spectrum(NamedTuple):
    """Of one logical weight: a block of a packed one, an entry of a stack.

    Args:
        part: which of the tensor's, from 0; parts: of how many that were looked at.
        short, long: sides of what was looked at; whole: whether it is all of it.
        low, high: the extreme singular values; gone: how many are 0 next to the largest.
        edge: how far the largest lies beyond the end of what independent elements of one variance give, in units of its fluctuation:
            a Tracy–Widom variable, under 8 for all but 3 in ten million.
        beyond: the largest ÷ that end.
    """

    part: int
    parts: int
    short: int
    long: int
    whole: bool
    low: float
    high: float
    gone: int
    edge: float
    beyond: float


def spectra_of(seen: Seen) -> dict[str, list[Spectrum]]:
    """Name -> the spectra of its logical weights, of every random or trained matrix of at least 16×16."""
    found: dict[str, list[Spectrum]] = {}
    with one_thread(), torch.no_grad():  # matrices this small are slower on several
        for one in seen.parameters:
            if len(found) < _MOST and _is_matrix(one):
                assert one.tensor is not None
                parts = [part for part in _parts(one, one.tensor) if min(part.shape) >= 16]
                if parts:
                    found[one.name] = [_spectrum(i, len(parts), part) for i, part in enumerate(parts)]
    return found


def _is_matrix(one: TensorSeen) -> bool:
    m = one.moments
    if one.tensor is None or m is None or m.constant or m.nan or m.inf or one.computed or len(one.shape) < 2:
        return False
    role = one.layout.role
    known = role in ("weight", "embedding") if one.slot is not None else len(one.shape) == 2
    return known and one.tensor.is_floating_point() and m.std > 0 and not hasattr(one.tensor, "full_tensor")


def _parts(one: TensorSeen, tensor: Tensor) -> list[Tensor]:
    """Its logical weights as matrices, four at most."""
    layout = one.layout
    if layout.batch_axes == (0,) and len(one.shape) > 2:
        return [part.flatten(1) for part in tensor[:4].unbind(0)]
    if len(layout.blocks) > 1 and layout.repeats == 1 and sum(layout.blocks) == one.shape[layout.block_axis]:
        return [part.flatten(1) for part in tensor.split(list(layout.blocks), layout.block_axis)][:4]
    if layout.groups > 1:
        return [part.flatten(1) for part in tensor.chunk(layout.groups)][:4]
    return [tensor.flatten(1)]


def _spectrum(part: int, parts: int, matrix: Tensor) -> Spectrum:
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    whole = matrix.shape[0] <= _SHORT and matrix.shape[1] <= _LONG
    rows, columns = (max(-(-side // most), 1) for side, most in zip(matrix.shape, (_SHORT, _LONG), strict=True))
    m = matrix[::rows, ::columns].double()
    short, long = m.shape
    values = torch.linalg.eigvalsh(m @ m.T).clamp_min(0).sqrt()
    low, high = float(values[0]), float(values[-1])
    std = float(m.square().mean().sqrt())
    a, b = math.sqrt(long - 1), math.sqrt(short)
    width = (a + b) * (1 / a + 1 / b) ** (1 / 3)
    edge = ((high / std) ** 2 - (a + b) ** 2) / width
    gone = int((values < 3e-6 * high).sum())
    return Spectrum(part, parts, short, long, whole, low, high, gone, edge, high / std / (a + b))
