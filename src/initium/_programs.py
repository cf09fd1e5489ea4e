"""Programs: what fills one whole tensor, as frozen data.

A program is a law (elementwise: any part can be drawn alone), ``Blocks`` of programs packed along an axis, a ``Made`` tensor (computed
whole from draws), ``Given`` values, the values of another tensor's stream (``Renamed``), or what a model's own code computes from all
of these (``Computed``). ``_execute.py`` runs them; nothing here touches a tensor's memory except ``Maker.make``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from torch import Tensor

from . import _laws as laws
from ._fans import Layout

Draw = Callable[[laws.Law, str], Tensor]
"""draw(law, tag): fp32 values of the block's own addresses, in the block's shape, on the CPU."""


class Maker(Protocol):
    """An initializer that computes its tensor whole."""

    random: ClassVar[bool]

    def make(self, shape: tuple[int, ...], layout: Layout, draw: Draw) -> Tensor:
        """The block's values, fp64 or fp32, on the CPU."""
        ...

    def moments(self, shape: tuple[int, ...], layout: Layout) -> tuple[float | None, float | None]:
        """Mean and std over the block's elements; None where no formula gives them."""
        ...


@dataclass(frozen=True)
class Made:
    """A block computed whole by ``maker``: exact to 1e-6 everywhere rather than to the bit where ``exact`` is False."""

    maker: Maker
    layout: Layout
    mean: float | None
    std: float | None
    exact: bool = True


@dataclass(frozen=True)
class Blocks:
    """Programs packed along ``axis``: ``parts`` are (size, program), sizes adding up to the axis."""

    axis: int
    parts: tuple[tuple[int, Program], ...]

    @property
    def mean(self) -> float | None:
        return mixed(self.parts)[0]

    @property
    def std(self) -> float | None:
        return mixed(self.parts)[1]


@dataclass(frozen=True, eq=False)
class Given:
    """Values that are there already, in the tensor's shape."""

    values: Tensor = field(repr=False)

    @property
    def mean(self) -> float | None:
        return float(self.values.double().mean()) if self._measurable else None

    @property
    def std(self) -> float | None:
        return float(self.values.double().std(correction=0)) if self._measurable else None

    @property
    def _measurable(self) -> bool:
        return self.values.numel() > 0 and self.values.is_floating_point() and not self.values.is_meta

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Given) and self.values.shape == other.values.shape and bool((self.values == other.values).all())
        )

    def __hash__(self) -> int:
        return hash((tuple(self.values.shape), self.values.dtype))


@dataclass(frozen=True)
class Renamed:
    """What ``program`` gives on another tensor's stream: a copy of a drawn tensor has the original's values, or its law scaled.

    Args:
        name: the full name whose stream it is.
        program: elementwise on that tensor's addresses.
        tag: of the stream; another one than ``"values"`` where a tensor is computed from several draws.
    """

    name: str
    program: Program
    tag: str = "values"

    @property
    def mean(self) -> float | complex | None:
        return self.program.mean

    @property
    def std(self) -> float | None:
        return self.program.std

    def tag_of(self, tag: str) -> str:
        """The tag on the other stream that stands for ``tag``."""
        if self.tag == "values":
            return tag
        return self.tag if tag == "values" else f"{self.tag}/{tag}"


@dataclass(frozen=True)
class At:
    """An argument of a step: result ``item`` of step ``index``."""

    index: int
    item: int = 0


@dataclass(frozen=True)
class Leaf:
    """Where a computation starts: what a program gives for a tensor of ``shape``."""

    program: Program
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One operation of a computation.

    Args:
        op: as torch names it: ``"aten.mul.Tensor"``.
        args, kwargs: plain values, dtypes, and ``At`` for tensors; lists are tuples.
        changes: positions of the arguments that it writes to; then these are its results, else what it returns is.
        code: ``file:line function`` of the code that asked for it.
    """

    op: str
    args: tuple[Any, ...]
    kwargs: tuple[tuple[str, Any], ...] = ()
    changes: tuple[int | str, ...] = ()
    code: str = field(default="", compare=False)


@dataclass(frozen=True)
class Computed:
    """The result ``out`` of steps that a model's own code takes, in fp64 and in one thread: exact to 1e-6 everywhere."""

    steps: tuple[Leaf | Step, ...]
    out: At
    mean: float | None = None
    std: float | None = None


Program = laws.Law | Made | Blocks | Given | Renamed | Computed


def mixed(parts: Sequence[tuple[int, Any]]) -> tuple[float | None, float | None]:
    """Mean and std of the union of the parts; None where one of them does not know its own."""
    if any(program.mean is None or program.std is None for _, program in parts):
        return None, None
    total = sum(size for size, _ in parts)
    mean = sum(size * program.mean for size, program in parts) / total
    square = sum(size * (program.std**2 + abs(program.mean) ** 2) for size, program in parts) / total
    return mean, math.sqrt(max(square - abs(mean) ** 2, 0.0))


def packed(axis: int, parts: list[tuple[int, Program]]) -> Program:
    """``Blocks``, or the one law that all parts share; parts of size 0 fall away."""
    parts = [(size, program) for size, program in parts if size > 0]
    first = parts[0][1]
    if len(parts) == 1 or (isinstance(first, laws.Law) and all(program == first for _, program in parts)):
        return first
    return Blocks(axis, tuple(parts))


def is_random(program: Program) -> bool:
    """Whether anything in it is drawn."""
    if isinstance(program, Blocks):
        return any(is_random(part) for _, part in program.parts)
    if isinstance(program, Made):
        return program.maker.random
    if isinstance(program, Renamed):
        return is_random(program.program)
    if isinstance(program, Computed):
        return any(isinstance(step, Leaf) and is_random(step.program) for step in program.steps)
    return not isinstance(program, (laws.Constant, Given))
