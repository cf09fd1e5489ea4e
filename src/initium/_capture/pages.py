"""Large pages for memory that is about to be filled: the system hands out 2 MB at a time instead of 4 kB, which takes half the time."""

from __future__ import annotations

import ctypes
import functools
import mmap
from collections.abc import Callable
from typing import Any

from torch import Tensor

from .._tensors import address

_WORTH = 1 << 22  # bytes: a tensor of that size has at least one large page in it, wherever it starts
_LARGE_PAGE = 1 << 21
_ADVICE: Any = getattr(mmap, "MADV_HUGEPAGE", None)  # where Python knows it, the system does


def ask_for_large_pages(tensor: Tensor) -> None:
    """Tell the system that a tensor's memory is wanted in large pages, where it knows such a thing; nothing else changes."""
    if tensor.device.type != "cpu" or tensor.nbytes < _WORTH or not address(tensor):  # a wrapper's memory is not its own
        return
    advise, storage = _madvise(), tensor.untyped_storage()
    begin = -(-storage.data_ptr() // _LARGE_PAGE) * _LARGE_PAGE
    end = (storage.data_ptr() + storage.nbytes()) // _LARGE_PAGE * _LARGE_PAGE
    if advise is not None and begin < end:
        advise(begin, end - begin, _ADVICE)  # refused where the kernel has none: ordinary pages, then


@functools.cache
def _madvise() -> Callable[[int, int, int], int] | None:
    if _ADVICE is None:
        return None
    found = ctypes.CDLL(None).madvise
    found.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return found
