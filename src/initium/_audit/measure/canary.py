"""The canary: a pattern put into memory that nobody has filled yet, so that whoever finds it later knows that nobody did."""

from __future__ import annotations

import torch
from torch import Tensor

# Quiet NaNs for floats, so that what is computed from them is NaN too; for integers a number that nobody writes.
_BITS = {
    torch.float32: (torch.int32, 0x7FC0DEAD),
    torch.float64: (torch.int64, 0x7FF8DEADBEEF5EAD),
    torch.bfloat16: (torch.int16, 0x7FDE),
    torch.float16: (torch.int16, 0x7EDE),
    torch.int64: (torch.int64, 0x5EADBEEF5EADBEEF),
    torch.int32: (torch.int32, 0x5EADBEEF),
    torch.int16: (torch.int16, 0x5EAD),
    torch.complex64: (torch.int32, 0x7FC0DEAD),
    torch.complex128: (torch.int64, 0x7FF8DEADBEEF5EAD),
}


def plant(tensor: Tensor) -> bool:
    """Fill a tensor's memory with the pattern; False where its dtype or device cannot hold one."""
    pattern = _BITS.get(tensor.dtype)
    if pattern is None or tensor.is_meta or tensor.numel() == 0 or tensor.layout is not torch.strided:
        return False
    real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    real.view(pattern[0]).fill_(pattern[1])
    return True


def found(tensor: Tensor) -> Tensor:
    """Where the pattern still stands: a bool tensor of the same shape."""
    pattern = _BITS.get(tensor.dtype)
    if pattern is None or tensor.layout is not torch.strided:
        return torch.zeros(tensor.shape, dtype=torch.bool)
    real = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    same = real.view(pattern[0]) == pattern[1]
    return same.any(-1) if tensor.is_complex() else same
