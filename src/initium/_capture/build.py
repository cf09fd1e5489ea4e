"""Build: a model with its own initialisation, drawn by our engine: captured, allocated once, filled, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from .._apply import apply
from .._collector import uncollected
from .._entry import Row, redecided
from .._errors import ArgumentError, PlanError, counted, listing
from .._inventory import Inventory
from .._plan import Plan
from .._planner import _Planner as Planner
from .._planner import seed_or_drawn
from .._recipe import Recipe
from .._recipe import recipe as recipe_of
from .._rules import Rule, unmatched
from .blank import LARGE
from .mode import READ_LIMIT
from .pages import LargePages
from .rows import Captured
from .run import Terms, captured_run, settle_loose_tensors


@uncollected
def build(
    fn: Callable[..., nn.Module],
    /,
    *args: Any,
    seed: int | None = None,
    recipe: str | Recipe | Rule | Iterable[Rule] | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    one_pass: bool = False,
    read_limit: int = READ_LIMIT,
    seed_python: bool = False,
    **kwargs: Any,
) -> nn.Module:
    """A model with the initialisation that its authors wrote, drawn by our engine from ``seed``.

    The constructor is captured (see ``initium.capture``), its tensors get memory once, in their final dtype and on their final device,
    and are filled by the plan.

    Args:
        fn: a class, a factory, or a lambda where the constructor has keywords of these names.
        args, kwargs: what it is called with.
        seed: as ``torch.manual_seed`` takes it; None draws one from torch's generator.
        recipe: a recipe, its name or file, or rules; they go over the authors' own initialisation.
        device: where the model is to be; where its constructor puts it unless said.
        dtype: of its floating tensors; integer buffers keep theirs.
        one_pass, read_limit, seed_python: see ``initium.capture``.

    Returns:
        The model.

    Raises:
        ArgumentError: device is meta.
        PlanError: tensors that nobody ever fills (say what they get by ``recipe=``), or a constructor that differs from run to run.

    Example:
        >>> a, b = (build(nn.Linear, 64, 10, seed=0) for _ in range(2))
        >>> torch.equal(a.weight, b.weight)
        True
    """
    if device is not None and torch.device(device).type == "meta":
        raise ArgumentError("a model on device='meta' has no values: initium.capture makes a skeleton and its plan")
    captured = captured_run(fn, args, kwargs, seed_or_drawn(seed), Terms(one_pass, read_limit, seed_python))
    rules = None if recipe is None else recipe_of(recipe)  # type: ignore[arg-type]
    filled(captured, rules, device, dtype)
    return captured.models[0][1]


def filled(
    captured: Captured, rules: Recipe | None, device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> list[Plan]:
    """Give captured models their memory and values; the plans that were applied."""
    plans = captured.plans(copied=True)
    if rules is not None:
        plans = [
            overruled(plan, inv, rules, prefix)
            for plan, inv, (prefix, _) in zip(plans, captured.inventories, captured.models, strict=True)
        ]
    for plan in plans:
        _refuse_undefined(plan)
    where = None if device is None else torch.device(device)
    for _, model in captured.models:
        _allocate(model, where, dtype)
    with torch.no_grad():
        applied = [apply(plan, model) for plan, (_, model) in zip(plans, captured.models, strict=True)]
    settle_loose_tensors(captured, on_meta=False)
    return applied


def overruled(plan: Plan, inv: Inventory, rules: Recipe, prefix: str) -> Plan:
    """A captured plan with a recipe's rules over it: what no rule claims, or a rule keeps, stays the authors' own."""
    planner = Planner(inv, rules, prefix)
    rows: list[Row] = []
    ruled: set[str] = set()
    for slot in inv.slots:
        own = plan.row(prefix + slot.name)
        if slot.derived_from is not None and slot.derived_from in ruled:
            rows.append(planner.row(slot))
            continue
        row = own
        if slot.tied_to is None and slot.derived_from is None:
            said = planner.row(slot)
            if said.decision.kind not in ("kept", "undefined") and said.decision.rule not in _NO_RULE:
                ruled.add(slot.name)
                lost = f"{_words(own)} at {own.decision.source}" if own.decision.source else _words(own)
                row = redecided(said, overridden=(*said.decision.overridden, lost))
        rows.append(row)
    error = unmatched(rules.rules, planner.touched, dict(inv.modules), [slot.name for slot in inv.slots])
    if error is not None:
        raise error
    return plan.with_rows(rows, recipe=rules.name, notes=(*plan.notes, *planner.notes))


_NO_RULE = ("as its class sets it", "declared on the layer")  # what the planner says where the recipe has no word


def _words(row: Row) -> str:
    return str(row.decision.initializer) if row.decision.initializer is not None else row.decision.kind


def _refuse_undefined(plan: Plan) -> None:
    lost = [row for row in plan.rows() if row.decision.kind == "undefined"]
    if lost:
        where = [f"{row.name}  (made at {row.decision.source})" if row.decision.source else row.name for row in lost]
        raise PlanError(
            f"nobody ever fills {counted(len(lost), 'tensor')}:\n{listing(where)}\n"
            f"say what they get: build(…, recipe=[Rule({lost[0].name!r}, …)])"
        )


def _allocate(model: nn.Module, device: torch.device | None, dtype: torch.dtype | None) -> None:
    """Memory for every tensor that is on meta, in address space only, or not as it is to be; parameters stay the same objects."""
    with torch.no_grad():
        done: set[int] = set()
        pages = LargePages()
        for module in model.modules():
            for tensors in (module._parameters, module._buffers):
                for _name, tensor in tensors.items():
                    if tensor is None or id(tensor) in done:
                        continue
                    done.add(id(tensor))
                    fresh = _fresh(tensor, device, dtype)
                    pages.ask_for(tensor if fresh is None else fresh)
                    if fresh is None:
                        continue
                    if tensor.is_meta:
                        _replace(model, tensor, fresh)
                    else:
                        tensor.data = fresh


def _fresh(tensor: Tensor, device: torch.device | None, dtype: torch.dtype | None) -> Tensor | None:
    """New memory for a tensor, or None where it has what it needs."""
    wanted = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
    where = device if device is not None else torch.device("cpu") if tensor.is_meta else tensor.device
    large = tensor.device.type == "cpu" and tensor.untyped_storage().nbytes() >= LARGE
    if tensor.dtype == wanted and tensor.device == where and not large:
        return None
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=wanted, device=where)


def _replace(model: nn.Module, old: Tensor, fresh: Tensor) -> None:
    made: Tensor = nn.Parameter(fresh, old.requires_grad) if isinstance(old, nn.Parameter) else fresh
    made.__dict__.update(old.__dict__)
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is old:
                    tensors[name] = made  # type: ignore[assignment]
