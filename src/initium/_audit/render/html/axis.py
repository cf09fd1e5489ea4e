"""Axes of the figures: from numbers to places, and the numbers that are written beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A line from ``start`` to ``end`` in a figure, for numbers from ``low`` to ``high``; both ends are where larger and smaller ones go.

    Args:
        low, high: in numbers, ``low < high``; above 0 where ``log``.
        start, end: in the units of the figure.
        log: whether equal distances are equal ratios.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, x: float) -> float:
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        y = (math.log10(x) if x > 0 else -math.inf) if self.log else x
        share = min(max((y - low) / (high - low), 0.0), 1.0)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, most: int = 6) -> list[float]:
        """Powers of ten of a log axis, with 2 and 5 where there are few."""
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        if last - first < 2:
            every = [m * 10.0**e for e in range(first - 1, last + 1) for m in (1, 2, 5)]
            return [x for x in every if self.low <= x * (1 + 1e-9) and x <= self.high * (1 + 1e-9)]
        step = max(-(-(last - first) // most), 1)
        return [10.0**e for e in range(first, last + 1, step)]


def log_axis(numbers: Iterable[float], start: float, end: float) -> Axis:
    """An axis that holds all the positive finite numbers, over a decade at least."""
    good = [x for x in numbers if 0 < x < math.inf]
    low, high = (min(good), max(good)) if good else (0.1, 10.0)
    low, high = max(low / 1.3, 1e-300), min(high * 1.3, 1e300)
    if high < 10 * low:
        middle = math.sqrt(low * high)
        low, high = middle / math.sqrt(10), middle * math.sqrt(10)
    return Axis(low, high, start, end, log=True)


def short(x: float | None) -> str:
    """A number in at most three digits, without what does not matter: ``.0201``, ``1.2e-6``, ``0``."""
    if x is None:
        return "–"
    if not math.isfinite(x):
        return "∞" if x > 0 else "−∞" if x < 0 else "NaN"
    if x and not 1e-4 <= abs(x) < 1e5:
        mantissa, exponent = f"{x:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}".replace("-", "−")
    said = f"{x:.3g}" if abs(x) < 1000 else f"{x:,.0f}"
    return said.replace("-", "−").replace("0.", ".", 1) if abs(x) < 1 and x else said.replace("-", "−")
