"""Regions: which elements of a whole tensor a local tensor holds, and how that becomes jobs for a backend.

Addresses are flat indices in the whole, row-major tensor, whatever the local tensor's memory looks like.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from . import _laws as laws
from ._stream import Key
from .backends import Job

Runs = tuple[tuple[int, int], ...]
"""(start, length) pieces of one axis of the whole tensor, in local order."""


@dataclass(frozen=True)
class Region:
    """The part of a whole tensor of ``shape`` that a local tensor holds: along each axis, runs of indices."""

    shape: tuple[int, ...]
    runs: tuple[Runs, ...]

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Region:
        return cls(shape, tuple(((0, size),) for size in shape))

    @property
    def local_shape(self) -> tuple[int, ...]:
        return tuple(sum(length for _, length in runs) for runs in self.runs)

    @property
    def is_whole(self) -> bool:
        return all(runs == ((0, size),) for runs, size in zip(self.runs, self.shape, strict=True))

    def split(self, axis: int, sizes: list[int]) -> Iterator[tuple[int, int, int, Region]]:
        """For consecutive pieces of the whole along ``axis``: (piece, local start, local length, the region of that stretch)."""
        edges = list(itertools.accumulate(sizes, initial=0))
        local = 0
        for start, length in self.runs[axis]:
            for piece, (low, high) in enumerate(itertools.pairwise(edges)):
                first, last = max(start, low), min(start + length, high)
                if first < last:
                    runs = (*self.runs[:axis], ((first, last - first),), *self.runs[axis + 1 :])
                    yield piece, local + first - start, last - first, Region(self.shape, runs)
            local += length

    def boxes(self, local: Tensor) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        """(offset in the whole, view of the local tensor) of each box the region consists of."""
        starts = [list(itertools.accumulate((length for _, length in runs), initial=0)) for runs in self.runs]
        for choice in itertools.product(*(range(len(runs)) for runs in self.runs)):
            view = local
            for axis, index in enumerate(choice):
                if len(self.runs[axis]) > 1:
                    view = view.narrow(axis, starts[axis][index], self.runs[axis][index][1])
            yield tuple(self.runs[axis][index][0] for axis, index in enumerate(choice)), view


def flat_boxes(shape: tuple[int, ...], start: int, stop: int) -> Iterator[tuple[Region, int, int]]:
    """The boxes that make up the flat range ``start … stop`` of a tensor: (region, flat start, flat stop), in order."""
    if len(shape) <= 1:
        if start < stop:
            yield Region(shape, (((start, stop - start),),) if shape else ()), start, stop
        return
    inner = math.prod(shape[1:])
    while start < stop:
        row, column = divmod(start, inner)
        if column == 0 and stop - start >= inner:  # whole rows of axis 0 at once
            rows = (stop - start) // inner
            runs = (((row, rows),), *(((0, size),) for size in shape[1:]))
            yield Region(shape, runs), start, start + rows * inner
            start += rows * inner
            continue
        last = min(stop, (row + 1) * inner)
        for region, low, high in flat_boxes(shape[1:], column, column + last - start):
            yield Region(shape, (((row, 1),), *region.runs)), row * inner + low, row * inner + high
        start = last


def law_jobs(out: Tensor, region: Region, law: laws.Law, key: Key) -> Iterator[Job]:
    """Jobs that give each element of ``out`` its value; ``out`` is real and has the region's local shape."""
    if region.is_whole and out.is_contiguous():
        yield Job(out.view(-1), law, key)
        return
    addresses = _strides(region.shape)
    for offset, view in region.boxes(out):
        start = sum(o * a for o, a in zip(offset, addresses, strict=True))
        yield from _box_jobs(view, addresses, start, law, key)


def _box_jobs(view: Tensor, addresses: tuple[int, ...], start: int, law: laws.Law, key: Key) -> Iterator[Job]:
    axes: list[
        tuple[int, int, int]
    ] = []  # (size, address stride, memory stride), neighbours merged where both strides allow it
    for size, address, memory in zip(view.shape, addresses, view.stride(), strict=True):
        if size == 1:
            continue
        if axes and axes[-1][1] == size * address and axes[-1][2] == size * memory:
            axes[-1] = (axes[-1][0] * size, address, memory)
        else:
            axes.append((size, address, memory))
    if not axes or axes[-1][1] != 1:  # a last axis that is cut to width 1
        axes.append((1, 1, 1))
    *outer, last = axes
    rows = outer.pop() if outer else (1, 0, 0)
    base = view.storage_offset()
    for index in itertools.product(*(range(size) for size, _, _ in outer)):
        place = base + sum(i * memory for i, (_, _, memory) in zip(index, outer, strict=True))
        first = start + sum(i * address for i, (_, address, _) in zip(index, outer, strict=True))
        yield Job(view.as_strided((rows[0], last[0]), (rows[2], last[2]), place), law, key, first, rows[1])


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return tuple(strides)
