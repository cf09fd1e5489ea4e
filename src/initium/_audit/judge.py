"""What several checks judge by: the bound for a z-score over all tensors together, and draws whose fans come from the shape."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist

from .measure.seen import Seen, TensorSeen
from .measure.watch import InitCall

FAMILY_WISE = 1e-3  # how often a correct model of any size is reported by one statistical check


def family_z(tensors: int) -> float:
    """The z-score that one of so many correct tensors exceeds with probability 1e-3 (Bonferroni): 4.9 for 1,000."""
    return NormalDist().inv_cdf(1 - FAMILY_WISE / (2 * max(tensors, 1)))


def by_shape(seen: Seen, families: tuple[str, ...]) -> Iterator[tuple[TensorSeen, InitCall]]:
    """Tensors last drawn by an init function that reads fans off the shape; torch's own constructors are not counted."""
    for one in seen.tensors.values():
        call = one.write.call if one.write is not None else None
        if call is not None and call.is_torch and not call.by_module and call.name.startswith(families) and not one.is_buffer:
            yield one, call
