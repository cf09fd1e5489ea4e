"""Large pages for memory that is about to be filled: the system hands out 2 MB at a time instead of 4 kB, which takes half the time."""

from __future__ import annotations

import ctypes
import functools
import mmap
import time
from collections.abc import Callable
from typing import Any

from torch import Tensor

from .._tensors import address

_WORTH = 1 << 22  # bytes: a tensor of that size has at least one large page in it, wherever it starts
_LARGE_PAGE = 1 << 21
_ADVICE: Any = getattr(mmap, "MADV_HUGEPAGE", None)  # where Python knows it, the system does
_POPULATE = 23  # MADV_POPULATE_WRITE, Linux 5.14, which Python has no name for
_TRIED = 3  # pages that are timed
_SLOW = 1e-3  # seconds: one takes 0.3 ms to clear, and 1.1 ms by 4 kB; 3 ms where a virtual machine's host has to find it


class LargePages:
    """Asks for large pages while they come quickly: a virtual machine that lends its free memory to its host waits for them longest."""

    def __init__(self) -> None:
        self._advise = _madvise()
        self._tried: list[float] = []

    def ask_for(self, tensor: Tensor) -> None:
        """Tell the system that a tensor's memory is wanted in large pages, where that pays; nothing else changes."""
        if self._advise is None or tensor.device.type != "cpu" or tensor.nbytes < _WORTH:
            return
        if not address(tensor):  # a wrapper's memory is not its own
            return
        storage = tensor.untyped_storage()
        begin = -(-storage.data_ptr() // _LARGE_PAGE) * _LARGE_PAGE
        end = (storage.data_ptr() + storage.nbytes()) // _LARGE_PAGE * _LARGE_PAGE
        if begin >= end or self._advise(begin, end - begin, _ADVICE) != 0:  # the kernel has none
            return
        if len(self._tried) < _TRIED:
            start = time.perf_counter()
            known = self._advise(begin, _LARGE_PAGE, _POPULATE) == 0
            self._tried.append(time.perf_counter() - start if known else 0.0)
            if len(self._tried) == _TRIED and min(self._tried) > _SLOW:
                self._advise = None


@functools.cache
def _madvise() -> Callable[[int, int, int], int] | None:
    if _ADVICE is None:
        return None
    found = ctypes.CDLL(None).madvise
    found.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return found
