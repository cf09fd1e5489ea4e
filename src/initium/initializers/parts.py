"""Parts: rows or gates of a tensor that get something of their own, over what the whole tensor gets."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .. import _laws as laws
from .._errors import ArgumentError
from .._fans import Layout
from .._programs import Blocks, Given, Made, Program, packed
from ._base import Initializer, as_initializer


class Range(NamedTuple):
    """A range along an axis that a selector stands for, the logical weight it belongs to, and that weight's layout."""

    axis: int
    start: int
    stop: int
    shape: tuple[int, ...]
    layout: Layout


@dataclass(frozen=True)
class Parts(Initializer):
    """What a tensor gets, and what parts of it get instead; later parts go over earlier ones. Rules with ``rows=`` or ``gates=`` make it.

    Elements outside the parts have the very values that ``base`` alone would give them.

    Use when: you write an initializer rather than rules; rules with ``rows=`` and ``gates=`` make it for you.
    Not when: one law does for the whole tensor.

    Args:
        base: for the whole tensor; None where the parts cover all of it.
        over: (selector, initializer) pairs; a selector is ``"2:5"``, rows along axis 0, or names of packed blocks, ``"i,f"``.
            Gates are logical weights with fans of their own; rows have the fan_in of the whole and their own number as fan_out.

    Raises:
        ArgumentError: rows out of range, no such gates, an element that nothing is said of, or rows of a base that is made
            whole (orthogonal rows cannot be cut).

    Example:
        >>> Parts(0, (("1:3", 5),))(4)
        tensor([0., 5., 5., 0.])
    """

    name = "parts"

    base: Initializer | None = None
    over: tuple[tuple[str, Initializer], ...] = ()

    def __post_init__(self) -> None:
        if self.base is not None:
            object.__setattr__(self, "base", as_initializer(self.base))
        try:
            over = tuple((str(selector), as_initializer(said)) for selector, said in self.over)
        except (TypeError, ValueError) as error:
            if isinstance(error, ArgumentError):
                raise
            raise ArgumentError(f"parts expects pairs of a selector and an initializer, got {self.over!r}") from None
        object.__setattr__(self, "over", over)

    def each(self, change: Callable[[Initializer], Initializer | None]) -> Parts:
        """The same with every initializer in it changed; a base that changes to None is gone."""
        base = None if self.base is None else change(self.base)
        over = tuple((selector, changed) for selector, said in self.over if (changed := change(said)) is not None)
        return Parts(base, over)

    def bound(self, names: dict[str, float]) -> Initializer:
        return self.each(lambda initializer: initializer.bound(names))

    def names(self) -> frozenset[str]:
        return frozenset().union(*(initializer.names() for initializer in self.held()))

    def held(self) -> list[Initializer]:
        return [initializer for _, initializer in self.over] + ([] if self.base is None else [self.base])

    def program(self, shape: tuple[int, ...], layout: Layout) -> Program:
        whole: Program = _NOTHING if self.base is None else self.base.program(shape, layout)
        for selector, initializer in self.over:
            for place in ranges(selector, shape, layout):
                part = initializer.program(place.shape, place.layout)
                if place.shape[place.axis] != place.stop - place.start and not _elementwise(part):
                    raise ArgumentError(
                        f"{initializer} makes a gate whole, and the gate {selector} lies in several pieces here"
                    )
                if isinstance(part, Given):
                    part = _cut(part, place.shape, place.axis, 0, place.stop - place.start)
                whole = _laid_over(whole, shape, place, part)
        if _has_nothing(whole):
            raise ArgumentError("parts of the tensor are claimed by no rule: say what the whole tensor gets in an earlier rule")
        return whole

    def __str__(self) -> str:
        parts = [str(self.base)] if self.base is not None else []
        return ", ".join([*parts, *(f"{selector.replace(',', '')}: {said}" for selector, said in self.over)])


_NOTHING = laws.Constant(math.nan)  # what no rule has claimed yet


def ranges(selector: str, shape: tuple[int, ...], layout: Layout) -> Iterator[Range]:
    """Where the parts that a selector means lie in a tensor of this shape."""
    low, colon, high = selector.partition(":")
    if colon:
        yield _rows(selector, low, high, shape, layout)
        return
    wanted = [name.strip() for name in selector.split(",")]
    lacking = [name for name in wanted if name not in layout.block_names]
    if lacking:
        known = f"its blocks are {', '.join(layout.block_names)}" if layout.block_names else "it is not packed"
        raise ArgumentError(f"the tensor of shape {shape} has no gate {', '.join(lacking)}: {known}")
    shapes = layout.block_shapes(shape)
    lone = dataclasses.replace(layout, blocks=(), block_names=(), repeats=1, zero_rows=())
    axis, start = layout.block_axis % len(shape), 0
    for block, size in layout.pieces():
        if layout.block_names[block] in wanted:
            yield Range(axis, start, start + size, shapes[block], lone)
        start += size


def _rows(selector: str, low: str, high: str, shape: tuple[int, ...], layout: Layout) -> Range:
    if not shape:
        raise ArgumentError(f"rows {selector} of a tensor without dimensions: it has no rows")
    try:
        start, stop, _ = slice(int(low) if low.strip() else None, int(high) if high.strip() else None).indices(shape[0])
        inside = all(not end.strip() or -shape[0] <= int(end) <= shape[0] for end in (low, high))
    except ValueError:
        raise ArgumentError(f"rows are a range such as '0:64', not {selector!r}") from None
    if not inside or start >= stop:
        raise ArgumentError(f"rows {selector} are not rows of a tensor of shape {shape}: they go from 0 to {shape[0]}")
    zero = tuple(row - start for row in layout.zero_rows if start <= row < stop)
    said = layout.fans(layout.block_shapes(shape)[0]) if layout.groups > 1 else layout.said
    inner = dataclasses.replace(layout, blocks=(), block_names=(), repeats=1, groups=1, zero_rows=zero, said=said)
    return Range(0, start, stop, (stop - start, *shape[1:]), inner)


def _laid_over(whole: Program, shape: tuple[int, ...], place: Range, part: Program) -> Program:
    axis, extent = place.axis, shape[place.axis]
    pieces: list[tuple[int, Program]] = [(place.stop - place.start, part)]
    if place.start:
        pieces.insert(0, (place.start, _cut(whole, shape, axis, 0, place.start)))
    if place.stop < extent:
        pieces.append((extent - place.stop, _cut(whole, shape, axis, place.stop, extent)))
    flat: list[tuple[int, Program]] = []
    for size, program in pieces:
        flat += program.parts if isinstance(program, Blocks) and _along(program, axis) else ((size, program),)
    return packed(axis, flat)


def _along(program: Program, axis: int) -> bool:
    return isinstance(program, Blocks) and program.axis == axis


def _cut(program: Program, shape: tuple[int, ...], axis: int, start: int, stop: int) -> Program:
    """The program for a range of the tensor; values stay where they were, since each element is drawn by its place in the whole."""
    if start == 0 and stop == shape[axis]:
        return program
    if isinstance(program, Given):
        return Given(program.values.narrow(axis, start, stop - start))
    if isinstance(program, Blocks) and program.axis == axis:
        kept: list[tuple[int, Program]] = []
        place = 0
        for size, inner in program.parts:
            low, high = max(start - place, 0), min(stop - place, size)
            if low < high:
                inner_shape = (*shape[:axis], size, *shape[axis + 1 :])
                kept.append((high - low, _cut(inner, inner_shape, axis, low, high)))
            place += size
        return packed(axis, kept)
    if isinstance(program, Blocks):
        parts = []
        for size, inner in program.parts:
            inner_shape = (*shape[: program.axis], size, *shape[program.axis + 1 :])
            parts.append((size, _cut(inner, inner_shape, axis, start, stop)))
        return packed(program.axis, parts)
    if not _elementwise(program):
        what = program.maker if isinstance(program, Made) else "a computation"
        raise ArgumentError(
            f"{what} makes the whole of what a part is to be cut from: say gates=, or something elementwise for the whole"
        )
    return program


def _elementwise(program: Program) -> bool:
    return isinstance(program, (laws.Constant, laws.Uniform, laws.Normal, laws.TruncNormal, Given)) or (
        isinstance(program, Blocks) and all(_elementwise(part) for _, part in program.parts)
    )


def _has_nothing(program: Program) -> bool:
    if isinstance(program, Blocks):
        return any(_has_nothing(part) for _, part in program.parts)
    return program is _NOTHING
