"""The planned density of a tensor's elements, and that of a random matrix's singular values."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from ...measure.law import truncated
from ...report import TensorNumbers

Density = Callable[[float], float]


def planned(tensor: TensorNumbers) -> Density | None:
    """The density that its writes declare; None for a constant, or where nothing is known."""
    mean, std, kind = tensor.planned_mean, tensor.planned_std, tensor.planned_kind
    if mean is None or not std or not math.isfinite(std):
        return None
    low, high = tensor.planned_low, tensor.planned_high
    if kind == "normal" or (kind == "orthogonal" and len(tensor.shape) > 1):
        return lambda x: _normal(x, mean, std)
    if low is None or high is None or not math.isfinite(high - low) or not low < high:
        return None
    if kind == "uniform":
        return lambda x: 1 / (high - low) if low <= x <= high else 0.0
    if kind == "truncated":
        core = _core(std, low - mean, high - mean)
        mass = (math.erf((high - mean) / core / math.sqrt(2)) - math.erf((low - mean) / core / math.sqrt(2))) / 2
        return lambda x: _normal(x, mean, core) / mass if low <= x <= high else 0.0
    return None


@functools.lru_cache(256)
def _core(std: float, low: float, high: float) -> float:
    """The standard deviation before the cut, of which ``std`` is left (by bisection)."""
    small, large = std, 20 * std
    for _ in range(40):
        middle = (small + large) / 2
        small, large = (middle, large) if truncated(0.0, middle, low, high).std < std else (small, middle)
    return small


def _normal(x: float, mean: float, std: float) -> float:
    return math.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


def marchenko_pastur(short: int, long: int) -> tuple[Density, float, float]:
    """The density of the singular values of a (short, long) matrix of variance 1 ÷ long, and its ends 1 ∓ √(short ÷ long)."""
    q = short / long
    low, high = 1 - math.sqrt(q), 1 + math.sqrt(q)

    def density(s: float) -> float:
        inside = (high**2 - s**2) * (s**2 - low**2)
        return math.sqrt(inside) / (math.pi * q * s) if inside > 0 and s > 0 else 0.0

    return density, low, high
