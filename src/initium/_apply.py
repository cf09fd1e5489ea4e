"""Apply: the one place that writes to a model. First match plan and model, then check everything, then write, then verify."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from ._collector import uncollected
from ._entry import Row, redecided
from ._errors import ArgumentError, PlanError, WriteError, listing, nearest
from ._execute import Batch
from ._inventory import Inventory, Slot, inventory
from ._laws import LAWS, Law
from ._missing import Loaded, not_loaded
from ._patterns import is_literal, matches
from ._plan import Plan
from ._planner import decide, seed_or_drawn
from ._recipe import Recipe
from ._recipe import recipe as recipe_of
from ._rules import Rule
from ._sharded.placed import located, needs_whole, reshard, why_not_located
from ._stream import Keys, derive_key
from ._tensors import is_ordinary, why_not_writable
from .backends import as_job

Only = str | Iterable[str] | Loaded | None
Rename = Mapping[str, str] | Callable[[str], str] | None


_Write = tuple[Slot, Row, Row]
"""A tensor of the model, its row of the plan, and the row whose values it gets: that row, or the one it is tied to."""


@uncollected
def initialize(
    model: nn.Module,
    recipe: str | Recipe | Rule | Iterable[Rule] | None = None,
    *,
    seed: int | None = None,
    only: Only = None,
    prefix: str = "",
) -> Plan:
    """Plan a recipe on a model, check it, and write it in place.

    Args:
        model: a model with memory (not on meta).
        recipe: a Recipe, its name or file, or rules; ``"torch"`` for what each module's class does.
        seed: as ``torch.manual_seed`` takes it; None draws one from torch's generator, and the plan shows it.
        only: names or globs, or what ``load_state_dict(strict=False)`` returned; nothing else is touched.
        prefix: what goes before every name.

    Returns:
        The plan that was applied.

    Raises:
        RuleError: the recipe does not fit. WriteError: a tensor cannot be written. The model is then left as it was.

    Example:
        >>> model = nn.Linear(64, 32)
        >>> initialize(model, "he", seed=0)["bias"].kind
        'constant'
    """
    if recipe is None:
        raise ArgumentError(
            "initialize needs a recipe: 'torch' for what each module's own class does, 'he', 'xavier', …; "
            "for the model's own initialisation use initium.build(constructor, …, seed=0)"
        )
    chosen = recipe_of(recipe)  # type: ignore[arg-type]
    reshard(model)
    inv = inventory(model)
    names = [prefix + slot.name for slot in inv.slots]
    if isinstance(only, Loaded):
        only = not_loaded(inv, only.missing_keys)
    selected = None if only is None else _selected(only, names, {slot.key: n for slot, n in zip(inv.slots, names, strict=True)})
    plan = decide(inv, chosen, seed_or_drawn(seed), prefix, selected)
    return _apply(plan, inv, selected, prefix, None, part=False)


@uncollected
def apply(
    plan: Plan, model: nn.Module, *, only: Only = None, prefix: str = "", rename: Rename = None, part: bool = False
) -> Plan:
    """See ``Plan.apply``."""
    reshard(model)
    inv = inventory(model)
    if not prefix and plan.prefix and not any(slot.name in plan for slot in inv.slots):
        prefix = plan.prefix
    if isinstance(only, Loaded):
        only = not_loaded(inv, only.missing_keys)
    selected = None if only is None else _selected(only, list(plan), {row.key: row.name for row in plan.rows()})
    return _apply(plan, inv, selected, prefix, rename, part)


def _apply(plan: Plan, inv: Inventory, selected: frozenset[str] | None, prefix: str, rename: Rename, part: bool) -> Plan:
    writes = _matched(plan, inv, selected, prefix, rename, part)
    ordinary, others = _checked(writes)
    notes = _write_computed(plan, [write for write in others if write[0].computed is not None])
    batch, seed = Batch(), plan.seed
    whole: list[str] = []
    with torch.no_grad():
        batch.extend(as_job((tensor, law, derive_key(seed, name), 0, 0)) for tensor, law, name in ordinary)
        for slot, row, source in others:
            if slot.computed is None:
                assert source.decision.program is not None
                local, region = located(slot.tensor)
                batch.add(local, source.decision.program, Keys(seed, source.name), region)
                if region is not None and needs_whole(source.decision.program):
                    whole.append(row.name)
        batch.run()
    notes.update(_tie_again(writes))
    if whole:
        said = f"{len(whole)} sharded tensors are computed whole by each rank that holds a part, one at a time: {', '.join(whole[:3])}"
        said += ", …" if len(whole) > 3 else ""
        plan = plan if said in plan.notes else plan.with_rows(plan.rows(), notes=[*plan.notes, said])
    return (
        plan.with_rows([redecided(row, note=notes[row.name]) if row.name in notes else row for row in plan.rows()])
        if notes
        else plan
    )


def _selected(only: str | Iterable[str], names: list[str], keys: Mapping[str, str]) -> frozenset[str]:
    """The names that ``only`` means: names, globs, or state_dict keys."""
    found: set[str] = set()
    for pattern in [only] if isinstance(only, str) else only:
        hits = {name for name in names if matches(pattern, name)} or {keys[pattern] for _ in [0] if pattern in keys}
        if not hits:
            close = nearest(pattern, names) if is_literal(pattern) else ""
            raise ArgumentError(f"only={pattern!r} matches no tensor.{close}")
        found |= hits
    return frozenset(found)


def _matched(
    plan: Plan, inv: Inventory, selected: frozenset[str] | None, prefix: str, rename: Rename, part: bool
) -> list[_Write]:
    """Which tensor of the model gets which row's values."""
    rows = plan.by_name()
    writes: list[_Write] = []
    met: set[str] = set()
    strange: list[str] = []
    straight = not prefix and rename is None
    for slot in inv.slots:
        name = slot.name if straight else _renamed(prefix + slot.name, rename)
        row = rows.get(name)
        if row is None:
            if selected is None and not slot.is_buffer and slot.derived_from is None:
                strange.append(name)
            continue
        met.add(name)
        if selected is not None and name not in selected:
            continue
        source = row
        if row.decision.kind == "tied" and row.related is not None:
            source = rows.get(row.related, row)
            if slot.tied_to is not None:
                met.add(row.related)
        if slot.tied_to is not None and (selected is None or _renamed(prefix + slot.tied_to, rename) in selected):
            continue  # written under its first name
        writes.append((slot, row, source))
    if strange:
        raise PlanError(
            f"the model has {len(strange)} parameters that the plan does not know:\n{listing(strange)}\n"
            f"make the plan from this model, or say prefix= or rename= if it is a part of a larger one"
        )
    wanted = len(rows) if selected is None else len(selected)
    lacking = (
        []
        if part or len(met) == wanted
        else [
            name
            for name in (rows if selected is None else selected)
            if name not in met and rows[name].decision.kind != "derived"
        ]
    )
    if lacking:
        raise PlanError(
            f"the plan has {len(lacking)} tensors that the model lacks:\n{listing(lacking)}\n"
            f"if the model is meant to hold a part of them only, say part=True"
        )
    return writes


def _renamed(name: str, rename: Rename) -> str:
    if rename is None:
        return name
    return rename(name) if callable(rename) else rename.get(name, name)


def _checked(writes: list[_Write]) -> tuple[list[tuple[Tensor, Law, str]], list[_Write]]:
    """What there is to write: ordinary tensors by laws, and the rest. Everything that can be wrong is found before anything is written."""
    ordinary: list[tuple[Tensor, Law, str]] = []
    others: list[_Write] = []
    lost: list[str] = []
    undefined: list[str] = []
    for slot, row, source in writes:
        decision, tensor = source.decision, slot.tensor
        program = decision.program
        if tensor.shape != decision.shape:
            raise _misfit(row, tensor, decision.shape)
        if program is not None:
            if type(program) in LAWS and slot.computed is None and is_ordinary(tensor):
                ordinary.append((tensor, program, source.name))  # type: ignore[arg-type]
                continue
            others.append((slot, row, source))
            for written in (
                (tensor,) if slot.computed is None else [_get(slot.module, name) for name in slot.computed.originals]
            ):
                reason = why_not_writable(written) or why_not_located(written)
                if reason:
                    raise WriteError(f"{row.name} cannot be written: {reason}")
        elif decision.kind == "kept" and (decision.on_meta or tensor.is_meta):
            lost.append(row.name)
        elif decision.kind == "undefined":
            undefined.append(row.name)
    if lost:
        raise WriteError(
            f"{len(lost)} tensors are to be kept as constructed, but the model that was planned is on meta and never had their values:\n"
            f"{listing(lost)}\ngive them a rule, or let initium.build run the constructor for real"
        )
    if undefined:
        raise PlanError(
            f"nobody ever fills {len(undefined)} tensors:\n{listing(undefined)}\ngive them a rule: recipe=[Rule({undefined[0]!r}, …)]"
        )
    return ordinary, others


def _misfit(row: Row, tensor: Tensor, shape: tuple[int, ...]) -> PlanError | WriteError:
    if tensor.numel() == 0:
        return WriteError(
            f"{row.name} has 0 elements here and shape {shape} in the plan: a placeholder of a sharded parameter (ZeRO-3); "
            f"gather it first (deepspeed.zero.GatheredParameters), or initialise before sharding"
        )
    return PlanError(f"{row.name} has shape {tuple(tensor.shape)} in the model and {shape} in the plan")


def _write_computed(plan: Plan, writes: list[_Write]) -> dict[str, str]:
    """Write computed weights through their originals and compare what the forward pass will use; undone as a whole on an error."""
    saved: list[tuple[Tensor, Tensor]] = []
    notes: dict[str, str] = {}
    try:
        for slot, row, source in writes:
            program, computed = source.decision.program, slot.computed
            if program is None or computed is None:
                continue
            with torch.no_grad():
                saved += [(t, t.detach().clone()) for t in (_get(slot.module, name) for name in computed.originals)]
                value = torch.empty(slot.shape, dtype=slot.dtype, device=saved[-1][0].device)
                batch = Batch()
                batch.add(value, program, plan.key_of(source.name))
                batch.run()
                computed.write(value)
                notes.update(_compared(row.name, slot, value, computed.read()))
    except BaseException:
        with torch.no_grad():
            for tensor, before in saved:
                tensor.copy_(before)
        raise
    return notes


def _compared(name: str, slot: Slot, value: Tensor, forward: Tensor) -> dict[str, str]:
    scale = float(value.abs().max()) if value.numel() else 0.0
    gap = float((forward - value).abs().max()) if value.numel() else 0.0
    if gap <= 1e-5 * scale:
        return {}
    if torch.equal(forward, slot.tensor):
        raise WriteError(
            f"{name} is parametrised, and writing it changed nothing in the forward pass: initialise before registering the parametrization"
        )
    return {name: f"the forward pass sees std {float(forward.double().std()):.6g}: the parametrization changes what is written"}


def _tie_again(writes: list[_Write]) -> dict[str, str]:
    """Plain tensors that the plan ties and a device move has untied become one again; of others a note says that they are two."""
    notes: dict[str, str] = {}
    untied = [write for write in writes if write[2] is not write[1]]
    by_name = {row.name: slot for slot, row, _ in writes} if untied else {}
    for slot, row, source in untied:
        first = by_name.get(source.name)
        if first is None or first.tensor is slot.tensor:
            continue
        if type(slot.tensor) is type(first.tensor) is nn.Parameter and slot.tensor.device == first.tensor.device:
            slot.module._parameters[slot.local] = first.tensor
        else:
            notes[row.name] = f"has the values of {source.name}, but is another tensor here: each gets its own updates"
    return notes


def _get(module: nn.Module, path: str) -> Tensor:
    """The tensor of that dotted name below a module."""
    *parents, local = path.split(".")
    owner = module.get_submodule(".".join(parents)) if parents else module
    tensor: Tensor | None = owner._parameters.get(local)
    if tensor is None:
        tensor = owner._buffers[local]
    assert tensor is not None
    return tensor
