"""Blank memory: address space for tensors that are recorded and not filled. Nothing of it is resident until somebody writes there."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence

import torch
from torch import Tensor

LARGE = 1 << 25  # bytes: below this malloc's memory is as good, and a mapping costs more than it saves
_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)  # Linux's number; Python names it from 3.11 on
_PAGE = mmap.PAGESIZE


def blank(shape: Sequence[int], stride: Sequence[int] | None, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor of that shape and layout whose memory is not to be read; on meta where the system refuses the address space."""
    numel = math.prod(shape)
    if device.type != "cpu" or numel * dtype.itemsize < LARGE:
        if stride is None:
            return torch.empty(tuple(shape), dtype=dtype, device=device)
        return torch.empty_strided(tuple(shape), tuple(stride), dtype=dtype, device=device)
    span = numel
    if stride is not None:
        span = 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    try:
        memory = mmap.mmap(
            -1, -(-span * dtype.itemsize // _PAGE) * _PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE
        )
    except (OSError, ValueError, OverflowError):
        return torch.empty(tuple(shape), dtype=dtype, device="meta")
    flat = torch.frombuffer(memory, dtype=dtype, count=span)
    return flat.view(tuple(shape)) if stride is None else flat.as_strided(tuple(shape), tuple(stride))
