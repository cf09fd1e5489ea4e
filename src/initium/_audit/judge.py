"""What several checks judge by: the bound for a z-score over all tensors together, and draws whose fans come from the shape."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import Any

from .measure.law import Law
from .measure.seen import Seen, TensorSeen
from .measure.watch import InitCall

FAMILY_WISE = 1e-3  # how often a correct model of any size is reported by one statistical check


def family_z(tensors: int) -> float:
    """The z-score that one of so many correct tensors exceeds with probability 1e-3 (Bonferroni): 4.9 for 1,000."""
    return -NormalDist().inv_cdf(FAMILY_WISE / (2 * max(tensors, 1)))


def family_t(tensors: int, elements: int) -> float:
    """The same for a mean measured against its own spread: Student's quantile, by its expansion around the normal's."""
    z = family_z(tensors)
    return z + (z**3 + z) / (4 * max(elements - 1, 1))


def furthest(tensors: int, elements: int) -> float:
    """The deviation, in std, that a normal element passes in one of so many tensors with probability 1e-3 in all."""
    return -NormalDist().inv_cdf(FAMILY_WISE / (2 * max(tensors, 1) * max(elements, 1)))


def variance_z(ratio: float, law: Law, elements: int) -> float:
    """The z-score of a variance that is ``ratio`` times the law's, measured around the law's mean.

    A sum of n squares is skewed, and one of 32 exceeds 5 of its standard deviations 100 times as often as a normal does: Wilson and
    Hilferty's cube root for a gamma of the same skew is exact to a few per cent out there. The skew of a square, 2.83 for a normal
    (kurtosis 3) and 0.64 for a uniform (1.8), is taken between them for a truncated normal.
    """
    spread = max(law.kurtosis - 1, 0.1)
    t = (ratio - 1) / math.sqrt(spread / elements)
    skew = (0.64 + (law.kurtosis - 1.8) / 1.2 * 2.19) / math.sqrt(elements)
    if skew < 1e-5:
        return t
    root: float = max(1 + skew * t / 2, 0.0) ** (1 / 3)
    return 6 / skew * (root - 1) + skew / 6


def config_of(seen: Seen) -> tuple[Any, Any]:
    """A model's configuration and the part of it that is about text, as transformers has them; None where they cannot be read."""
    try:
        config: Any = getattr(seen.model, "config", None)
        return config, config.get_text_config() if hasattr(config, "get_text_config") else config
    except Exception:  # an attribute may be a property that raises anything
        return None, None


def by_shape(seen: Seen, families: tuple[str, ...]) -> Iterator[tuple[TensorSeen, InitCall]]:
    """Tensors last drawn by an init function that reads fans off the shape; torch's own constructors are not counted."""
    for one in seen.tensors.values():
        call = one.call
        if call is not None and call.is_torch and not call.by_module and call.name.startswith(families) and not one.is_buffer:
            yield one, call
