"""Planning: recipe × model × seed -> plan. Decides for every tensor; writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ._collector import uncollected
from ._entry import Decision, Row, as_row, kind_of
from ._errors import ArgumentError, RuleError, counted
from ._grouping import grouped
from ._inventory import Inventory, Slot, inventory
from ._plan import Plan
from ._programs import Program, Renamed
from ._recipe import Recipe, names_for, settled
from ._recipe import recipe as recipe_of
from ._rules import Rule, unmatched
from ._stream import checked_seed
from ._structure.structure import NAMES, Place, Structure, structure_of
from ._tensors import why_not_drawable
from ._torch_defaults import speaks_below
from .initializers import ClassDefault, Initializer, Keep, Parts, Reset, asks_the_class

DECLARED = "_initium_declared"  # where a module keeps what declare() said of its tensors


@uncollected
def plan(model: nn.Module, recipe: str | Recipe | Rule | Iterable[Rule], *, seed: int | None = None, prefix: str = "") -> Plan:
    """What every parameter and buffer of a model gets from a recipe; nothing is written.

    Args:
        model: real, sharded or on meta.
        recipe: a Recipe, its name or file, or rules.
        seed: an integer as ``torch.manual_seed`` takes; None draws 63 bits from torch's generator and shows them.
        prefix: what goes before every name: two networks alike, or a part of a larger one.

    Returns:
        A Plan with one entry for each parameter and buffer.

    Raises:
        RuleError: a parameter that no rule claims, a rule that matches nothing, an initializer that does not fit a tensor.

    Example:
        >>> print(plan(torch.nn.Linear(3, 2), "he", seed=0)["weight"].std)
        0.8164965809277261
    """
    return decide(inventory(model), recipe_of(recipe), seed_or_drawn(seed), prefix)  # type: ignore[arg-type]


def seed_or_drawn(seed: int | None) -> int:
    """The seed, or 63 bits from torch's generator, as the drop-ins draw theirs."""
    if seed is not None:
        return checked_seed(seed)
    if torch.distributed.is_available() and torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        raise ArgumentError("with several ranks the seed must be said, or each rank would have another: write seed=0")
    return int(torch.empty((), dtype=torch.int64, device="cpu").random_())


def decide(inv: Inventory, rules: Recipe, seed: int, prefix: str = "", only: frozenset[str] | None = None) -> Plan:
    """The plan for an inventory; with ``only``, names outside it may be unclaimed."""
    planner = _Planner(inv, rules, prefix)
    rows = [planner.row(slot) for slot in inv.slots]
    lost = [slot for slot in planner.unclaimed if only is None or prefix + slot.name in only]
    if lost:
        raise _unclaimed(lost, rules)
    names = [slot.name for slot in inv.slots]
    error = unmatched(rules.rules, planner.touched, dict(inv.modules), names)
    if error is not None:
        raise error
    return Plan(rows, seed, recipe=rules.name, prefix=prefix, notes=planner.notes)


@dataclass
class _Planner:
    inv: Inventory
    rules: Recipe
    prefix: str
    touched: set[int] = field(default_factory=set)
    unclaimed: list[Slot] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _decided: dict[tuple[Any, ...], Decision | None] = field(default_factory=dict)
    _layouts: dict[int, Any] = field(default_factory=dict)  # keeps the layouts alive whose ids stand in _decided
    _structure: Structure | None = None
    _firsts: dict[str, Slot] | None = None

    def __post_init__(self) -> None:
        rules = self.rules.rules
        self._named = [rule for rule in rules if isinstance(rule.where, str) and rule.where != "**"]
        self._local = {local for rule in rules for local, _ in rule.tensors}
        # tensors that look alike share a decision, unless a rule may tell them apart by more than what stands in the signature
        self._alike = not any(rule.test is not None or any(map(asks_the_class, rule.given)) for rule in rules)
        self._above: list[tuple[str, nn.Module]] | None = None
        if self.rules.needs_structure:
            self.notes += self._structured().notes

    def row(self, slot: Slot) -> Row:
        name, key, _, _, _, _, is_buffer, tied_to, derived_from, *_ = slot
        if tied_to is not None or derived_from is not None:
            return self._related(slot)
        made = self._decision(slot)
        if made is None:
            self.unclaimed.append(slot)
            made = Decision(slot.shape, slot.dtype, "undefined", role=slot.layout.role)
        return as_row((self.prefix + name, key, made, None, is_buffer, not is_buffer or slot.persistent))

    def _related(self, slot: Slot) -> Row:
        """The row of a tensor that is tied to another or that a computed weight comes from."""
        name = self.prefix + slot.name
        if slot.tied_to is not None:
            return self._tied(slot, name)
        assert slot.derived_from is not None
        decision = Decision(slot.shape, slot.dtype, "derived", role=slot.layout.role, rule=f"from {slot.derived_from}")
        return Row(name, slot.key, decision, self.prefix + slot.derived_from, slot.is_buffer, slot.persistent)

    def _decision(self, slot: Slot) -> Decision | None:
        _, _, tensor, module, local, layout, is_buffer, _, _, _, size, dtype, where = slot
        declared = module.__dict__.get(DECLARED)
        if declared is not None and local in declared:
            return self._worked_out(slot, declared[local], "declared on the layer", (), "")
        if not self._alike:
            return self._fresh(slot)
        signature = (
            type(module),
            local if local in self._local else None,
            size,
            dtype,
            id(layout),
            is_buffer,
            not where and tensor.is_meta,
            tuple([rule.claims_name(slot) for rule in self._named]) if self._named else None,
            None if self._structure is None else self._structure.place(slot),
        )
        try:
            return self._decided[signature]
        except KeyError:
            self._layouts[id(layout)] = layout
            decision = self._decided[signature] = self._fresh(slot)
            return decision

    def _fresh(self, slot: Slot) -> Decision | None:
        holding, initializer, overridden = self.rules.decide(slot, self._place(slot).roles)
        self.touched.update(overridden, holding)
        if initializer is None:
            if slot.is_buffer:
                return self._worked_out(slot, Reset(), "as its class sets it", (), "")
            return None
        called = "; ".join(self._called(index) for index in holding)
        source = self.rules.rules[holding[-1]].source
        return self._worked_out(slot, initializer, called, tuple(self._called(i) for i in overridden), source)

    def _structured(self) -> Structure:
        if self._structure is None:
            self._structure = structure_of(self.inv, self.rules.roles)
        return self._structure

    def _place(self, slot: Slot) -> Place:
        """Where a tensor stands; nowhere, at no cost, for recipes that do not ask."""
        return _NOWHERE if self._structure is None else self._structure.place(slot)

    def _speakers(self) -> list[tuple[str, nn.Module]]:
        """The modules that initialise their descendants' tensors too, outermost first, with their prefixes."""
        if self._above is None:
            self._above = [(f"{name}." if name else "", module) for name, module in self.inv.modules if speaks_below(module)]
        return self._above

    def _called(self, index: int) -> str:
        """A rule as the plan shows it: ``he[1] role=weight``."""
        return f"{self.rules.name or 'rule'}[{index}] {self.rules.rules[index].conditions}"

    def _worked_out(self, slot: Slot, said: Initializer, rule: str, overridden: tuple[str, ...], source: str) -> Decision:
        shape, dtype, layout = slot.shape, slot.dtype, slot.layout
        place = self._place(slot)
        role = place.shown or layout.role
        initializer = settled(said, slot, self._speakers() if isinstance(said, (ClassDefault, Parts)) else ())
        if initializer is None:
            kept = said if isinstance(said, Keep) else Keep()
            return Decision(
                shape,
                dtype,
                "kept",
                kept,
                None,
                *self._fans(slot, None),
                role,
                rule,
                overridden,
                source,
                "",
                slot.tensor.is_meta,
            )
        try:
            used = initializer.names()
            initializer = initializer.bound(self._known(slot, used) if used else {})
            program = initializer.program(shape, layout)
            if initializer.shared:
                program = self._on_stream_of_attention(place.attention, program)
            unfit = why_not_drawable(dtype) if kind_of(program) == "drawn" else None
            if unfit:
                raise ArgumentError(unfit)
        except ArgumentError as error:
            where = f" ({source})" if source else ""
            raise RuleError(f"{slot.name}: {error}\n  rule: {rule}{where}") from None
        notes = [", ".join(layout.block_names)] if layout.block_names else []
        if place.roles:
            notes.append(f"{role} by {place.how}")
        note = "; ".join(notes)
        return Decision(
            shape,
            dtype,
            kind_of(program),
            initializer,
            program,
            *self._fans(slot, initializer),
            role,
            rule,
            overridden,
            source,
            note,
        )

    def _on_stream_of_attention(self, attention: str | None, program: Program) -> Program:
        if attention is None:
            raise ArgumentError(
                "it draws from the stream of an attention module, and no class above this tensor calls itself that"
            )
        return Renamed(self.prefix + attention, program)

    def _fans(self, slot: Slot, initializer: Initializer | None) -> tuple[int | None, int | None]:
        layout = slot.layout
        if slot.ndim < 2 or not (layout.role in ("weight", "embedding") or hasattr(initializer, "in_axes")):
            return None, None
        shape = layout.block_shapes(slot.shape)[0]
        in_axes, out_axes, batch_axes = (getattr(initializer, name, None) for name in ("in_axes", "out_axes", "batch_axes"))
        return layout.with_axes(in_axes, out_axes, batch_axes, len(shape)).fans(shape)

    def _known(self, slot: Slot, used: frozenset[str]) -> dict[str, float]:
        """What the names in an expression mean here; what the user said as a knob goes over what the model's structure says."""
        knobs = dict(self.rules.knobs)
        if not NAMES.isdisjoint(used.difference(knobs)):
            structure = self._structured()
            knobs = {**structure.numbers, **structure.place(slot).names, **knobs}
        return names_for(slot, knobs)

    def _tied(self, slot: Slot, name: str) -> Row:
        assert slot.tied_to is not None
        if self._firsts is None:
            self._firsts = {s.name: s for s in self.inv.slots if s.tied_to is None and s.derived_from is None}
        first = self._decision(self._firsts[slot.tied_to]) if slot.tied_to in self._firsts else None
        own = self._decision(slot)
        note = ""
        if own is not None and first is not None and own.program != first.program and own.rule != first.rule:
            note = f"shadowed: {own.rule}"
        decision = Decision(slot.shape, slot.dtype, "tied", role=slot.layout.role, rule=f"tied to {slot.tied_to}", note=note)
        return Row(name, slot.key, decision, self.prefix + slot.tied_to, slot.is_buffer, slot.persistent)


_NOWHERE = Place()


def _unclaimed(slots: list[Slot], rules: Recipe) -> RuleError:
    groups = grouped((slot.name, (slot.shape, type(slot.module).__name__)) for slot in slots)
    by_name: Mapping[str, Slot] = {slot.name: slot for slot in slots}
    lines = [
        f"  {group.title}  {tuple(by_name[group.names[0]].shape)}  of {type(by_name[group.names[0]].module).__name__}"
        for group in groups[:20]
    ]
    if len(groups) > 20:
        lines.append(f"  … and {len(groups) - 20} groups more")
    paste = [f'  Rule("{group.glob}", Keep()),' for group in groups[:5]]
    what = f"the recipe {rules.name!r}" if rules.name else "the recipe"
    return RuleError(
        f"{what} claims no rule for {counted(len(slots), 'parameter')}:\n"
        + "\n".join(lines)
        + "\nsay what they get, or claim them as constructed by adding:\n"
        + "\n".join(paste)
    )
