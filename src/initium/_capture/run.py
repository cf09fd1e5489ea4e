"""Capture: a model's own initialisation as a plan. Its constructor runs, and its draws and fills are recorded instead of computed."""

from __future__ import annotations

import contextlib
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .._collector import uncollected
from .._errors import ArgumentTypeError, PlanError
from .._inventory import Inventory
from .._plan import Plan
from .._planner import seed_or_drawn
from . import handlers as handlers  # they register themselves
from .homes import Homes
from .mode import READ_LIMIT, Recorder
from .reads import standing_before
from .records import Event
from .rows import Captured


class Terms(NamedTuple):
    """On what terms a constructor runs: see ``capture``."""

    one_pass: bool = False
    read_limit: int = READ_LIMIT
    seed_python: bool = False


@uncollected
def capture(
    fn: Callable[..., nn.Module],
    /,
    *args: Any,
    seed: int | None = None,
    one_pass: bool = False,
    read_limit: int = READ_LIMIT,
    seed_python: bool = False,
    **kwargs: Any,
) -> tuple[nn.Module, Plan]:
    """A model's skeleton on meta, and its own initialisation as a plan.

    ``fn(*args, **kwargs)`` runs as it is, while random and constant fills are recorded: nothing large is computed or even allocated,
    so a model of any size takes as long as making its modules does. Every tensor then has an entry with its law, the init function
    that was called, and the line of code that called it. What is copied, tied, or computed from a drawn tensor stays so. Where the
    constructor looks at drawn values (``item()``, ``numpy()``, an ``if``), they are drawn by our engine, and it runs a second time,
    when the names are known. torch's generators are seeded from ``seed`` meanwhile, and put back.

    Args:
        fn: a class, a factory, or a lambda where the constructor has keywords of these names.
        args, kwargs: what it is called with.
        seed: of the plan; None draws one from torch's generator.
        one_pass: never run ``fn`` twice: what it looked at keeps streams of its own (``#0``, ``#1``, …).
        read_limit: how many elements may be drawn only because the constructor looks at them.
        seed_python: python's ``random`` and numpy's global generator are seeded and put back as well.

    Returns:
        The model with every parameter and buffer on meta, and a plan for it: ``to_empty`` and ``plan.apply`` fill it.

    Raises:
        PlanError: two runs of a constructor that looks at its draws did different things; the message has both lines of code.
        WriteError: it looks at more than ``read_limit`` drawn elements.

    Limits: what another thread does is not recorded, nor what a C extension writes through a pointer that it kept.

    Example:
        >>> skeleton, plan = capture(nn.Linear, 768, 10, seed=0)
        >>> skeleton.weight.device, str(plan["weight"].initializer)
        (device(type='meta'), 'kaiming_uniform(a=√5, fan_in=768)')
    """
    captured = captured_run(fn, args, kwargs, seed_or_drawn(seed), Terms(one_pass, read_limit, seed_python))
    (plan,) = captured.plans(copied=False)
    settle_loose_tensors(captured, on_meta=True)
    model = captured.models[0][1]
    move_to_meta(captured.inventories[0])
    return model, plan


def captured_run(
    fn: Callable[..., nn.Module], args: tuple[Any, ...], kwargs: dict[str, Any], seed: int, terms: Terms
) -> Captured:
    """Run a constructor under the recorder; twice, if it looked at values whose names came later."""
    begin = time.perf_counter()
    found = run_constructor(fn, args, kwargs, seed, {}, terms)
    forced = list(found.recorder.forced)
    if forced and not terms.one_pass:
        events, homes = found.recorder.events, found.homes
        del found  # its tensors go before the second run has its own
        found = run_constructor(fn, args, kwargs, seed, homes, terms)
        _check_same(events, found.recorder.events, forced[0])
    found.seconds = time.perf_counter() - begin
    return found


def run_constructor(
    fn: Callable[..., nn.Module], args: tuple[Any, ...], kwargs: dict[str, Any], seed: int, homes: Homes, terms: Terms
) -> Captured:
    """One recorded run. (The stack walk of ``sites.py`` ends at this function's name.)"""
    recorder = Recorder(seed, homes, terms.read_limit)
    with recording(recorder, terms.seed_python):
        model = fn(*args, **kwargs)
    if not isinstance(model, nn.Module):
        raise ArgumentTypeError(
            f"capture expects a callable that returns an nn.Module; {_name(fn)} returned {type(model).__name__}"
        )
    return Captured(recorder, [("", model)])


_TURN = threading.RLock()


@contextlib.contextmanager
def recording(recorder: Recorder, seed_python: bool = False) -> Iterator[None]:
    """Everything that is done inside is recorded, under generators of its own. Threads take turns: they share the generators."""
    with _TURN, _forked_generators(recorder.seed, seed_python), standing_before(recorder), recorder:
        yield


@contextlib.contextmanager
def _forked_generators(seed: int, seed_python: bool) -> Iterator[None]:
    """Generators start from the seed, and are put back: torch's on every device in use; python's and numpy's if asked."""
    generators = [torch.default_generator, *(torch.cuda.default_generators if torch.cuda.is_initialized() else ())]
    states = [generator.get_state() for generator in generators]
    numpy = sys.modules.get("numpy") if seed_python else None
    before = random.getstate(), None if numpy is None else numpy.random.get_state()
    for generator in generators:
        generator.manual_seed(seed)
    if seed_python:
        random.seed(seed)
    if numpy is not None:
        numpy.random.seed([seed & 0xFFFFFFFF, seed >> 32])
    try:
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
        if seed_python:
            random.setstate(before[0])
        if numpy is not None:
            numpy.random.set_state(before[1])


def _check_same(first: list[Event], second: list[Event], read: Event) -> None:
    for a, b in zip(first, second, strict=False):
        if (a.what, a.shape, a.site) != (b.what, b.shape, b.site):
            raise PlanError(
                f"the constructor looks at values that it draws ({read.what} at {read.site}), so it ran twice, and did not do the "
                f"same: first {a.what} of shape {a.shape} at {a.site}, then {b.what} of shape {b.shape} at {b.site}; "
                f"make it do the same each time, or say one_pass=True"
            )
    if len(first) != len(second):
        raise PlanError(
            f"the constructor looks at values that it draws ({read.what} at {read.site}), so it ran twice, and recorded "
            f"{len(first)} operations first and {len(second)} then; make it do the same each time, or say one_pass=True"
        )


_NO_TENSORS = frozenset({bool, int, float, str, type(None)})  # asking a Tensor's class about each costs more than all else here


def settle_loose_tensors(captured: Captured, *, on_meta: bool) -> None:
    """Tensors that modules hold as plain attributes are filled; on a skeleton large ones go to meta."""
    recorder, owned = captured.recorder, captured.owned()
    plain = nn.Module().__dict__.keys()  # torch's own: the parameters and buffers among them are no loose tensors

    def settled(value: Tensor) -> Tensor:
        record = recorder.record(value)
        if record is None or record.state is None or value.is_meta:
            return value
        if value.untyped_storage()._cdata in owned or (on_meta and record.state.random and value.numel() > 1 << 20):
            return _meta_like(value) if on_meta else value
        if not record.state.undefined:
            recorder.refresh(value)
        return value

    for inv in captured.inventories:
        for _, module in inv.modules:
            for name in module.__dict__.keys() - plain:
                value = module.__dict__[name]
                kind = type(value)  # not isinstance: that asks a value for its __class__, which may be slow to say
                if kind in _NO_TENSORS:
                    continue
                if issubclass(kind, Tensor):
                    module.__dict__[name] = settled(value)
                elif kind in (list, tuple, dict) and value:
                    for part in value.values() if kind is dict else value:
                        if isinstance(part, Tensor):
                            settled(part)


def move_to_meta(inv: Inventory) -> None:
    """Put every parameter and buffer on meta; ties, attributes, strides and flags stay."""
    made: dict[str, Tensor] = {}
    for slot in inv.slots:
        if slot.computed is not None:
            continue
        tensor = _meta_like(slot.tensor) if slot.tied_to is None else made[slot.tied_to]
        tensors: dict[str, Any] = slot.module._buffers if slot.is_buffer else slot.module._parameters
        tensors[slot.local] = made[slot.name] = tensor


def _meta_like(tensor: Tensor) -> Tensor:
    if tensor.is_meta:
        return tensor
    empty = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    made: Tensor = empty
    if isinstance(tensor, nn.Parameter):
        made = torch.Tensor._make_subclass(type(tensor), empty, tensor.requires_grad)
    made.__dict__.update(tensor.__dict__)
    return made


def _name(fn: object) -> str:
    return getattr(fn, "__qualname__", type(fn).__name__)
