"""The law that a tensor's writes declare: its moments and bounds, as far as the operations on the way say them."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..._capture.fold import WHOLE

_ROOT2 = math.sqrt(2.0)


class Law(NamedTuple):
    """How the elements of a tensor are meant to be distributed.

    Args:
        kind: ``normal``, ``uniform``, ``truncated``, ``constant``, ``orthogonal``, or ``other`` (random, and nothing more is known).
        mean, std: of an element; std is 0 for a constant, NaN for ``other``.
        low, high: what no element is outside of.
        kurtosis: fourth central moment ÷ variance²: 3 for a normal, 1.8 for a uniform.
        core: standard deviation of the normal before it was cut; the std itself where nothing is cut.
    """

    kind: str
    mean: float
    std: float
    low: float = -math.inf
    high: float = math.inf
    kurtosis: float = math.nan
    core: float = math.nan

    @property
    def random(self) -> bool:
        return self.kind != "constant"

    @property
    def known(self) -> bool:
        """Whether it says what the variance should be."""
        return self.kind in ("normal", "uniform", "truncated") and self.std > 0

    def affine(self, scale: float, shift: float) -> Law:
        """The law of ``x · scale + shift``."""
        if not math.isfinite(scale) or not math.isfinite(shift):
            return OTHER
        ends = sorted(end * scale + shift if math.isfinite(end) else end * (scale or 1.0) for end in (self.low, self.high))
        return self._replace(
            mean=self.mean * scale + shift,
            std=self.std * abs(scale),
            low=ends[0],
            high=ends[1],
            core=self.core * abs(scale),
            kind=self.kind if scale else "constant",
        )

    def __str__(self) -> str:
        if self.kind == "constant":
            return f"constant {self.mean:.4g}"
        if self.kind == "uniform":
            return f"uniform({self.low:.4g}, {self.high:.4g})"
        if self.kind == "truncated":
            return f"normal({self.mean:.4g}, {self.core:.4g}) cut to [{self.low:.4g}, {self.high:.4g}], std {self.std:.4g}"
        if self.kind in ("normal", "orthogonal"):
            return f"{self.kind}(std={self.std:.4g})" if not self.mean else f"{self.kind}({self.mean:.4g}, {self.std:.4g})"
        return "random"


OTHER = Law("other", math.nan, math.nan)
PATTERNED = WHOLE - {"orthogonal_"}  # init functions of torch that mean zeros in some places


def normal(mean: float, std: float) -> Law:
    return Law("normal", mean, std, kurtosis=3.0, core=std) if std else constant(mean)


def uniform(low: float, high: float) -> Law:
    if low == high:
        return constant(low)
    return Law("uniform", (low + high) / 2, (high - low) / math.sqrt(12), low, high, 1.8, (high - low) / math.sqrt(12))


def constant(value: float) -> Law:
    return Law("constant", value, 0.0, value, value)


def truncated(mean: float, std: float, low: float, high: float) -> Law:
    """A normal that is cut to [low, high]; its own std is smaller than ``std``."""
    if not std > 0 or not low < high:
        return OTHER
    a, b = (low - mean) / std, (high - mean) / std
    mass = _cdf(b) - _cdf(a)
    if mass <= 1e-12:
        return OTHER
    raw = [1.0, (_pdf(a) - _pdf(b)) / mass]
    for k in (2, 3, 4):  # E x^k = (k − 1) E x^(k−2) − [x^(k−1) φ(x)] / mass
        raw.append((k - 1) * raw[k - 2] - (_edge(b, k - 1) - _edge(a, k - 1)) / mass)
    variance = raw[2] - raw[1] ** 2
    fourth = raw[4] - 4 * raw[1] * raw[3] + 6 * raw[1] ** 2 * raw[2] - 3 * raw[1] ** 4
    if variance <= 0:
        return OTHER
    return Law("truncated", mean + std * raw[1], std * math.sqrt(variance), low, high, fourth / variance**2, std)


def of_erfinv(law: Law) -> Law:
    """The law of erfinv(u) for a uniform u: a normal of variance ½, cut."""
    if law.kind != "uniform" or not -1 <= law.low < law.high <= 1:
        return OTHER
    from statistics import NormalDist

    def end(u: float) -> float:
        return math.copysign(math.inf, u) if abs(u) >= 1 else NormalDist().inv_cdf((1 + u) / 2) / _ROOT2

    return truncated(0.0, 1 / _ROOT2, end(law.low), end(law.high))


def _pdf(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _cdf(x: float) -> float:
    return math.erfc(-x / _ROOT2) / 2


def _edge(x: float, power: int) -> float:
    return 0.0 if math.isinf(x) else x**power * _pdf(x)
