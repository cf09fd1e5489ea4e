"""A constructor under observation, and what can be learnt by running it again: the same seed, another seed, on meta."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as nn_module

from ..._inventory import Inventory, inventory
from .canary import found, plant
from .loads import Load, watching_loads
from .watch import Trace, Watch, Write

Maker = Callable[[], nn.Module]


@dataclass(frozen=True)
class Lost:
    """An initialisation that went into a tensor nobody keeps.

    Args:
        write: the write.
        shape: of the tensor that was written.
        function: what wrote it.
        names: tensors of the model whose storage the written one was computed from: the weight that was meant.
        made_by: the operator that made the tensor that was written.
    """

    write: Write
    shape: tuple[int, ...]
    function: str
    names: tuple[str, ...]
    made_by: str = ""


@dataclass
class Construction:
    """What was seen while a model was built."""

    watch: Watch
    model: nn.Module
    lost: list[Lost] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)

    def trace(self, tensor: Tensor) -> Trace | None:
        return self.watch.trace(tensor)


def run_constructor(make: Maker, seed: int) -> Construction:
    """Build a model under the observer, from a seeded generator that is put back. (``_capture.sites`` stops its walk at this name.)"""
    with seeded(seed), _registrations() as seen, watching_loads() as loads, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        watch = Watch(seed)
        seen.append(watch)
        with watch, _seedings(watch, seed):
            model = make()
    return Construction(watch, model, loads=loads)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's generators at ``seed`` inside, as they were outside."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def _seedings(watch: Watch, ours: int) -> Iterator[None]:
    """A constructor that sets the very seed that was set leaves a generator that looks as if nobody had: the call is noted."""
    real = torch.manual_seed

    def noted(seed: int) -> torch.Generator:
        watch.seeded_alike = watch.seeded_alike or int(seed) == ours
        return real(seed)

    torch.manual_seed = torch.random.manual_seed = noted
    try:
        yield
    finally:
        torch.manual_seed = torch.random.manual_seed = real


@contextlib.contextmanager
def _registrations() -> Iterator[list[Watch]]:
    """Every tensor that becomes a parameter or a buffer is noted as such."""
    watches: list[Watch] = []

    def note(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        if isinstance(tensor, Tensor):
            for watch in watches:
                watch.registered(tensor, f"{type(module).__name__}.{name}")

    handles = [
        nn_module.register_module_parameter_registration_hook(note),
        nn_module.register_module_buffer_registration_hook(note),
    ]
    try:
        yield watches
    finally:
        for handle in handles:
            handle.remove()


def lost_writes(built: Construction, inv: Inventory) -> list[Lost]:
    """Initialisations whose tensor is no part of the model and went into none: an init that did nothing."""
    owned: dict[Trace, str] = {}
    for slot in inv.slots:
        if slot.computed is None and (trace := built.trace(slot.tensor)) is not None:
            owned.setdefault(trace, slot.name)
    useful = _ancestors(owned)
    computed = _computed_attributes(inv)
    traces = list(built.watch.traces.values())
    reached: dict[Trace, bool] = {}
    lost = []
    for trace in traces:
        if trace in useful or trace.registered:
            continue
        write = next((one for one in reversed(trace.writes) if _is_initialisation(one, trace)), None)
        if write is None or (not trace.weak.expired() and id(trace) not in {id(built.trace(t)) for t in computed}):
            continue
        if write.call is None and not _above(trace, owned, reached):
            continue  # a scratch tensor that was drawn and thrown away
        names = tuple(sorted(owned[one] for one in _origins(trace) if one in owned))
        shape = write.call.shape if write.call else write.shape
        function = write.call.name if write.call else write.op
        lost.append(Lost(write, shape, function, names, trace.writes[0].op))
    return lost


def _is_initialisation(write: Write, trace: Trace) -> bool:
    """A call of an init function, or a draw in place over something that was computed from others."""
    return write.call is not None or (trace.computed and write.random and write.op in ("normal_", "uniform_"))


def _ancestors(of: dict[Trace, str]) -> set[Trace]:
    seen, open_ = set(of), list(of)
    while open_:
        for parent in open_.pop().parents:
            if parent not in seen:
                seen.add(parent)
                open_.append(parent)
    return seen


def _origins(trace: Trace) -> set[Trace]:
    """What it was made from, all the way back; nothing that was written to it afterwards counts."""
    return set(trace.origin) | _ancestors(dict.fromkeys(trace.origin, ""))


def _above(trace: Trace, owned: dict[Trace, str], known: dict[Trace, bool]) -> bool:
    """Whether it was computed from a tensor of the model."""
    if trace not in known:
        known[trace] = any(one in owned for one in _origins(trace))
    return known[trace]


def _computed_attributes(inv: Inventory) -> list[Tensor]:
    """Weights that a forward pre-hook computes anew: plain attributes, alive, and overwritten before they are used."""
    found = []
    for slot in inv.slots:
        if slot.computed is not None:
            value = slot.module.__dict__.get(slot.local)
            if isinstance(value, Tensor):
                found.append(value)
    return found


def again(make: Maker, seed: int) -> Inventory | None:
    """A second build, unobserved; None where it fails."""
    with seeded(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return inventory(make())
        except (Exception, SystemExit):  # a constructor may raise anything, and may not like to run twice
            return None


def missed_on_meta(make: Maker, seed: int) -> tuple[list[str], str, dict[str, Tensor]] | str:
    """Tensors that the library's own way to fill a model built on meta leaves unfilled, what that way is, and the buffers that it
    fills; or why there is none.

    The way: ``to_empty``, then the model's ``init_weights``, ``reset_parameters`` or ``_init_weights``, then each module's
    ``reset_parameters``, as FSDP's users do.
    """
    with seeded(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with torch.device("meta"):
                model = make()
        except (Exception, SystemExit) as error:
            return f"it cannot be built on meta: {type(error).__name__}: {first_line(error)}"
        way = _filling_of(model)
        if way is None:
            return "it has no init_weights or reset_parameters of its own"
        try:
            model.to_empty(device="cpu")
            with torch.no_grad():
                for slot in inventory(model).slots:
                    if slot.computed is None and slot.tied_to is None:
                        plant(slot.tensor.data)
                way[1]()
            inv = inventory(model)  # it may have put other tensors in their place
        except (Exception, SystemExit) as error:
            return f"{way[0]} fails after to_empty: {type(error).__name__}: {first_line(error)}"
        names = [
            slot.name
            for slot in inv.slots
            if slot.computed is None
            and slot.tied_to is None
            and slot.tensor.numel()
            and bool(found(slot.tensor.detach()).any())
        ]
        buffers = {slot.name: slot.tensor.detach() for slot in inv.slots if slot.is_buffer and slot.name not in names}
    return names, way[0], buffers


def _filling_of(model: nn.Module) -> tuple[str, Callable[[], Any]] | None:
    for name in ("init_weights", "initialize_weights", "reset_parameters"):
        own = getattr(model, name, None)
        if callable(own):
            return f"{type(model).__name__}.{name}()", own
    return None


def first_line(error: BaseException) -> str:
    """The first line of an error, cut to a sentence's length."""
    text = str(error).strip().split("\n")[0]
    return text if len(text) <= 160 else text[:159] + "…"
