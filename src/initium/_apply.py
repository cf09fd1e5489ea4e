"""Apply: the one place that writes to a model. First match plan and model, then check everything, then write, then verify."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from ._collector import uncollected
from ._entry import Row, redecided
from ._errors import ArgumentError, PlanError, WriteError, counted, listing, nearest
from ._execute import Batch
from ._inventory import Inventory, Slot, inventory
from ._laws import LAWS, Constant
from ._missing import Loaded, not_loaded
from ._patterns import is_literal, matches
from ._plan import Plan
from ._planner import decide, seed_or_drawn
from ._programs import Program
from ._recipe import Recipe
from ._recipe import recipe as recipe_of
from ._rules import Rule
from ._sharded.placed import located, needs_whole, why_not_located
from ._stream import Keys
from ._tensors import FLOATS, is_plain, is_writable_run, unexpanded, why_not_writable
from .backends import Alike

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
    inv = inventory(model)
    if isinstance(only, Loaded):
        only = not_loaded(inv, only.missing_keys)
    selected = None if only is None else _selected(only, {slot.key: prefix + slot.name for slot in inv.slots})
    plan = decide(inv, chosen, seed_or_drawn(seed), prefix, selected)
    return _apply(plan, _writes(plan, list(zip(inv.slots, plan.rows(), strict=True)), selected))


@uncollected
def apply(
    plan: Plan, model: nn.Module, *, only: Only = None, prefix: str = "", rename: Rename = None, part: bool = False
) -> Plan:
    """See ``Plan.apply``."""
    inv = inventory(model)
    if not prefix and plan.prefix and not any(slot.name in plan for slot in inv.slots):
        prefix = plan.prefix
    if isinstance(only, Loaded):
        only = not_loaded(inv, only.missing_keys)
    selected = None if only is None else _selected(only, {row.key: row.name for row in plan.rows()})
    writes = _writes(plan, _matched(plan, inv, selected, prefix, rename, part), selected)
    for slot, row, source in writes:
        if slot.tensor.shape != source.decision.shape:
            raise _misfit(row, slot.tensor, source.decision.shape)
    return _apply(plan, writes)


def _apply(plan: Plan, writes: list[_Write]) -> Plan:
    ordinary, others, repeated = _checked(writes, plan.seed)
    notes = _write_computed(plan, [write for write in others if write[0].computed is not None])
    batch, seed = Batch(), plan.seed
    whole: list[str] = []
    with torch.no_grad():
        batch.extend(ordinary, seed)
        for slot, row, source in others:
            if slot.computed is None:
                assert source.decision.program is not None
                local, region = located(slot.tensor)
                batch.add(local, source.decision.program, Keys(seed, source.name), region)
                if region is not None and needs_whole(source.decision.program):
                    whole.append(row.name)
        batch.run()
        for elements, values in repeated:
            elements.copy_(values)
    notes.update(_tie_again(writes))
    if whole:
        said = f"{counted(len(whole), 'sharded tensor is', 'sharded tensors are')} computed whole by each rank that holds a part, one at a time: "
        said += ", ".join(whole[:3])
        said += ", …" if len(whole) > 3 else ""
        plan = plan if said in plan.notes else plan.with_rows(plan.rows(), notes=[*plan.notes, said])
    return (
        plan.with_rows([redecided(row, note=notes[row.name]) if row.name in notes else row for row in plan.rows()])
        if notes
        else plan
    )


def _selected(only: str | Iterable[str], keys: Mapping[str, str]) -> frozenset[str]:
    """The names that ``only`` means: names, globs, or state_dict keys, which here are by them."""
    names = list(keys.values())
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
) -> list[tuple[Slot, Row]]:
    """Which tensor of the model is which row of a plan that was made before, of this model or another."""
    rows = plan.by_name()
    pairs: list[tuple[Slot, Row]] = []
    met: set[str] = set()
    strange: list[str] = []
    for slot in inv.slots:
        name = _renamed(prefix + slot.name, rename)
        row = rows.get(name)
        if row is None:
            if selected is None and not slot.is_buffer and slot.derived_from is None:
                strange.append(name)
            continue
        pairs.append((slot, row))
        met.add(name)
        if slot.tied_to is not None and row.decision.kind == "tied" and row.related is not None:
            met.add(row.related)
    if strange:
        raise PlanError(
            f"the model has {counted(len(strange), 'parameter')} that the plan does not know:\n{listing(strange)}\n"
            f"make the plan from this model, or say prefix= or rename= if it is a part of a larger one"
        )
    lacking = [
        name
        for name in (rows if selected is None else selected)
        if not part and name not in met and rows[name].decision.kind != "derived"
    ]
    if lacking:
        raise PlanError(
            f"the plan has {counted(len(lacking), 'tensor')} that the model lacks:\n{listing(lacking)}\n"
            f"if the model is meant to hold a part of them only, say part=True"
        )
    return pairs


def _writes(plan: Plan, pairs: list[tuple[Slot, Row]], selected: frozenset[str] | None) -> list[_Write]:
    """What is to be written, each tensor once, and the rows that say what."""
    rows, writes = plan.by_name(), []
    called = {} if selected is None else {slot.name: row.name for slot, row in pairs}
    for slot, row in pairs:
        if selected is not None and row.name not in selected:
            continue
        if slot.tied_to is not None and (selected is None or called.get(slot.tied_to) in selected):
            continue  # written under its first name
        related = row.related
        writes.append((slot, row, rows.get(related, row) if related is not None and row.decision.kind == "tied" else row))
    return writes


def _renamed(name: str, rename: Rename) -> str:
    if rename is None:
        return name
    return rename(name) if callable(rename) else rename.get(name, name)


def _checked(writes: list[_Write], seed: int) -> tuple[list[Alike], list[_Write], list[tuple[Tensor, Tensor]]]:
    """What there is to write: ordinary tensors by laws, the rest, and the elements of expanded views with their values.

    Everything that can be wrong is found before anything is written.
    """
    ordinary: dict[tuple[int, torch.dtype], Alike] = {}
    others: list[_Write] = []
    repeated: list[tuple[Tensor, Tensor]] = []
    lost: list[str] = []
    undefined: list[str] = []
    for slot, row, source in writes:
        decision, tensor = source.decision, slot.tensor
        program = decision.program
        if program is not None:
            if (
                slot.address
                and slot.dtype in FLOATS
                and type(program) in LAWS
                and slot.computed is None
                and is_writable_run(tensor)
            ):
                alike = ordinary.get((id(decision), slot.dtype))
                if alike is None:
                    alike = ordinary[id(decision), slot.dtype] = Alike(program)  # type: ignore[arg-type]
                alike.outs.append(tensor)
                alike.names.append(source.name)
                continue
            if slot.computed is None and (once := _repeated(tensor, program, Keys(seed, source.name))) is not None:
                repeated.append(once)
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
            f"{counted(len(lost), 'tensor is', 'tensors are')} to be kept as constructed, but the model that was planned is on meta and never had "
            f"such values:\n"
            f"{listing(lost)}\ngive them a rule, or let initium.build run the constructor for real"
        )
    if undefined:
        raise PlanError(
            f"nobody ever fills {counted(len(undefined), 'tensor')}:\n{listing(undefined)}\ngive them a rule: recipe=[Rule({undefined[0]!r}, …)]"
        )
    return list(ordinary.values()), others, repeated


def _repeated(tensor: Tensor, program: Program, key_of: Keys) -> tuple[Tensor, Tensor] | None:
    """The elements that an expanded view repeats and their values, where what is planned repeats them too; else None."""
    if not is_plain(tensor) or 0 not in tensor.stride():
        return None
    elements = unexpanded(tensor)
    if elements.shape == tensor.shape or why_not_writable(elements):
        return None
    shape = elements.shape if isinstance(program, Constant) else tensor.shape
    values = torch.empty(shape, dtype=tensor.dtype, device="cpu")
    with torch.no_grad():
        batch = Batch()
        batch.add(values, program, key_of)
        batch.run()
        first = values[tuple(slice(0, size) for size in elements.shape)]
        return (elements.detach(), first) if torch.equal(first.expand_as(values), values) else None


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
