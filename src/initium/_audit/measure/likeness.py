"""What is the same as something else: rows of a matrix, tensors of a model. Candidates by sums, each one then compared bit by bit."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from .threads import mapped

K = TypeVar("K", bound=Hashable)
_SMALL = 1 << 14  # elements of a matrix that is looked at together with others of its shape
_TOGETHER = 1 << 20
_CLOSE = 1e-6  # of the largest sum: two that are closer may be of equal rows, summed in another order


class Rows(NamedTuple):
    """Rows and columns of a matrix that stand out.

    Args:
        rows, columns: its size.
        zero_rows, zero_columns: indices of those that are all 0, the first few.
        n_zero_rows, n_zero_columns: how many.
        duplicates: pairs (first, later) of equal rows that are not zero, the first few.
        n_duplicates: how many rows equal an earlier one.
    """

    rows: int
    columns: int
    zero_rows: tuple[int, ...]
    n_zero_rows: int
    zero_columns: tuple[int, ...]
    n_zero_columns: int
    duplicates: tuple[tuple[int, int], ...]
    n_duplicates: int


def rows_of(matrix: Tensor) -> Rows:
    """Look at the rows of a (rows, columns) tensor: two products with a fixed random vector tell which to compare."""
    m = matrix.detach()
    rows, columns = m.shape
    work = m if m.dtype in (torch.float32, torch.float64) else m.float()
    right, left = _directions(rows, columns, work.dtype, work.device)
    seen = work @ right
    zero_rows = _all_zero(work, (seen == 0).nonzero().flatten())
    zero_columns = _all_zero(work.t(), ((left @ work) == 0).nonzero().flatten())
    pairs = _equal(m, seen, set(zero_rows))
    later = {b for _, b in pairs}
    return Rows(
        rows,
        columns,
        tuple(zero_rows[:8]),
        len(zero_rows),
        tuple(zero_columns[:8]),
        len(zero_columns),
        tuple(pairs[:8]),
        len(later),
    )


def rows_of_all(matrices: Sequence[Tensor]) -> list[Rows]:
    """The same of many matrices: small ones of one shape together, of which only those where something stands out are looked at alone."""
    found: list[Rows | None] = [None] * len(matrices)
    alike: dict[tuple[torch.Size, torch.dtype, torch.device], list[int]] = {}
    for place, one in enumerate(matrices):
        if type(one) is Tensor and one.numel() <= _SMALL:
            alike.setdefault((one.shape, one.dtype, one.device), []).append(place)
    for (shape, *_), places in alike.items():
        most = max(_TOGETHER // shape.numel(), 1)
        for start in range(0, len(places), most) if len(places) > 1 else ():
            part = places[start : start + most]
            for place, plain in zip(part, _nothing_stands_out([matrices[i] for i in part]), strict=True):
                if plain:
                    found[place] = Rows(shape[0], shape[1], (), 0, (), 0, (), 0)
    rest = iter(mapped(rows_of, [matrix for one, matrix in zip(found, matrices, strict=True) if one is None]))
    return [next(rest) if one is None else one for one in found]


def _nothing_stands_out(matrices: list[Tensor]) -> list[bool]:
    stack = torch.stack(matrices)
    work = stack if stack.dtype in (torch.float32, torch.float64) else stack.float()
    right, left = _directions(work.shape[1], work.shape[2], work.dtype, work.device)
    seen, across = work @ right, left @ work
    values = seen.double().sort(1).values
    close = (values[:, 1:] - values[:, :-1]) <= values.abs().amax(1, keepdim=True) * _CLOSE
    plain: list[bool] = (~((seen == 0).any(1) | (across == 0).any(1) | close.any(1))).tolist()
    return plain


@functools.lru_cache(maxsize=64)
def _directions(rows: int, columns: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """A fixed random vector for the rows' side and one for the columns'."""
    generator = torch.Generator().manual_seed(1)
    right = torch.randn(columns, generator=generator, dtype=dtype).to(device)
    return right, torch.randn(rows, generator=generator, dtype=dtype).to(device)


def _all_zero(matrix: Tensor, candidates: Tensor) -> list[int]:
    if not candidates.numel():
        return []
    return [int(i) for i in candidates[(matrix[candidates] == 0).all(1)]]


def _equal(matrix: Tensor, seen: Tensor, skip: set[int]) -> list[tuple[int, int]]:
    """Pairs (first, later) of equal rows. Equal rows have sums that differ by rounding at most, and stand together when sorted."""
    values, order = seen.double().sort()
    scale = float(values.abs().max()) if values.numel() else 0.0
    close = (values[1:] - values[:-1]) <= scale * _CLOSE
    a, b = order[:-1][close], order[1:][close]
    first: dict[int, int] = {}
    pairs = []
    for start in range(0, a.numel(), 4096):
        one, two = a[start : start + 4096], b[start : start + 4096]
        same = (matrix[one] == matrix[two]).all(1)
        for i, j in zip(one[same].tolist(), two[same].tolist(), strict=True):
            low, high = min(i, j), max(i, j)
            if low in skip or high in skip:
                continue
            root = first.get(low, low)
            first[high] = root
            pairs.append((root, high))
    return sorted(pairs)


def equal_groups(items: Iterable[tuple[K, Hashable, Tensor]]) -> list[list[K]]:
    """Groups of two or more equal tensors among (name, mark, tensor); equal tensors have equal marks."""
    by_mark: dict[Hashable, list[tuple[K, Tensor]]] = {}
    for name, mark, tensor in items:
        by_mark.setdefault(mark, []).append((name, tensor))
    groups = []
    for members in by_mark.values():
        while len(members) > 1:
            head = members[0]
            same = [one for one in members if one is head or torch.equal(one[1], head[1])]
            if len(same) > 1:
                groups.append([name for name, _ in same])
            members = [one for one in members if not any(one is other for other in same)]
    return groups
