"""Values that a plan does not hold and a model does: kept tensors, and the originals of parametrised weights. The model stays as it is."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ._entry import Row
from ._errors import PlanError, WriteError, counted, listing
from ._execute import Batch
from ._inventory import Slot, inventory
from ._plan import Plan
from ._sharded.placed import located


def copied_values(plan: Plan, rows: list[Row], model: nn.Module | None) -> dict[str, Tensor]:
    """The tensors of the rows that have no program, by name.

    Args:
        plan: the plan they are of.
        rows: what is to be written.
        model: the real model that the plan was made from, or None.

    Raises:
        PlanError: nobody has the values of some row.
    """
    lost = [row.name for row in rows if row.decision.kind == "undefined"]
    if lost:
        raise PlanError(f"nobody ever fills {counted(len(lost), 'tensor')}:\n{listing(lost)}\ngive them a rule")
    wanting = [row for row in rows if row.decision.program is None]
    if not wanting:
        return {}
    if model is None:
        words = "kept as constructed, or computed from a parametrised weight"
        raise PlanError(
            f"{counted(len(wanting), 'tensor is', 'tensors are')} {words}, and the plan does not hold the values:\n"
            f"{listing(row.name for row in wanting)}\nsay values_from=model, or give them a rule"
        )
    slots = {plan.prefix + slot.name: slot for slot in inventory(model).slots}
    lacking = [row.name for row in wanting if row.name not in slots]
    if lacking:
        raise PlanError(
            f"values_from lacks {counted(len(lacking), 'tensor')}:\n{listing(lacking)}\ngive the model that the plan was made from"
        )
    found = {row.name: slots[row.name].tensor.detach() for row in wanting if row.decision.kind != "derived"}
    found.update(_originals(plan, {row.name for row in wanting if row.decision.kind == "derived"}, slots))
    for row in wanting:
        tensor = found[row.name]
        if tensor.is_meta:
            raise PlanError(
                f"{row.name} is kept as constructed, and values_from has it on meta: build the model for real, or give it a rule"
            )
        if tuple(tensor.shape) != row.decision.shape:
            raise PlanError(f"{row.name} has shape {tuple(tensor.shape)} in values_from and {row.decision.shape} in the plan")
    return {name: held_whole(name, tensor) for name, tensor in found.items()}


def held_whole(name: str, tensor: Tensor) -> Tensor:
    """The tensor that is to be copied; of a DTensor the local one, where that is all of it.

    Raises:
        WriteError: this process holds a part of it only.
    """
    local, region = located(tensor)
    if region is not None:
        raise WriteError(
            f"{name} is copied from values_from, of which this process holds a part only ({tuple(tensor.placements)}): give the "  # type: ignore[attr-defined]
            f"model before it is sharded, write a state_dict by torch.distributed.checkpoint, or give the tensor a rule"
        )
    return local


def _originals(plan: Plan, names: set[str], slots: Mapping[str, Slot]) -> dict[str, Tensor]:
    """What the originals of computed weights become when the plan is written, found by writing and putting back."""
    found: dict[str, Tensor] = {}
    for logical in dict.fromkeys(plan.row(name).related for name in sorted(names)):
        slot = slots.get(logical or "")
        if slot is None or slot.computed is None:
            raise WriteError(
                f"{logical} is parametrised in the plan and a plain tensor in values_from: give the model that the plan was made from"
            )
        mine = {name: slots[name].tensor for name in names if plan.row(name).related == logical}
        program = plan.row(logical or "").decision.program
        if program is None:
            found.update({name: tensor.detach() for name, tensor in mine.items()})
            continue
        module, attribute = slot.module, slot.module.__dict__.get(slot.local)  # the older hooks keep the product there
        with torch.no_grad():
            before = {name: tensor.detach().clone() for name, tensor in mine.items()}
            value = torch.empty(slot.shape, dtype=slot.dtype, device=slot.tensor.device)
            batch = Batch()
            batch.add(value, program, plan.key_of(logical or ""))
            batch.run()
            try:
                slot.computed.write(value)
                found.update({name: tensor.detach().clone() for name, tensor in mine.items()})
            finally:
                for name, tensor in mine.items():
                    tensor.copy_(before[name])
                if attribute is not None:
                    module.__dict__[slot.local] = attribute
    return found
