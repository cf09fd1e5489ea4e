"""Repeated: initializers without chance, whose last axes are worked out and repeated along the others."""

from __future__ import annotations

from torch import Tensor

from .._fans import Layout
from .._programs import Draw
from ._base import Initializer


class Repeated(Initializer):
    """Base of those: a subclass says ``pattern``, in fp64, of a shape that expands to the tensor's."""

    random = False

    def pattern(self, shape: tuple[int, ...]) -> Tensor:
        """What is repeated, for a tensor of this shape."""
        raise NotImplementedError(f"{type(self).__name__} defines no pattern")

    def moments(self, shape: tuple[int, ...], layout: Layout) -> tuple[float, float]:
        one = self.pattern(shape)
        return float(one.mean()), float(one.std(correction=0))

    def make(self, shape: tuple[int, ...], layout: Layout, draw: Draw) -> Tensor:
        return self.pattern(shape).expand(shape).clone()
