"""What a backend is: something that fills rows of real floating tensors with a law's values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from torch import Tensor

from .._laws import Law
from .._stream import Key
from .._tuples import from_fields


class Job(NamedTuple):
    """One fill: element (r, c) of ``out`` gets the value of address ``start + r · stride + c``.

    Args:
        out: a real floating tensor with memory behind it: 1-D or 2-D of any strides, or contiguous of any shape where stride is 0.
        law: what to draw; never a Constant of another kind than ``out`` holds.
        key: the stream.
        start: the address (flat index in the whole tensor) of the first element, ≥ 0.
        stride: addresses from one row to the next; 0 for one run.
    """

    out: Tensor
    law: Law
    key: Key
    start: int = 0
    stride: int = 0


as_job = from_fields(Job)


@dataclass(eq=False)
class Alike:
    """Whole tensors of one dtype and shape that get one law, each from the stream of its own name.

    Args:
        law: what to draw.
        outs: ordinary tensors (``_tensors.is_ordinary``).
        names: whose streams they get.
    """

    law: Law
    outs: list[Tensor] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


class Backend(Protocol):
    """Fills jobs. All backends give the same bits; they differ in speed and in the devices they serve."""

    name: str

    def serves(self, tensor: Tensor) -> bool:
        """Whether it can write this tensor."""
        ...

    def fill(self, jobs: Sequence[Job]) -> None:
        """Run the jobs; their outputs do not overlap."""
        ...
