"""What is the same as something else: rows of a matrix, tensors of a model. Candidates by sums, each one then compared bit by bit."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

K = TypeVar("K", bound=Hashable)


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
    generator = torch.Generator().manual_seed(1)
    work = m if m.dtype in (torch.float32, torch.float64) else m.float()
    right = torch.randn(columns, generator=generator, dtype=work.dtype).to(work.device)
    seen = work @ right
    zero_rows = _all_zero(work, (seen == 0).nonzero().flatten())
    left = torch.randn(rows, generator=generator, dtype=work.dtype).to(work.device)
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


def _all_zero(matrix: Tensor, candidates: Tensor) -> list[int]:
    if not candidates.numel():
        return []
    return [int(i) for i in candidates[(matrix[candidates] == 0).all(1)]]


def _equal(matrix: Tensor, seen: Tensor, skip: set[int]) -> list[tuple[int, int]]:
    """Pairs (first, later) of equal rows. Equal rows have sums that differ by rounding at most, and stand together when sorted."""
    values, order = seen.double().sort()
    scale = float(values.abs().max()) if values.numel() else 0.0
    close = (values[1:] - values[:-1]) <= scale * 1e-6
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
