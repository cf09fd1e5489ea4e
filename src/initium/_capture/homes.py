"""Homes: which tensor's stream each draw of a constructor has.

A draw's home is the first tensor that holds it as it is, whole or in a box; failing that, the first that it had a part in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .._programs import Blocks, Made
from ..initializers import Orthogonal
from .values import Draw, Drawn, Read, Result, State, View, What, leaves

Place = tuple[tuple[int, ...], int]
"""(shape, flat offset) of a box in a whole row-major tensor."""


class Home(NamedTuple):
    """Whose stream a draw has: a tensor's name, a tag, that tensor's shape, and the box of it that the draw fills."""

    name: str
    tag: str
    shape: tuple[int, ...]
    place: Place

    @property
    def is_whole(self) -> bool:
        return self.place == (self.shape, 0)


Homes = Mapping[int, Home]  # by the draw's ordinal


class Held(NamedTuple):
    """A named tensor at the end of the constructor."""

    name: str
    state: State
    view: View


def homes_of(held: list[Held]) -> tuple[dict[int, Home], set[int]]:
    """(each draw's home, the draws whose elements a tensor shows in another order, which for them is the same law)."""
    users: dict[int, set[str]] = {}
    draws = [(one, list(draws_in(one.state))) for one in held if one.state.random]
    for one, found in draws:
        for draw in found:
            users.setdefault(draw.ordinal, set()).add(one.name)
    homes: dict[int, Home] = {}
    loose: set[int] = set()
    taken: set[str] = set()  # tensors whose own stream a draw has
    for one, found in draws:
        for drawn, place in _direct(one):
            if drawn.draw.ordinal not in homes:
                homes[drawn.draw.ordinal] = Home(one.name, "values", one.view.shape, place)
                taken.add(one.name)
        what = one.state.what
        if len(found) == 1 and isinstance(what, Drawn) and one.state.under is None and what.draw.ordinal not in homes:
            lone = len(users[what.draw.ordinal]) == 1 and not what.draw.forced and not one.view.repeats
            if lone and not isinstance(what.law, (Made, Blocks)):
                loose.add(what.draw.ordinal)
                homes[what.draw.ordinal] = Home(one.name, "values", one.view.shape, (one.view.shape, 0))
    for one, found in draws:
        count = 0
        for draw in found:
            if draw.ordinal in homes:
                continue
            tag = "values" if one.name not in taken and count == 0 else f"values/{count}"
            count += 1
            homes[draw.ordinal] = Home(one.name, tag, (draw.numel,), ((draw.numel,), 0))
    return homes, loose


def _direct(one: Held) -> Iterator[tuple[Drawn, Place]]:
    """The draws that a tensor holds as they are, whole or in boxes."""
    for write in one.state.writes():
        if isinstance(write.what, Drawn):
            place = place_of(write.view, one.view)
            if place is not None and stays(write.what, place[0]):
                yield write.what, place


def stays(drawn: Drawn, shape: tuple[int, ...]) -> bool:
    """Whether a draw is the same in a box of that shape: what is made whole depends on the shape that it was made in."""
    law = drawn.law
    if not isinstance(law, (Made, Blocks)) or drawn.shape == shape:
        return True
    rows = isinstance(law, Made) and isinstance(law.maker, Orthogonal)  # which flattens all axes but the first
    return rows and drawn.shape[:1] == shape[:1] and len(drawn.shape) > 1 and len(shape) > 1


def place_of(part: View, whole: View) -> Place | None:
    """Where a written view lies in a tensor, as a box in the same order; None where it does not."""
    if part.is_same_order(whole):
        return whole.shape, 0
    if not whole.is_contiguous or part.dtype != whole.dtype:
        return None
    offset = part.offset - whole.offset
    if not 0 <= offset <= whole.numel - part.numel:
        return None  # it reaches beyond the tensor, as a buffer does that several parameters are views of
    inner = whole.numel // whole.shape[0] if whole.shape and whole.shape[0] else 0
    if part.is_contiguous and inner and offset % inner == 0 and part.numel % inner == 0:
        return (part.numel // inner, *whole.shape[1:]), offset  # whole rows, whatever shape they were written in
    strides, extent = row_major(whole.shape), [1] * len(whole.shape)
    axis = 0
    for size, stride in zip(part.shape, part.stride, strict=True):
        if size == 1:
            continue
        while axis < len(strides) and (strides[axis] != stride or whole.shape[axis] == 1):
            axis += 1
        if axis == len(strides):
            return None
        extent[axis] = size
        axis += 1
    start = index_of(offset, strides)
    if any(low + size > total for low, size, total in zip(start, extent, whole.shape, strict=True)):
        return None
    return tuple(extent), offset


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * max(shape[axis + 1], 1)
    return tuple(strides)


def index_of(offset: int, strides: tuple[int, ...]) -> list[int]:
    index = []
    for stride in strides:
        place, offset = divmod(offset, stride)
        index.append(place)
    return index


def draws_in(root: State) -> Iterator[Draw]:
    """Every draw that had a part in a content, each once."""
    if root.under is None and isinstance(root.what, Drawn):  # as most are
        yield root.what.draw
        return
    met: set[int] = set()
    found: set[int] = set()
    todo: list[State | What] = [root]
    while todo:
        one = todo.pop()
        if isinstance(one, Drawn):
            if one.draw.ordinal not in found:
                found.add(one.draw.ordinal)
                yield one.draw
        elif isinstance(one, State):
            if one.random and id(one) not in met:
                met.add(id(one))
                todo.append(one.what)
                if one.under is not None:
                    todo.append(one.under)
        elif isinstance(one, Read):
            todo.append(one.state)
        elif isinstance(one, Result) and id(one.done) not in met:
            met.add(id(one.done))
            todo.extend(leaves(one.done))
