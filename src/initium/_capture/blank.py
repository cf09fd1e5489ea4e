"""Blank memory: address space for tensors that are recorded and not filled. Nothing of it is resident until somebody writes there."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence

import torch
from torch import Tensor

LARGE = 1 << 25  # bytes: below this malloc's memory is as good, and address space costs more than it saves
_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)  # Linux's number; Python names it from 3.11 on
_PAGE = mmap.PAGESIZE


class AddressSpace:
    """Address space that a constructor's parameters share; it goes back to the system with the last of them.

    Args:
        together: bytes that are asked for at once: the system's call takes longer than all else here.
    """

    def __init__(self, together: int = 1 << 36) -> None:
        self._together = together
        self._mapping: mmap.mmap | None = None
        self._taken = 0

    def take(self, size: int) -> tuple[mmap.mmap, int] | None:
        """(a mapping, where in it that many bytes are to be had), or None where the system refuses."""
        if self._mapping is None or self._taken + size > len(self._mapping):
            found = _reserved(max(size, self._together)) or _reserved(size)
            if found is None:
                return None
            self._mapping, self._taken = found, 0
        begin, self._taken = self._taken, self._taken + -(-size // _PAGE) * _PAGE
        return self._mapping, begin


def blank(shape: Sequence[int], stride: Sequence[int] | None, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor of that shape and layout (None is row-major) whose memory is not to be read."""
    if device.type == "cpu" and math.prod(shape) * dtype.itemsize >= LARGE:
        alone = AddressSpace(0)  # what is written there goes when the tensor does
        return from_address_space(shape, stride, dtype, alone)
    if stride is None:
        return torch.empty(tuple(shape), dtype=dtype, device=device)
    return torch.empty_strided(tuple(shape), tuple(stride), dtype=dtype, device=device)


def from_address_space(shape: Sequence[int], stride: Sequence[int] | None, dtype: torch.dtype, space: AddressSpace) -> Tensor:
    """A large tensor of that shape and layout (None is row-major); on meta where the system refuses the address space."""
    span = math.prod(shape) if stride is None else 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    found = space.take(span * dtype.itemsize)
    if found is None:
        return torch.empty(tuple(shape), dtype=dtype, device="meta")
    flat = torch.frombuffer(found[0], dtype=dtype, count=span, offset=found[1])
    return flat.view(tuple(shape)) if stride is None else flat.as_strided(tuple(shape), tuple(stride))


def _reserved(size: int) -> mmap.mmap | None:
    try:
        return mmap.mmap(-1, -(-size // _PAGE) * _PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE)
    except (OSError, ValueError, OverflowError):
        return None
