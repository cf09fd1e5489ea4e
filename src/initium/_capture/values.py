"""What a captured tensor holds, without holding it: contents of a storage as writes upon writes, immutable, so that a copy is a pointer.

A ``State`` is one write and what lay under it. A write that covers its storage has nothing under it: what was there is forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .._programs import Program
from .._tuples import from_fields
from ..initializers import Initializer
from .sites import Site


class View(NamedTuple):
    """Which elements of a storage a tensor shows; strides and offset in elements."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: Tensor) -> View:
        return _as_view((tuple(tensor.shape), tensor.stride(), tensor.storage_offset(), tensor.dtype))

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def is_contiguous(self) -> bool:
        """Whether flat order is memory order."""
        expected = 1
        for size, stride in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if size != 1 and stride != expected:
                return False
            expected *= size
        return True

    @property
    def repeats(self) -> bool:
        """Whether elements are shown more than once, as by ``expand``."""
        return any(stride == 0 and size > 1 for size, stride in zip(self.shape, self.stride, strict=True))

    def is_same_order(self, other: View) -> bool:
        """Whether both show the same elements in the same flat order."""
        if self.numel != other.numel or self.offset != other.offset or self.dtype != other.dtype:
            return False
        same = self.shape == other.shape and self.stride == other.stride
        return same or (self.is_contiguous and other.is_contiguous)


_as_view = from_fields(View)


class Draw:
    """One draw of the constructor: its identity, so that copies of a tensor know each other."""

    __slots__ = ("forced", "numel", "ordinal", "site")

    def __init__(self, ordinal: int, numel: int, site: Site) -> None:
        self.ordinal, self.numel, self.site = ordinal, numel, site
        self.forced = False  # whether its values were read while the constructor ran


class Cut(NamedTuple):
    """N(loc, sigma²) cut to [low, high], before its numbers are worked out: that takes a millisecond."""

    loc: float
    sigma: float
    low: float
    high: float


class Drawn:
    """A draw's values, by ``law`` (a scaled copy has another law and the same draw)."""

    __slots__ = ("draw", "law", "said", "shape")

    def __init__(self, draw: Draw, law: Program | Cut, said: Initializer | None, shape: tuple[int, ...]) -> None:
        self.draw, self.law, self.said, self.shape = draw, law, said, shape


@dataclass(frozen=True, eq=False)
class Fill:
    """One number everywhere."""

    value: float | complex
    said: Initializer | None = None


@dataclass(frozen=True, eq=False)
class Known:
    """Values that are there, in the shape of the view they are written to; nobody else writes to this tensor."""

    values: Tensor


@dataclass(frozen=True, eq=False)
class Nothing:
    """Memory that nobody has filled."""


@dataclass(frozen=True, eq=False)
class Done:
    """One operation that was not run: whose results other contents are.

    Args:
        op: the operator.
        args, kwargs: its arguments, tensors as ``Read`` or ``Known``.
        changes: positions of the arguments that it writes to.
        site: who asked for it.
    """

    op: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    changes: tuple[int | str, ...]
    site: Site


@dataclass(frozen=True, eq=False)
class Result:
    """Result ``item`` of an operation that was not run."""

    done: Done
    item: int


@dataclass(frozen=True, eq=False)
class Read:
    """What a view of a storage held at one moment."""

    state: State
    view: View


What = Drawn | Fill | Known | Nothing | Result | Read


class State:
    """The content of a storage after one write."""

    __slots__ = ("random", "undefined", "under", "view", "what", "what_undefined", "written")

    def __init__(self, under: State | None, view: View, what: What) -> None:
        self.under, self.view, self.what = under, view, what
        random, undefined = (True, False) if what.__class__ is Drawn else _taint(what)
        # whether draws, and whether unfilled memory, had a part in it
        self.what_undefined = undefined
        # elements written above the lowest write, counted as often as they were written
        self.written: int = 0 if under is None else under.written + view.numel
        self.random: bool = random or (under is not None and under.random)
        self.undefined: bool = undefined or (under is not None and under.undefined)

    @property
    def symbolic(self) -> bool:
        """Whether its values cannot be computed without a key."""
        return self.random or self.undefined

    def writes(self) -> list[State]:
        """The writes from the lowest to the highest."""
        found: list[State] = []
        state: State | None = self
        while state is not None:
            found.append(state)
            state = state.under
        return found[::-1]


def _taint(what: What) -> tuple[bool, bool]:
    if isinstance(what, Drawn):
        return True, False
    if isinstance(what, Nothing):
        return False, True
    if isinstance(what, Read):
        return what.state.random, what.state.undefined
    if isinstance(what, Result):
        reads = [leaf for leaf in leaves(what.done) if isinstance(leaf, Read)]
        return any(read.state.random for read in reads), any(read.state.undefined for read in reads)
    return False, False


def leaves(done: Done) -> Iterator[Read | Known]:
    """The tensors that an operation takes."""
    for said in (*done.args, *done.kwargs.values()):
        if isinstance(said, (Read, Known)):
            yield said
        elif isinstance(said, (list, tuple)):
            yield from (part for part in said if isinstance(part, (Read, Known)))


def reading(state: State, view: View) -> What:
    """A view's content: the last write itself where that is what the view shows."""
    what = state.what
    if state.view.is_same_order(view) and isinstance(what, (Drawn, Result, Read, Fill)):
        return what
    return Read(state, view)
