"""The end of a recorded constructor: what every parameter and buffer of the model holds, as the rows of a plan."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .. import _laws as laws
from .._entry import OWN, Decision, Row, as_row
from .._inventory import Inventory, Slot, inventory
from .._plan import Plan
from .._programs import Blocks, Computed, Given, Leaf, Made, Program, Renamed, Step, is_random
from ..initializers import Initializer, Values
from .fold import Recorded, initializer_of
from .homes import Held, homes_of
from .mode import Recorder
from .programs import Translator
from .records import Record, covers
from .sites import Site
from .values import Cut, Drawn, Fill, View, What

_COMPARED = 1 << 22  # elements up to which a tensor is looked through for being all the same


class Traced(NamedTuple):
    """A tensor of the model: its record, and what it holds where the memory does not say it."""

    slot: Slot
    record: Record | None
    held: Held | None


@dataclass
class Captured:
    """One recorded run: models, and what their tensors hold.

    Args:
        recorder: what recorded it.
        models: (prefix, model) of each root.
    """

    recorder: Recorder
    models: list[tuple[str, nn.Module]]
    inventories: list[Inventory] = field(default_factory=list)
    seconds: float | None = None

    def __post_init__(self) -> None:
        recorder = self.recorder
        events = len(recorder.events)
        with recorder:  # parametrised weights are computed anew here: recorded, not run
            self.inventories = [inventory(model) for _, model in self.models]
        del recorder.events[events:]
        for record in recorder.records.values():
            if record.shown is not None:
                _forget_if_written(record)
        self._traced = [[self._trace(slot, prefix) for slot in slots] for slots, prefix in self._slots()]
        self.homes, loose = homes_of([one.held for traced in self._traced for one in traced if one.held is not None])
        # what was looked at has the stream that it was drawn from: under its name only where a run before had found that
        pinned = {ordinal: recorder.translator.home(draw) for ordinal, draw in recorder.forced_draws.items()}
        self._translator = recorder.translator = Translator({**self.homes, **pinned}, loose)
        self._decisions: dict[tuple[Any, ...], Decision] = {}

    def plans(self, *, copied: bool) -> list[Plan]:
        """A plan for each model; ``copied`` where the models go on living with their memory."""
        notes = self._notes()
        return [
            Plan(
                [self._row(one, prefix, copied) for one in traced],
                self.recorder.seed,
                prefix=prefix,
                notes=notes,
                seconds=self.seconds,
            )
            for traced, (prefix, _) in zip(self._traced, self.models, strict=True)
        ]

    def owned(self) -> set[int]:
        """The storages that parameters and buffers of the models lie in."""
        return {slot.tensor.untyped_storage()._cdata for slots, _ in self._slots() for slot in slots if slot.computed is None}

    def settle_the_rest(self) -> None:
        """Fill what else is alive of what was recorded: tensors that belong to no model."""
        owned = self.owned()
        for identity, record in self.recorder.records.items():
            if record.fresh or record.state is None or identity in owned or record.state.undefined or record.weak.expired():
                continue
            storage = _storage(record)
            if storage is not None and storage.device.type != "meta":
                self.recorder.fill(record, storage)

    def _slots(self) -> Iterator[tuple[Iterable[Slot], str]]:
        for inv, (prefix, _) in zip(self.inventories, self.models, strict=True):
            yield inv.slots, prefix

    def _trace(self, slot: Slot, prefix: str) -> Traced:
        if slot.tied_to is not None or slot.computed is not None:
            return Traced(slot, None, None)
        record = self.recorder.record(slot.tensor)
        if record is None or record.state is None:
            return Traced(slot, record, None)
        return Traced(slot, record, Held(_stream_name(slot, prefix), record.state, View.of(slot.tensor)))

    def _row(self, one: Traced, prefix: str, copied: bool) -> Row:
        slot, record, held = one
        name = prefix + slot.name
        if slot.tied_to is not None:
            tied = Decision(slot.shape, slot.dtype, "tied", role=slot.role, rule=f"tied to {slot.tied_to}")
            return Row(name, slot.key, tied, prefix + slot.tied_to, slot.is_buffer, slot.persistent)
        if slot.computed is not None:
            first = prefix + _below(slot, slot.computed.originals[0])
            derived = Decision(
                slot.shape, slot.dtype, "derived", role=slot.role, rule=f"computed from {', '.join(slot.computed.originals)}"
            )
            return Row(name, slot.key, derived, first, slot.is_buffer, slot.persistent)
        program: Program | None = None
        said: Initializer | None = None
        if record is None or held is None:
            program = None if slot.tensor.is_meta else _from_memory(slot.tensor, copied)
        elif not held.state.undefined:
            program, said = self._from_record(held, name, record, slot.tensor)
        kind, related = _kind(program, name)
        decision = self._decision(slot, kind, program, said, record, prefix)
        return as_row((name, slot.key, decision, related, slot.is_buffer, slot.persistent))

    def _decision(
        self, slot: Slot, kind: str, program: Program | None, said: Initializer | None, record: Record | None, prefix: str
    ) -> Decision:
        """The decision, shared by the tensors that look alike and come from the same lines; ``said``: what the constructor called."""
        key: tuple[Any, ...] | None = None
        if isinstance(program, laws.Law):  # what else there is has a tensor's own values or name in it
            history = () if record is None else (record.site, *[(site, *_identity(what)) for site, what in record.overridden])
            key = (id(program), id(said), history, slot.size, slot.dtype, id(slot.layout), slot.tensor.is_meta)
            found = self._decisions.get(key)
            if found is not None:
                return found
        source, overridden = _told(record)
        rule = "" if kind == "undefined" else OWN
        note = (
            f"a copy of {program.name}" if isinstance(program, Renamed) and program.name != _stream_name(slot, prefix) else ""
        )
        made = Decision(
            slot.shape,
            slot.dtype,
            kind,
            said if said is not None or program is None else _shown(program),
            program,
            *_fans(slot),
            slot.role,
            rule,
            overridden,
            source,
            note,
            slot.tensor.is_meta,
        )
        if key is not None:
            self._decisions[key] = made
        return made

    def _from_record(self, held: Held, name: str, record: Record, tensor: Tensor) -> tuple[Program, Initializer | None]:
        state = held.state
        what = state.what
        program = self._program(held, record, tensor)
        if held.name != name and isinstance(program, (laws.Law, Made, Blocks)) and is_random(program):
            program = Renamed(held.name, program)
        return program, what.said if state.under is None and isinstance(what, (Drawn, Fill)) else None

    def _program(self, held: Held, record: Record, tensor: Tensor) -> Program:
        state = held.state
        if state.under is None and isinstance(state.what, Fill):
            return self.recorder.law(laws.Constant, state.what.value)
        if state.random or tensor.is_meta:
            return self._translator.tensor(held)
        if not record.fresh:
            if tensor.numel() > _COMPARED:  # constants in boxes, perhaps: then nothing of that size is touched
                program = self._translator.tensor(held)
                if not isinstance(program, Computed):
                    return program
            self.recorder.fill(record, tensor.untyped_storage())
        return _constant_or_given(tensor.detach().clone())

    def _notes(self) -> tuple[str, ...]:
        recorder = self.recorder
        notes = []
        kept = 0
        for traced in self._traced:
            for one in traced:
                if one.held is not None and one.held.state.random:
                    kept += one.held.view.numel
        vain = recorder.drawn_elements - kept
        if vain > 0 and kept:
            notes.append(f"the constructor would have drawn {recorder.drawn_elements:,} elements, {vain:,} of them in vain")
        if recorder.forced:
            first = recorder.forced[0]
            notes.append(
                f"the constructor reads values of its own draws ({first.what} at {first.site}): "
                f"what follows from those is fixed, and reseed() does not work it out anew"
            )
        return tuple(notes)


def _storage(record: Record) -> torch.UntypedStorage | None:
    """The storage that a record is of, if it is alive."""
    found: torch.UntypedStorage | None = torch.UntypedStorage._new_with_weak_ptr(record.weak.cdata)
    return found


def _forget_if_written(record: Record) -> None:
    """A numpy array of this storage was given out: if it was written through, only the memory knows what it holds."""
    storage = _storage(record)
    if storage is None or record.state is None or not record.fresh:
        return
    assert record.shown is not None
    shown = record.shown
    view = record.state.view
    now = torch.empty(0, dtype=shown.dtype).set_(storage, view.offset, view.shape, view.stride)
    if shown.shape == now.shape and not bool((shown == now).all()):
        record.state = None


def _stream_name(slot: Slot, prefix: str) -> str:
    """The name whose stream a tensor has: a single original has its logical weight's."""
    single = slot.derived_from is not None and slot.name.endswith(".original")
    return prefix + (slot.derived_from if single and slot.derived_from is not None else slot.name)


def _below(slot: Slot, original: str) -> str:
    return slot.name[: len(slot.name) - len(slot.local)] + original


def _kind(program: Program | None, name: str) -> tuple[str, str | None]:
    if program is None:
        return "undefined", None
    if isinstance(program, Computed):
        others = [
            step.program.name
            for step in program.steps
            if isinstance(step, Leaf)
            and isinstance(step.program, Renamed)
            and step.program.name != name
            and step.program.name[:1] != "#"
        ]
        if others:
            return "derived", others[0]
    return ("drawn" if is_random(program) else "constant"), None


def _from_memory(tensor: Tensor, copied: bool) -> Program:
    values = tensor.detach()
    if copied or not covers(values):
        values = values.clone()
    return _constant_or_given(values)


def _constant_or_given(values: Tensor) -> Program:
    if values.numel() == 0:
        return laws.Constant(0.0)
    if values.numel() <= _COMPARED and values.layout is torch.strided:
        first = values[(0,) * values.dim()]
        if bool((values == first).all()):
            return laws.Constant(first.item())
    return Given(values)


def _shown(program: Program) -> Initializer | None:
    """The initializer to show for a program that no init function's call says better."""
    if isinstance(program, Given):
        return Values(program.values)
    if isinstance(program, Computed):
        return Recorded("computed", (("by", _operations(program)),))
    while isinstance(program, Blocks):  # its largest part says it
        _size, program = max(program.parts, key=lambda one: one[0])
    return initializer_of(program.program if isinstance(program, Renamed) else program)


def _operations(program: Computed) -> str:
    """The operations of a computation in words, the last ones where there are many."""
    names = [step.op.split(".")[1].rstrip("_") for step in program.steps if isinstance(step, Step)]
    names = [name for name in names if name not in ("reshape", "as_strided", "_to_copy")]
    return ", ".join(["…", *names[-4:]] if len(names) > 4 else names) or "rearranging"


def _fans(slot: Slot) -> tuple[int | None, int | None]:
    layout = slot.layout
    if slot.ndim < 2 or layout.role not in ("weight", "embedding"):
        return None, None
    try:
        return layout.fans(layout.block_shapes(slot.shape)[0])
    except ValueError:
        return None, None


def _told(record: Record | None) -> tuple[str, tuple[str, ...]]:
    if record is None:
        return "", ()
    return _site_text(record.site) if record.site is not None else "", tuple(
        _lost(site, what) for site, what in record.overridden
    )


def _identity(what: What) -> tuple[object, ...]:
    """What tells one lost write from another where it is shown."""
    if isinstance(what, Drawn):
        return id(what.law), id(what.said)
    return (what.value, str(what.value)) if isinstance(what, Fill) else ()


def _lost(site: Site, what: What) -> str:
    """A write that another one covered, in words."""
    text = ""
    if isinstance(what, Drawn):
        shown = what.said
        if shown is None and not isinstance(what.law, Cut):  # to settle a cut takes a millisecond
            shown = initializer_of(what.law)
        text = str(shown) if shown is not None else "trunc_normal"
    elif isinstance(what, Fill):
        text = str(initializer_of(laws.Constant(what.value)))
    return f"{text} at {_site_text(site)}"


@functools.lru_cache(maxsize=4096)
def _site_text(site: Site) -> str:
    return str(site)
