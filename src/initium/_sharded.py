"""Sharded tensors: a shard -> which elements of the whole tensor it holds."""

from __future__ import annotations

from torch import Tensor

from ._regions import Region


def located(tensor: Tensor) -> tuple[Tensor, Region | None]:
    """The memory to write, and the region of the whole tensor that it holds (None: all of it)."""
    return tensor.detach(), None
