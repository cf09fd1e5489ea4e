"""One pass over the values of a tensor: moments in fp64, extremes, zeros, what is not finite, and a few values for the figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .threads import mapped

_CHUNK = 1 << 17  # elements looked at together: they stay in the cache from one question to the next
_SAMPLE = 4096
_TOGETHER = 1 << 18  # elements of small tensors that are measured together


class Moments(NamedTuple):
    """What one tensor holds; moments and extremes are of its finite elements.

    Args:
        size: finite elements.
        mean, std: std is the population's (÷ n).
        kurtosis: fourth central moment ÷ variance²; NaN for a constant.
        low, high: the extremes.
        zeros: elements that are exactly 0.
        nan, inf: elements that are not finite.
        subnormal: elements that are not 0 and below the dtype's normal range.
        distinct: different values in the sample.
        sample: up to 4,096 elements at even distances, for figures and tests of shape.
    """

    size: int
    mean: float
    std: float
    kurtosis: float
    low: float
    high: float
    zeros: int
    nan: int
    inf: int
    subnormal: int
    distinct: int
    sample: Tensor

    @property
    def various(self) -> bool:
        """Whether its values are of many kinds, as drawn ones are."""
        return len(self.sample) >= 16 and 2 * self.distinct > min(len(self.sample), 256)

    @property
    def constant(self) -> bool:
        return self.size > 0 and self.low == self.high and not self.nan and not self.inf

    @property
    def rms(self) -> float:
        return math.hypot(self.mean, self.std)

    @property
    def largest(self) -> float:
        return max(abs(self.low), abs(self.high))

    @property
    def mark(self) -> tuple[float, ...]:
        """What two tensors of the same values share, however they were summed."""
        return (self.size, self.low, self.high, self.zeros)


def moments_of(tensor: Tensor) -> Moments:
    """Measure a tensor; it is walked in memory order where it is dense."""
    flat = _flat(tensor.detach())
    total = _Sum()
    for start in range(0, flat.numel(), _CHUNK):
        total.add(flat[start : start + _CHUNK])
    step = max(flat.numel() // _SAMPLE, 1)
    return total.result(_tiniest(tensor.dtype), flat[::step][:_SAMPLE].float())


def moments_of_all(tensors: Sequence[Tensor]) -> list[Moments]:
    """Measure many tensors: small ones of one size and dtype together, as the rows of a matrix in fp64."""
    found: list[Moments | None] = [None] * len(tensors)
    alike: dict[tuple[int, torch.dtype, torch.device], list[int]] = {}
    for place, tensor in enumerate(tensors):
        if type(tensor) is Tensor and 0 < tensor.numel() <= _SAMPLE and _is_plain(tensor):
            alike.setdefault((tensor.numel(), tensor.dtype, tensor.device), []).append(place)
    for (size, dtype, _), places in alike.items():
        most = max(_TOGETHER // size, 1)
        for start in range(0, len(places), most) if len(places) > 1 else ():
            part = places[start : start + most]
            for place, one in zip(part, _of_rows([tensors[i].reshape(-1) for i in part], dtype), strict=True):
                found[place] = one
    rest = iter(mapped(moments_of, [tensor for one, tensor in zip(found, tensors, strict=True) if one is None]))
    return [next(rest) if one is None else one for one in found]


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_complex() and not tensor.is_quantized and not tensor.is_neg()


def _of_rows(rows: list[Tensor], dtype: torch.dtype) -> list[Moments | None]:
    """The moments of each row; None for one that holds what is not finite."""
    x = torch.stack(rows).double()
    n, tiny = x.shape[1], _tiniest(dtype)
    low, high = x.aminmax(dim=1)
    mean = x.mean(1)
    square = (x - mean[:, None]).square_()
    variance = square.mean(1)
    fourth = square.square_().mean(1)
    size = x.abs()
    small = ((size > 0) & (size < tiny)).sum(1).tolist() if tiny else [0] * len(rows)
    zeros = (x == 0).sum(1).tolist()
    distinct = ((x.sort(dim=1).values.diff(dim=1) != 0).sum(1) + 1).tolist()
    columns = (mean.tolist(), variance.tolist(), fourth.tolist(), low.tolist(), high.tolist())
    found: list[Moments | None] = []
    for row, m, v, f, a, b, zero, few, kinds in zip(rows, *columns, zeros, small, distinct, strict=True):
        if not (math.isfinite(a) and math.isfinite(b)):
            found.append(None)
        elif a == b:
            found.append(Moments(n, a, 0.0, math.nan, a, b, zero, 0, 0, few, kinds, row.float()))
        else:
            kurtosis = f / v**2 if v**2 > 0 else math.nan
            found.append(Moments(n, m, math.sqrt(v), kurtosis, a, b, zero, 0, 0, few, kinds, row.float()))
    return found


def _flat(tensor: Tensor) -> Tensor:
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    tensor = tensor.resolve_conj().resolve_neg()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor.reshape(-1)


def _tiniest(dtype: torch.dtype) -> float:
    return torch.finfo(dtype).smallest_normal if dtype.is_floating_point else 0.0


class _Sum:
    """Running sums around a first guess of the mean, so that fp32 within a chunk is enough; fp64 across chunks."""

    def __init__(self) -> None:
        self.count = self.zeros = self.nan = self.inf = self.small = 0
        self.s1 = self.s2 = self.s3 = self.s4 = 0.0
        self.low, self.high = math.inf, -math.inf
        self.shift: float | None = None
        self.tiny = 0.0

    def add(self, piece: Tensor) -> None:
        x = piece if piece.dtype in (torch.float32, torch.float64) else piece.to(torch.float32)
        low, high = (float(end) for end in torch.aminmax(x))
        if not math.isfinite(low) or not math.isfinite(high):
            self.nan += int(x.isnan().sum())
            self.inf += int(x.isinf().sum())
            x = x[x.isfinite()]
            if not x.numel():
                return
            low, high = (float(end) for end in torch.aminmax(x))
        n = x.numel()
        self.low, self.high, self.count = min(self.low, low), max(self.high, high), self.count + n
        if low == high:
            self.zeros += n if low == 0 else 0
            self._constant(low, n)
            return
        if low <= 0 <= high:
            self.zeros += n - int(torch.count_nonzero(x))
        if max(abs(low), abs(high)) > 1e8 or max(abs(low), abs(high)) < 1e-8:
            x = x.double()  # fourth powers would leave fp32's range
        if self.shift is None:
            self.shift = float(x.mean())
        d = x - self.shift
        square = d * d
        self.s1 += float(d.sum())
        self.s2 += float(torch.dot(d, d))
        self.s3 += float(torch.dot(d, square))
        self.s4 += float(torch.dot(square, square))

    def _constant(self, value: float, n: int) -> None:
        if self.shift is None:
            self.shift = value
        d = value - self.shift
        self.s1, self.s2, self.s3, self.s4 = self.s1 + n * d, self.s2 + n * d**2, self.s3 + n * d**3, self.s4 + n * d**4

    def result(self, tiniest: float, sample: Tensor) -> Moments:
        n = self.count
        if not n:
            return Moments(0, math.nan, math.nan, math.nan, math.nan, math.nan, 0, self.nan, self.inf, 0, 0, sample)
        assert self.shift is not None
        m1, m2, m3, m4 = (s / n for s in (self.s1, self.s2, self.s3, self.s4))
        variance = max(m2 - m1 * m1, 0.0) if self.low != self.high else 0.0
        fourth = m4 - 4 * m1 * m3 + 6 * m1 * m1 * m2 - 3 * m1**4
        kurtosis = fourth / variance**2 if variance > 0 and variance**2 > 0 else math.nan
        subnormal = 0
        if tiniest and sample.numel():
            small = ((sample != 0) & (sample.abs() < tiniest)).sum()
            subnormal = round(int(small) * n / sample.numel())
        distinct = 1 if self.low == self.high and not (self.nan or self.inf) else len(sample.unique())
        mean = self.low if self.low == self.high else self.shift + m1
        return Moments(
            n,
            mean,
            math.sqrt(variance),
            kurtosis,
            self.low,
            self.high,
            self.zeros,
            self.nan,
            self.inf,
            subnormal,
            distinct,
            sample,
        )
