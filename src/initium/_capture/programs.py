"""Contents become programs: what fills a tensor, as frozen data. Whose stream a draw has, ``homes.py`` says.

A law stays a law where a tensor holds the draw as it is, boxes written into it become
``Blocks``, a copy is ``Renamed``, and everything else is ``Computed`` by the operations that the constructor asked for.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .. import _laws as laws
from .._errors import PlanError
from .._programs import At, Blocks, Computed, Given, Leaf, Made, Program, Renamed, Step, packed
from .fold import settled_law
from .homes import Held, Home, Homes, Place, index_of, place_of, row_major, stays
from .values import Done, Draw, Drawn, Fill, Known, Nothing, Read, Result, State, View, What


class _NoBlocksError(Exception):
    """The writes are no boxes, or what lies under them cannot be cut."""


class Translator:
    """From contents to programs, for one set of homes."""

    def __init__(self, homes: Homes, loose: set[int] | frozenset[int] = frozenset()) -> None:
        self._homes, self._loose = homes, loose

    def tensor(self, one: Held) -> Program:
        """What fills a named tensor."""
        state = one.state
        if state.under is None:
            what = state.what
            if isinstance(what, Drawn) and what.draw.ordinal in self._loose and not state.view.is_same_order(one.view):
                return settled_law(what.law)
            if state.view.is_same_order(one.view):
                return self.what(what, one.name, one.view.shape, one.view.dtype, (one.view.shape, 0))
        else:
            try:
                return self._blocks(one)
            except _NoBlocksError:
                pass
        return _Steps(self).program_of(state, one.view)

    def what(self, what: What, name: str, shape: tuple[int, ...], dtype: torch.dtype, place: Place | None) -> Program:
        """What fills the box ``place`` of the named tensor (None: no tensor's) with a content of the box's shape."""
        if isinstance(what, Drawn):
            home = self.home(what.draw)
            law = settled_law(what.law)
            whole_here = place is not None and place == (shape, 0)
            if home.tag == "values" and home.name == name and place is not None and place == home.place:
                return law
            if (
                home.is_whole
                and (place is None or whole_here)
                and math.prod(home.shape) == math.prod(shape)
                and stays(what, shape)
            ):
                return Renamed(home.name, law, home.tag)
            return _Steps(self).program(what, shape, dtype)
        if isinstance(what, Fill):
            return laws.Constant(what.value)
        if isinstance(what, Known):
            return Given(what.values.reshape(shape))
        return _Steps(self).program(what, shape, dtype)

    def home(self, draw: Draw) -> Home:
        """A draw's home; one of its own where no tensor holds it."""
        found = self._homes.get(draw.ordinal)
        return found if found is not None else Home(f"#{draw.ordinal}", "values", (draw.numel,), ((draw.numel,), 0))

    def _blocks(self, one: Held) -> Program:
        lowest, *above = one.state.writes()
        if not lowest.view.is_same_order(one.view) or isinstance(lowest.what, Nothing):
            raise _NoBlocksError
        program = self.what(lowest.what, one.name, one.view.shape, one.view.dtype, (one.view.shape, 0))
        if len(above) > 64:
            raise _NoBlocksError
        for write in above:
            place = place_of(write.view, one.view)
            if place is None or isinstance(write.what, Nothing):
                raise _NoBlocksError
            shape, offset = place
            inner = self.what(write.what, one.name, shape, one.view.dtype, place)
            low = index_of(offset, row_major(one.view.shape))
            program = overlaid(program, one.view.shape, low, list(shape), inner)
        return program


_WHERE = frozenset({"device", "pin_memory", "layout", "non_blocking"})  # a computation runs on the CPU


def overlaid(base: Program, shape: tuple[int, ...], low: list[int], extent: list[int], inner: Program) -> Program:
    """``base`` with the box at ``low`` replaced by ``inner``."""
    axis = next((a for a, size in enumerate(shape) if extent[a] != size), None)
    if axis is None:
        return inner
    start, size = low[axis], extent[axis]
    middle_shape = (*shape[:axis], size, *shape[axis + 1 :])
    middle = overlaid(
        _cut(base, axis, start, size),
        middle_shape,
        [*low[:axis], 0, *low[axis + 1 :]],
        [*extent[:axis], size, *extent[axis + 1 :]],
        inner,
    )
    after = shape[axis] - start - size
    parts: list[tuple[int, Program]] = []
    for length, piece in ((start, (0, start)), (size, None), (after, (start + size, after))):
        if length:
            found = middle if piece is None else _cut(base, axis, *piece)
            parts += found.parts if isinstance(found, Blocks) and found.axis == axis else [(length, found)]
    return packed(axis, parts)


def _cut(program: Program, axis: int, start: int, size: int) -> Program:
    """A part of a program along an axis; laws go by addresses of the whole tensor, so they stay as they are."""
    if isinstance(program, laws.Law):
        return program
    if isinstance(program, Renamed) and isinstance(program.program, laws.Law):
        return program
    if isinstance(program, Given):
        return Given(program.values.narrow(axis, start, size))
    if isinstance(program, Blocks):
        if program.axis != axis:
            return Blocks(program.axis, tuple((length, _cut(part, axis, start, size)) for length, part in program.parts))
        parts, place = [], 0
        for length, part in program.parts:
            first, last = max(start, place), min(start + size, place + length)
            if first < last:
                part = part if last - first == length else _cut(part, axis, first - place, last - first)
                parts.append((last - first, part))
            place += length
        return packed(axis, parts)
    raise _NoBlocksError


class _Steps:
    """Builds one ``Computed``: each content and operation once."""

    def __init__(self, translator: Translator) -> None:
        self._translator = translator
        self._steps: list[Leaf | Step] = []
        self._known: dict[int, At] = {}
        self._alive: list[object] = []  # keeps what the ids in _known mean

    def program(self, what: What, shape: tuple[int, ...], dtype: torch.dtype) -> Program:
        out = self._what(what, shape, dtype)
        return Computed(tuple(self._steps), out)

    def program_of(self, state: State, view: View) -> Program:
        out = self._read(state, view)
        return Computed(tuple(self._steps), out)

    def _step(self, op: str, *args: Any) -> At:
        self._steps.append(Step(op, args))
        return At(len(self._steps) - 1)

    def _leaf(self, program: Program, shape: tuple[int, ...]) -> At:
        self._steps.append(Leaf(program, shape))
        return At(len(self._steps) - 1)

    def _what(self, what: What, shape: tuple[int, ...], dtype: torch.dtype) -> At:
        if isinstance(what, Drawn):
            return self._drawn(what, shape)
        if isinstance(what, Known):
            return self._leaf(Given(what.values.reshape(shape)), shape)
        if isinstance(what, (Fill, Nothing)):
            value = what.value if isinstance(what, Fill) else 0
            return self._leaf(Given(torch.full((), value, dtype=dtype).expand(shape)), shape)
        if isinstance(what, Result):
            return self._shaped(At(self._done(what.done).index, what.item), shape)
        return self._shaped(self._read(what.state, what.view), shape)

    def _shaped(self, at: At, shape: tuple[int, ...]) -> At:
        return self._step("aten.reshape.default", at, shape)

    def _drawn(self, drawn: Drawn, shape: tuple[int, ...]) -> At:
        known = self._known.get(id(drawn))
        home = self._translator.home(drawn.draw)
        if known is None:
            self._alive.append(drawn)
            law, whole = settled_law(drawn.law), home.shape
            if isinstance(law, (Made, Blocks)):
                box, offset = home.place
                if home.is_whole:
                    whole = home.shape if len(home.shape) > 1 else drawn.shape
                else:  # made in its box, which is the rows that it draws
                    law = overlaid(laws.Constant(0.0), whole, index_of(offset, row_major(whole)), list(box), law)
            known = self._known[id(drawn)] = self._leaf(Renamed(home.name, law, home.tag), whole)
        if home.is_whole:
            return self._shaped(known, shape)
        box, offset = home.place
        flat = self._step("aten.as_strided.default", known, box, row_major(home.shape), offset)
        return self._shaped(flat, shape)

    def _done(self, done: Done) -> At:
        known = self._known.get(id(done))
        if known is None:
            self._alive.append(done)
            args = tuple(self._argument(said) for said in done.args)
            kwargs = tuple((name, self._argument(said)) for name, said in done.kwargs.items() if name not in _WHERE)
            name = f"{done.op.namespace}.{done.op.__name__}"
            self._steps.append(Step(name, args, kwargs, done.changes, str(done.site)))
            known = self._known[id(done)] = At(len(self._steps) - 1)
        return known

    def _argument(self, said: Any) -> Any:
        if isinstance(said, Read):
            return self._read(said.state, said.view)
        if isinstance(said, Known):
            return self._leaf(Given(said.values), tuple(said.values.shape))
        if isinstance(said, (Drawn, Fill, Result)):
            raise AssertionError("an argument is a Read or Known")
        if isinstance(said, (list, tuple)):
            return tuple(self._argument(part) for part in said)
        if isinstance(said, Tensor):
            raise AssertionError("a tensor was left in the record")
        return said

    def _read(self, state: State, view: View) -> At:
        if state.under is None and state.view.is_same_order(view):
            return self._what(state.what, view.shape, view.dtype)
        flat = self._flat(state)
        return self._step("aten.as_strided.default", flat, view.shape, view.stride, view.offset)

    def _flat(self, state: State) -> At:
        """The storage's elements in memory order."""
        known = self._known.get(id(state))
        if known is not None:
            return known
        writes = state.writes()
        first = next((place for place in range(len(writes) - 1, -1, -1) if id(writes[place]) in self._known), -1)
        flat = self._known[id(writes[first])] if first >= 0 else None
        for write in writes[first + 1 :]:
            if write.view.dtype != state.view.dtype:
                raise PlanError(
                    f"a storage is written as {write.view.dtype} and as {state.view.dtype}: capture does not follow that"
                )
            value = self._what(write.what, write.view.shape, write.view.dtype)
            if flat is None and write.view.is_contiguous:
                flat = self._shaped(value, (write.view.numel,))
            else:
                if flat is None:
                    flat = self._leaf(
                        Given(torch.zeros((), dtype=write.view.dtype).expand(write.view.numel)), (write.view.numel,)
                    )
                flat = self._step(
                    "aten.as_strided_scatter.default", flat, value, write.view.shape, write.view.stride, write.view.offset
                )
            self._alive.append(write)
            self._known[id(write)] = flat
        assert flat is not None
        return flat
