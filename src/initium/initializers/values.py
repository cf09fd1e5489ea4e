"""Values: numbers that exist already."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from .._errors import ArgumentError, ArgumentTypeError
from .._fans import Layout
from .._programs import Given, Program
from ._base import Initializer


@dataclass(frozen=True, eq=False)
class Values(Initializer):
    """The given tensor, copied in; it must have the parameter's shape.

    Use when: you have the numbers: an embedding, a filter bank, another model's weight.
    Not when: the file is large: load a checkpoint, and fill the rest with ``plan.apply(model, only=…)``.

    Args:
        tensor: values of any dtype, converted to the parameter's when written.

    Raises:
        ArgumentError: the shapes differ.

    Example:
        >>> import torch
        >>> Values(torch.arange(3.0))(3)
        tensor([0., 1., 2.])
    """

    name = "values"

    tensor: Tensor = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.tensor, Tensor):
            raise ArgumentTypeError(f"values expects a tensor, got {type(self.tensor).__name__}: write torch.tensor(…)")
        object.__setattr__(self, "tensor", self.tensor.detach())

    def program(self, shape: tuple[int, ...], layout: Layout) -> Program:
        if tuple(self.tensor.shape) != tuple(shape):
            raise ArgumentError(f"values has shape {tuple(self.tensor.shape)}, the parameter {tuple(shape)}")
        return Given(self.tensor)

    def __str__(self) -> str:
        return f"values({'x'.join(map(str, self.tensor.shape))})"
