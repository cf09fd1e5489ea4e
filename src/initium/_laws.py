"""Laws: what an element is drawn from, every number worked out. Elementwise, so any backend can draw any part of a tensor.

A law is frozen data: what stands in a plan and what a backend is given. Its numbers come from IEEE + − × ÷ √ or from mpmath alone,
so they are the same on every machine. Laws that need the whole tensor (orthogonal, Dirac, …) are ``Made`` from these.
"""

from __future__ import annotations

import functools
import math
import struct
from dataclasses import dataclass
from typing import Any

from ._errors import ArgumentError
from ._normal_table import DEGREE, OCTAVES

TWO32 = 2**32


def f32(x: float) -> float:
    """``x`` rounded once to fp32 (to nearest even), as a Python float; beyond fp32 it is ±inf."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", x))[0])
    except OverflowError:
        return math.copysign(math.inf, x)


def _neighbour(x: float, step: int) -> float:
    """The fp32 ``step`` places above (+1) or below (-1) the fp32 ``x``."""
    if math.isinf(x) or math.isnan(x):
        return x
    (bits,) = struct.unpack("<i", struct.pack("<f", x))
    ordered = bits if bits >= 0 else -(bits & 0x7FFFFFFF)
    ordered += step
    return float(struct.unpack("<f", struct.pack("<I", ordered if ordered >= 0 else 0x80000000 | -ordered))[0])


def f32_below(x: float) -> float:
    """The largest fp32 ≤ ``x``."""
    return f32(x) if f32(x) <= x else _neighbour(f32(x), -1)


def f32_above(x: float) -> float:
    """The smallest fp32 ≥ ``x``."""
    return f32(x) if f32(x) >= x else _neighbour(f32(x), +1)


@dataclass(frozen=True)
class Constant:
    """Every element is ``value``, written in the tensor's own dtype."""

    value: float | complex

    @property
    def mean(self) -> float | complex:
        return self.value

    std = 0.0

    def part_of_complex(self) -> Constant:
        raise AssertionError("a constant is written whole")


@dataclass(frozen=True)
class Uniform:
    """U[low, high): fl(fl(u · fl(high − low)) + low) in fp32, kept below ``high``."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ArgumentError(f"uniform bounds must be finite, got [{self.low}, {self.high})")
        if self.low > self.high:
            raise ArgumentError(f"uniform expects low <= high, got [{self.low}, {self.high}): swap them")
        if math.isinf(self.scale) or math.isinf(f32(self.low)) or math.isinf(f32(self.high)):
            raise ArgumentError(f"uniform over [{self.low}, {self.high}) is wider than fp32 holds (3.4e38)")

    @functools.cached_property
    def scale(self) -> float:
        return f32(self.high - self.low)

    @functools.cached_property
    def shift(self) -> float:
        return f32(self.low)

    @functools.cached_property
    def limits(self) -> tuple[float, float]:
        """The least and the largest fp32 it gives."""
        low, high = f32(self.low), f32(self.high)
        return low, low if low >= high else _neighbour(high, -1)

    @property
    def mean(self) -> float:
        return (self.low + self.high) / 2

    @property
    def std(self) -> float:
        return (self.high - self.low) / math.sqrt(12.0)

    def part_of_complex(self) -> Uniform:
        """The law of the real and of the imaginary part: as in torch, each in [low, high)."""
        return self


@dataclass(frozen=True)
class Normal:
    """N(mean, std²): fl(fl(z · std) + mean) in fp32."""

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        _check_moments("normal", self.mean, self.std)

    @functools.cached_property
    def scale(self) -> float:
        return f32(self.std)

    @functools.cached_property
    def shift(self) -> float:
        return f32(self.mean)

    limits = (-math.inf, math.inf)

    def part_of_complex(self) -> Normal:
        """The law of the real and of the imaginary part: as in torch, half the variance each."""
        return Normal(self.mean, self.std / math.sqrt(2.0))


@dataclass(frozen=True)
class TruncNormal:
    """N(loc, sigma²) cut to [low, high] (absolute), by its quantile: one word an element, no rejection.

    ``lo`` and ``hi`` are Φ of the cuts in 2⁻³²nds. Where so few of these lie between the cuts that a table of the whole normal
    would show (far tails, narrow intervals), ``table`` is a quantile table of this interval instead. Build it by ``truncated``.
    """

    loc: float
    sigma: float
    low: float
    high: float
    lo: int
    hi: int
    mean: float
    std: float
    table: tuple[tuple[float, ...], ...] | None = None

    @functools.cached_property
    def scale(self) -> float:
        return f32(self.sigma)

    @functools.cached_property
    def shift(self) -> float:
        return f32(self.loc)

    @functools.cached_property
    def limits(self) -> tuple[float, float]:
        low, high = f32_above(self.low), f32_below(self.high)
        return (low, high) if low <= high else (f32(self.low), f32(self.low))

    def part_of_complex(self) -> Law:
        """The law of the real and of the imaginary part: half the variance each, each inside the cuts."""
        return truncated(self.loc, self.sigma / math.sqrt(2.0), self.low, self.high)


Law = Constant | Uniform | Normal | TruncNormal
LAWS = frozenset({Constant, Uniform, Normal, TruncNormal})


def _check_moments(law: str, mean: float, std: float) -> None:
    if not math.isfinite(mean):
        raise ArgumentError(f"{law} expects a finite mean, got mean={mean}")
    if not (math.isfinite(std) and std >= 0):
        raise ArgumentError(f"{law} expects std >= 0, got std={std}")


@functools.lru_cache(maxsize=1024)
def truncated(mean: float, std: float, low: float, high: float) -> Law:
    """N(mean, std²) cut to the absolute interval [low, high]; std = 0 gives the mean, kept inside the cuts."""
    _check_moments("trunc_normal", mean, std)
    if math.isnan(low) or math.isnan(high) or low > high:
        raise ArgumentError(f"trunc_normal expects low <= high, got [{low}, {high}]: swap them")
    if std == 0 or low == high:
        return Constant(min(max(mean, low), high))
    from mpmath import mp, mpf  # its import costs 40 ms, so only here

    with mp.workprec(240):
        a, b = (mpf(low) - mpf(mean)) / mpf(std), (mpf(high) - mpf(mean)) / mpf(std)
        lo, hi = int(mp.nint(mp.ncdf(a) * TWO32)), int(mp.nint(mp.ncdf(b) * TWO32))
        sparse = hi - lo < 2**26 or b - a < mpf(2) ** -6
        centre, spread = standard_moments(a, b)
        return TruncNormal(
            loc=float(mean),
            sigma=float(std),
            low=float(low),
            high=float(high),
            lo=lo,
            hi=hi,
            mean=float(mean + std * centre),
            std=float(std * spread),
            table=quantile_table(a, b) if sparse else None,
        )


def standard_moments(a: Any, b: Any) -> tuple[Any, Any]:
    """Mean and std (mpmath numbers) of a standard normal cut to [a, b]."""
    from mpmath import mp, mpf

    # far out the terms cancel: 1e15 σ from the mean, 200 bits of them
    far = max((float(mp.log(1 + abs(mpf(cut)), 2)) for cut in (a, b) if mp.isfinite(cut)), default=0.0)
    with mp.workprec(240 + 8 * int(max(far - 20, 0))):
        a, b = mpf(a), mpf(b)
        if a > 0 or (a == 0 and b > 0 and a + b > 8):  # mirror, so that Φ is computed on the side where it is small
            centre, spread = standard_moments(-b, -a)
            return -centre, spread
        mass = mp.ncdf(b) - mp.ncdf(a)
        density_a, density_b = mp.npdf(a), mp.npdf(b)
        edge_a = mpf(0) if mp.isinf(a) else a * density_a
        edge_b = mpf(0) if mp.isinf(b) else b * density_b
        centre = (density_a - density_b) / mass
        variance = 1 + (edge_a - edge_b) / mass - centre**2
        return centre, mp.sqrt(variance)


def quantile_table(a: Any, b: Any) -> tuple[tuple[float, ...], ...]:
    """The octave table of Φ⁻¹ between the cuts a < b (in σ), in the layout of the normal table.

    For v in (0, 1), z(v) runs from the cut that is further out (v -> 0) to the nearer one, so that octaves of v resolve the
    tail. Each octave's polynomial interpolates at Chebyshev nodes in mpmath and is rounded once to fp32.
    """
    from mpmath import mp, mpf

    with mp.workprec(240):
        a, b = mpf(a), mpf(b)
        mirrored = a + b < 0  # work on the positive side, where Q = 1 - Φ is computed without cancellation
        near, far = (-b, -a) if mirrored else (a, b)
        tail_far = mpf(0) if mp.isinf(far) else mp.erfc(far / mp.sqrt(2)) / 2
        tail_near = mp.erfc(near / mp.sqrt(2)) / 2
        columns = []
        guess = near
        for octave in range(OCTAVES - 1, -1, -1):
            nodes = DEGREE + 6
            xs = [mp.cos(mp.pi * (2 * k + 1) / (2 * nodes)) for k in range(nodes)]
            zs = []
            for x in xs:
                v = mpf(2) ** (octave - 31) * (1 + (x + 1) / 2)
                guess = _tail_quantile(tail_far + (tail_near - tail_far) * v, guess, near, far)
                zs.append(-guess if mirrored else guess)
            columns.append([f32(float(c)) for c in _chebyshev_fit(xs, zs)])
        columns.reverse()
        columns.append([0.0] * (DEGREE + 1))
        return tuple(tuple(column[d] for column in columns) for d in range(DEGREE + 1))


def _tail_quantile(tail: Any, guess: Any, near: Any, far: Any) -> Any:
    """z with 1 − Φ(z) = tail, by Newton on log(1 − Φ), which is concave: it converges from any side."""
    from mpmath import mp, mpf

    z, log_tail = mpf(guess), mp.log(tail)
    for _ in range(60):
        q = mp.erfc(z / mp.sqrt(2)) / 2
        step = (mp.log(q) - log_tail) * q / mp.npdf(z)
        z += step
        if abs(step) < mpf(2) ** -100 * (1 + abs(z)):
            break
    return min(max(z, near), far)


def _chebyshev_fit(xs: list[Any], ys: list[Any]) -> list[Any]:
    """Coefficients in powers of x (degree ``DEGREE``) of the Chebyshev projection through the nodes."""
    from mpmath import mpf

    n = len(xs)
    basis = [[mpf(1)] * n, list(xs)]
    powers = [[mpf(1)], [mpf(0), mpf(1)]]
    for d in range(2, DEGREE + 1):
        basis.append([2 * x * p - q for x, p, q in zip(xs, basis[d - 1], basis[d - 2], strict=True)])
        raised = [mpf(0), *(2 * c for c in powers[d - 1])]
        powers.append([c - (powers[d - 2][i] if i < len(powers[d - 2]) else 0) for i, c in enumerate(raised)])
    result = [mpf(0)] * (DEGREE + 1)
    for d in range(DEGREE + 1):
        weight = sum(y * t for y, t in zip(ys, basis[d], strict=True)) * (1 if d == 0 else 2) / n
        for i, c in enumerate(powers[d]):
            result[i] += weight * c
    return result
