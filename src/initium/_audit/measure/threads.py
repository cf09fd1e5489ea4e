"""Large tensors are shared out among threads, each measured by one: torch's own sharing out costs more than pieces this small take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from ..._execute import one_thread

R = TypeVar("R")
_LARGE = 1 << 18  # elements


def mapped(function: Callable[[Tensor], R], tensors: Sequence[Tensor]) -> list[R]:
    """``[function(one) for one in tensors]``; the result of one tensor does not depend on the number of threads."""
    workers = torch.get_num_threads()
    large = [i for i, one in enumerate(tensors) if type(one) is Tensor and one.is_cpu and one.numel() >= _LARGE]
    with one_thread():
        found: dict[int, R] = {}
        if workers > 1 and len(large) > 1:
            with ThreadPoolExecutor(workers) as pool:
                found = dict(zip(large, pool.map(function, [tensors[i] for i in large]), strict=True))
        return [found[i] if i in found else function(one) for i, one in enumerate(tensors)]
