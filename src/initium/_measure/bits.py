"""Compare values bit by bit, piece by piece: which stretches to look at, and the first element that differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .._execute import Batch, KeyOf
from .._programs import Program
from .._stream import BLOCK, derive_key, words

CHUNK = 1 << 22  # elements looked at together
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Gap(NamedTuple):
    """Where two tensors differ: the first flat index, its two values, and the largest absolute difference that was seen."""

    first: int
    ours: float | complex
    theirs: float | complex
    largest: float


def runs(numel: int, sample: int | None, name: str) -> list[tuple[int, int]]:
    """The stretches (start, stop) to look at: all of it in pieces, or about ``sample`` elements in runs of 64.

    The first and the last run are always among them; the others' places are drawn from the name, so every run looks at the same.
    """
    if sample is None or sample >= numel:
        return [(start, min(start + CHUNK, numel)) for start in range(0, numel, CHUNK)]
    count, length = -(-sample // BLOCK), min(sample, BLOCK)
    places = [0, numel - length][:count] if count < 3 else [0, numel - length, *_places(numel - length, count - 2, name)]
    merged: list[tuple[int, int]] = []
    for start in sorted(places):
        stop = start + length
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return merged


def _places(span: int, count: int, name: str) -> list[int]:
    pairs = words(derive_key(0, name, "sample"), 0, 2 * count).tolist()
    return [(high * 2**32 + low) % (span + 1) for high, low in zip(pairs[::2], pairs[1::2], strict=True)]


def drawn_part(program: Program, key_of: KeyOf, shape: tuple[int, ...], dtype: torch.dtype, start: int, stop: int) -> Tensor:
    """Elements ``start … stop`` of what a program fills, in the dtype in which they are stored."""
    out = torch.empty(stop - start, dtype=dtype, device="cpu")
    batch = Batch()
    batch.add_flat(out, program, key_of, shape, start)
    batch.run()
    return out


def compared(
    ours: Tensor, theirs: Callable[[int, int], Tensor], stretches: list[tuple[int, int]], tolerance: float
) -> Gap | None:
    """Where two flat tensors of one dtype differ, or None where they do not.

    Args:
        ours: flat, on the CPU.
        theirs: gives the same stretch of the other.
        stretches: what to look at.
        tolerance: absolute; 0 asks for equal bits (NaNs are equal to each other).
    """
    first: Gap | None = None
    largest = 0.0
    for start, stop in stretches:
        a, b = ours[start:stop], theirs(start, stop)
        unequal = _unequal(a, b)
        if tolerance:
            unequal &= ~(_distance(a, b) <= tolerance)
        places = unequal.nonzero()
        if not places.numel():
            continue
        gaps = _distance(a, b)[unequal]
        largest = max(largest, float(gaps.max()) if not bool(gaps.isnan().any()) else float("nan"))
        if first is None:
            place = int(places[0])
            first = Gap(start + place, a[place].item(), b[place].item(), 0.0)
    return None if first is None else first._replace(largest=largest)


def _unequal(a: Tensor, b: Tensor) -> Tensor:
    if a.is_complex():
        return _unequal(torch.view_as_real(a), torch.view_as_real(b)).any(-1)
    bits = _BITS[a.element_size()]
    unequal: Tensor = a.contiguous().view(bits) != b.contiguous().view(bits)
    if a.is_floating_point() and bool(unequal.any()):
        unequal &= ~(a.isnan() & b.isnan())
    return unequal


def _distance(a: Tensor, b: Tensor) -> Tensor:
    wide = torch.complex128 if a.is_complex() else torch.float64
    return (a.to(wide) - b.to(wide)).abs()
