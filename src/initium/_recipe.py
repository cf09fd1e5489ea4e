"""Recipe: what a network gets, an ordered list of rules. The last rule that matches wins, as in .gitignore and CSS."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ._errors import ArgumentError, ArgumentTypeError, InitiumError, RuleError, WriteError, nearest
from ._fans import BARE, BIAS
from ._init.dropin import fill_by_generator
from ._inventory import Slot
from ._layouts.registry import layouts_of
from ._rules import Rule
from ._tensors import why_flat
from ._torch_defaults import torch_default
from ._uncompiled import uncompiled
from .initializers import ClassDefault, Constant, Initializer, Keep, Parts, Reset
from .initializers._base import as_real


@dataclass(frozen=True, init=False)
class Recipe:
    """An ordered list of rules, for a whole network.

    Args:
        rules: the rules, general ones first; or several arguments of one rule each.
        name: how it is called, in tables and messages.
        knobs: the numbers it was made with; expressions may use them.
        roles: structural roles that the user says: ``{"**.proj.weight": "residual_out"}``, globs over full names; they go over what
            names and traces tell.

    Example:
        >>> mine = Recipe([Rule(nn.Linear, weight="xavier_normal", bias=0), Rule("head.*", Normal(std=0.01))])
        >>> len(mine.rules)
        2
    """

    rules: tuple[Rule, ...]
    name: str
    knobs: tuple[tuple[str, float], ...]
    roles: tuple[tuple[str, tuple[str, ...]], ...]

    def __init__(
        self,
        rules: Iterable[Rule] | Rule,
        *more: Rule,
        name: str = "",
        knobs: Mapping[str, float] | None = None,
        roles: Mapping[str, str | tuple[str, ...]] | None = None,
    ) -> None:
        listed = (rules, *more) if isinstance(rules, Rule) else (*rules, *more)
        for rule in listed:
            if not isinstance(rule, Rule):
                raise ArgumentTypeError(f"a recipe is made of rules, not {type(rule).__name__}: write Rule(where, initializer)")
        object.__setattr__(self, "rules", listed)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "knobs", tuple((knobs or {}).items()))
        said = ((glob, (role,) if isinstance(role, str) else tuple(role)) for glob, role in (roles or {}).items())
        object.__setattr__(self, "roles", tuple(said))

    def __add__(self, other: Recipe | Iterable[Rule]) -> Recipe:
        """This recipe with further rules over it."""
        more = other.rules if isinstance(other, Recipe) else tuple(other)
        knobs, roles = dict(self.knobs), dict(self.roles)
        if isinstance(other, Recipe):
            roles |= dict(other.roles)
        return Recipe((*self.rules, *more), name=self.name, knobs=knobs, roles=roles)

    def decide(self, slot: Slot, roles: tuple[str, ...] = ()) -> tuple[tuple[int, ...], Initializer | None, tuple[int, ...]]:
        """(indices of the rules that hold, what the tensor gets, indices of the rules they overrode).

        One rule holds, the last that matches; where that speaks of rows or gates, so do the others back to one that speaks of
        the whole tensor.
        """
        hits = [(i, found) for i, rule in enumerate(self.rules) if (found := rule.initializer_for(slot, roles)) is not None]
        parts: list[tuple[str, Initializer]] = []
        for n in range(len(hits) - 1, -1, -1):
            index, initializer = hits[n]
            selector = self.rules[index].selector(slot)
            if not selector:
                holding = tuple(i for i, _ in hits[n:])
                return holding, Parts(initializer, tuple(parts[::-1])) if parts else initializer, tuple(i for i, _ in hits[:n])
            parts.append((selector, initializer))
        return tuple(i for i, _ in hits), Parts(None, tuple(parts[::-1])) if parts else None, ()

    @property
    def needs_structure(self) -> bool:
        """Whether a rule asks for a role in the structure, or for depth, layer and their like where no knob says them."""
        knobs = dict(self.knobs)
        return any(rule.structure.difference(knobs) for rule in self.rules)

    @uncompiled
    def __call__(self, module: nn.Module) -> None:
        """Initialise the tensors that a module itself owns, by type and local name: for ``model.apply(recipe)`` and for loops.

        Keys come from torch's generator; a module that no rule matches is left alone.

        Raises:
            RuleError: a rule looks at full names, which one module does not have.
        """
        if not isinstance(module, nn.Module):
            raise ArgumentTypeError(f"a recipe is called with a module, not {type(module).__name__}")
        for rule in self.rules:
            if rule.needs_names or rule.structure.difference(dict(self.knobs)):
                what = "full names" if rule.needs_names else "the structure of the network"
                raise RuleError(
                    f"{rule} looks at {what}, and a lone module has none: use initium.initialize(model, recipe, seed=0) ({rule.source})"
                )
        if reason := why_flat(module):
            raise WriteError(f"the tensors of {type(module).__name__} cannot be written: {reason}")
        layouts = layouts_of(module)
        for tensors, is_buffer in ((module._parameters, False), (module._buffers, True)):
            for local, tensor in tensors.items():
                if tensor is None:
                    continue
                layout = layouts.get(local, BIAS if local == "bias" and tensor.dim() == 1 else BARE)
                slot = Slot.alone(module, local, tensor, layout, is_buffer)
                _, initializer, _ = self.decide(slot)
                if is_buffer and initializer is None and layout.reset is not None:
                    initializer = Reset()
                initializer = settled(initializer, slot)
                if initializer is not None:
                    names = names_for(slot, dict(self.knobs))
                    fill_by_generator(tensor, initializer.bound(names), layout)

    def __str__(self) -> str:
        lines = [f"  {rule}" for rule in self.rules]
        return "\n".join([f"Recipe {self.name}" if self.name else "Recipe", *lines])


def settled(initializer: Initializer | None, slot: Slot, above: Iterable[tuple[str, nn.Module]] = ()) -> Initializer | None:
    """What is to be written, after ``Keep``, ``Reset`` and ``ClassDefault`` have said their word; None for nothing.

    ``above`` are the modules, outermost first, that initialise their descendants' tensors too.
    """
    if isinstance(initializer, Parts):
        return initializer.each(lambda part: settled(part, slot, above))
    if isinstance(initializer, Reset):
        return None if slot.layout.reset is None else Constant(slot.layout.reset)
    if isinstance(initializer, Keep):
        return None
    if isinstance(initializer, ClassDefault):
        for prefix, module in above:
            if slot.module is not module and slot.name.startswith(prefix):
                found = torch_default(module, slot.name[len(prefix) :])
                if found is not None:
                    return found
        return torch_default(slot.module, slot.local)
    return initializer


def names_for(slot: Slot, known: Mapping[str, float]) -> dict[str, float]:
    """What an expression may refer to: the knobs, and the tensor's fans and sizes."""
    names: dict[str, float] = {**known, "numel": slot.tensor.numel(), "ndim": slot.ndim, "groups": slot.layout.groups}
    if slot.ndim >= 2 or slot.layout.role == "embedding":
        names["fan_in"], names["fan_out"] = slot.layout.fans(slot.layout.block_shapes(slot.shape)[0])
    return names


Factory = Callable[..., Recipe]


@dataclass(frozen=True)
class Named:
    """A named recipe: its function, and what ``initium recipes`` says of it."""

    name: str
    factory: Factory
    aliases: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The first line of its docstring: what a network gets."""
        return (self.factory.__doc__ or "").strip().partition("\n")[0]

    @property
    def family(self) -> str:
        """The file it stands in, by its bare name."""
        return self.factory.__module__.rpartition(".")[2]

    def said(self, section: str) -> str:
        """What its docstring says under ``Use when:``, ``Not when:`` or ``Source:``, on one line; "" where it says nothing."""
        text = inspect.getdoc(self.factory) or ""
        found = re.search(rf"^{section}: (.*?)(?=\n\n|\n[A-Z][\w ]*:|\Z)", text, re.DOTALL | re.MULTILINE)
        return " ".join(found.group(1).split()) if found else ""


_NAMED: dict[str, Named] = {}


def named(name: str, *aliases: str) -> Callable[[Factory], Factory]:
    """Register a function that makes a recipe under a name; packages do so through the entry point ``initium.recipes``."""

    name, aliases = name.lower(), tuple(alias.lower() for alias in aliases)

    def register(factory: Factory) -> Factory:
        entry = Named(name, factory, aliases)
        for word in (name, *aliases):
            known = _NAMED.get(word)
            if known is not None and _home(known.factory) != _home(factory):
                raise ArgumentError(f"two recipes are called {word!r}: {_home(known.factory)} and {_home(factory)}")
        _NAMED.update(dict.fromkeys((name, *aliases), entry))
        return factory

    return register


def _home(factory: Factory) -> str:
    return f"{factory.__module__}.{factory.__qualname__}"


def named_recipes() -> dict[str, Named]:
    """Every named recipe, aliases left out, entry points included."""
    from . import recipes  # noqa: F401  (registers ours)

    _register_others()
    return {name: entry for name, entry in sorted(_NAMED.items()) if entry.name == name}


@functools.lru_cache(maxsize=1)
def _register_others() -> None:
    """Register what other packages bring that has not registered itself; of two of one name the first stays, and a warning says so."""
    from ._plugins import leave_out, load

    for name, found in load("initium.recipes").items():
        factory = _always(found) if isinstance(found, Recipe) else found
        if any(entry.factory is found for entry in _NAMED.values()):
            continue
        if not callable(factory):
            leave_out("initium.recipes", repr(name), f"it is {type(found).__name__}, and not a function that makes a Recipe")
            continue
        try:
            named(name)(factory)
        except ArgumentError as error:
            leave_out("initium.recipes", repr(name), str(error))


def _always(made: Recipe) -> Factory:
    def factory() -> Recipe:
        return made

    factory.__qualname__ = f"the Recipe {made.name or 'itself'}"
    return factory


def recipe(source: str | Path | Recipe | Rule | Sequence[Rule], /, **knobs: Any) -> Recipe:
    """A recipe by name, from a YAML or JSON file, or from rules.

    Args:
        source: a name (``"he"``), a path ending in .yaml, .yml or .json, a Recipe, or rules.
        knobs: the numbers the recipe takes: ``recipe("normal", std=0.02)``.

    Raises:
        ArgumentError: an unknown name or knob; the message offers the nearest.
        FileError: a file that is not a recipe, with line and column.

    Example:
        >>> recipe("kaiming").name
        'he'
    """
    if isinstance(source, Recipe):
        return replace_knobs(source, knobs)
    if isinstance(source, Rule):
        return replace_knobs(Recipe([source]), knobs)
    if isinstance(source, (str, Path)):
        if str(source).lower().endswith((".yaml", ".yml", ".json")):
            from ._text.recipes import read_recipe

            return replace_knobs(read_recipe(Path(source)), knobs)
        named_recipes()
        entry = _NAMED.get(str(source).lower())
        if entry is None:
            raise ArgumentError(
                f"no recipe is called {str(source)!r}.{nearest(str(source), _NAMED)} "
                f"Known: {', '.join(named_recipes())}; or give a path that ends in .yaml or .json"
            )
        return _called(entry, knobs)
    if isinstance(source, Sequence):
        return replace_knobs(Recipe(tuple(source)), knobs)  # type: ignore[arg-type]
    raise ArgumentTypeError(f"a recipe is a name, a path, rules or a Recipe, not {type(source).__name__}")


def _called(entry: Named, knobs: dict[str, Any]) -> Recipe:
    known = inspect.signature(entry.factory).parameters
    for knob in knobs:
        if knob not in known and not any(one.kind is one.VAR_KEYWORD for one in known.values()):
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise ArgumentError(f"the recipe {entry.name!r} has no knob {knob!r}: {takes}")
    needed = [knob for knob, one in known.items() if one.default is one.empty and one.kind is not one.VAR_KEYWORD]
    if missing := [knob for knob in needed if knob not in knobs]:
        raise ArgumentError(
            f"the recipe {entry.name!r} has to be told {', '.join(missing)}: recipe({entry.name!r}, {missing[0]}=…)"
        )
    knobs = {knob: _as_annotated(entry, known.get(knob), knob, value) for knob, value in knobs.items()}
    try:
        made = entry.factory(**knobs)
    except TypeError as error:
        if isinstance(error, InitiumError) or not (texts := [knob for knob, value in knobs.items() if isinstance(value, str)]):
            raise
        raise ArgumentTypeError(f"the recipe {entry.name!r} cannot do with {texts[0]}={knobs[texts[0]]!r}: {error}") from None
    if not isinstance(made, Recipe):
        raise ArgumentTypeError(f"the recipe {entry.name!r} made {type(made).__name__}, not a Recipe ({_home(entry.factory)})")
    return Recipe(made.rules, name=entry.name, knobs=dict(made.knobs), roles=dict(made.roles))


def _as_annotated(entry: Named, parameter: inspect.Parameter | None, knob: str, value: object) -> object:
    """A knob's value, held to what its function says it is: numbers are finite, and True is none; a text may be an expression."""
    said = None if parameter is None else getattr(parameter.annotation, "__name__", parameter.annotation)
    owner = f"the recipe {entry.name!r}"
    if said == "bool":
        if not isinstance(value, bool):
            raise ArgumentTypeError(f"{owner} expects True or False for {knob}, got {value!r}")
    elif said == "str" and knob != "base":  # a base may be rules too
        if not isinstance(value, str):
            raise ArgumentTypeError(f"{owner} expects a text for {knob}, got {value!r}")
    elif said in ("int", "float", "float | None") and not isinstance(value, str) and not (value is None and "None" in said):
        number = as_real(value, knob, owner)
        if not math.isfinite(number):
            raise ArgumentError(f"{owner} expects a finite number for {knob}, got {value!r}")
        return number
    return value


def replace_knobs(base: Recipe, knobs: Mapping[str, Any]) -> Recipe:
    """The same rules with further numbers for their expressions."""
    for knob, value in knobs.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ArgumentTypeError(f"the knob {knob!r} is a number, not {value!r}")
    known = {**dict(base.knobs), **knobs}
    return Recipe(base.rules, name=base.name, knobs=known, roles=dict(base.roles)) if knobs else base
