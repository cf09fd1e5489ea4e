"""How large a tensor is, and how far two samples are apart."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_PLACES = 1 << 16  # of an output that is compared, at even distances


def rms_within(x: Tensor, largest: float) -> float:
    """The rms; in fp32 where neither the squares nor their sum can leave its range or lose their last digits."""
    if x.numel() <= 1 << 22 and 1e-12 < largest < 1e12:
        return float(torch.linalg.vector_norm(x)) / math.sqrt(x.numel())
    return rms(x)


def apart(output: Tensor) -> float:
    """How far the furthest sample is from the first, in sizes of the first; NaN where that is 0."""
    step = max(output[0].numel() // _PLACES, 1)
    x = output[:64].flatten(1)[:, ::step].double()
    size = float(x[0].norm())
    return float((x[1:] - x[0]).norm(dim=1).max()) / size if size > 0 else math.nan


def cosine(one: Tensor, two: Tensor) -> float:
    """The cosine between two samples; NaN where one is 0."""
    step = max(one.numel() // _PLACES, 1)
    a, b = one.reshape(-1)[::step].double(), two.reshape(-1)[::step].double()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale > 0 else math.nan


def rms(x: Tensor) -> float:
    """The root of the mean square, in fp64; 0 of nothing."""
    if not x.numel():
        return 0.0
    if x.is_sparse:  # the gradient of an nn.Embedding(sparse=True)
        values = x.detach().coalesce().values()
        return rms(values) * math.sqrt(values.numel() / x.numel())
    return float(torch.linalg.vector_norm(x.detach().float(), dtype=torch.float64)) / math.sqrt(x.numel())
