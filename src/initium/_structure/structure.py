"""Structure: what a model says of its own shape: blocks, depth, layer index, and the roles of its weights beyond their layouts'.

Roles are read from the names of known families, then from an fx trace of each block, and what the user says goes over both.
Where none of them speaks there is no role: nothing is guessed, and a plan that used roles shows where they were read. It is
worked out only for recipes that ask for a structural role or for ``depth``, ``layer`` and their like.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import nn

from .._errors import ArgumentError, nearest
from .._fans import ROLES
from .._inventory import Inventory, Slot
from .._patterns import compiled
from .names import Owner, calls_itself_head, is_attention, is_block, roles_of
from .trace import Branch, branches_of, likeness

# Most specific first: the first of these that a tensor has is the one a plan shows.
STRUCTURAL = (
    *(
        "head",
        "router",
        "residual_out",
        "residual_norm",
        "query",
        "key",
        "value",
        "gate",
        "up",
        "output",
        "down",
        "branch",
        "first",
    ),
)
BIASES = tuple(f"{role}_bias" for role in STRUCTURAL if role != "residual_norm")
NAMES = frozenset({"depth", "layer", "branches", "branch", "width", "heads", "encoder_depth", "decoder_depth"})
_DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "depth")
_HEADS = ("num_heads", "n_heads", "num_attention_heads", "n_head", "heads", "nhead")  # as attributes of an attention
_WIDTHS = ("hidden_size", "n_embd", "d_model", "embed_dim", "dim")
LAYOUT_ROLES = frozenset(ROLES)
KNOWN_ROLES = (*ROLES, *STRUCTURAL, *BIASES)
Said = Sequence[tuple[str, tuple[str, ...]]]


class Place(NamedTuple):
    """Where a tensor stands.

    Args:
        roles: structural roles; a bias beside a weight of role ``x`` has ``x_bias``.
        layer: 0-based index of its block in the block's stack, or None outside blocks.
        depth: blocks in its stack; outside blocks, of the longest stack.
        branches: residual branches in its stack.
        branch: weights in its residual branch, itself included.
        heads: of the nearest module above it that counts its attention heads.
        attention: the outermost module above it whose class calls itself attention, by its full name.
        how: where the roles were read.
    """

    roles: tuple[str, ...] = ()
    layer: int | None = None
    depth: int | None = None
    branches: int | None = None
    branch: int | None = None
    how: str = ""
    heads: int | None = None
    attention: str | None = None

    @property
    def shown(self) -> str | None:
        """The most specific role."""
        return min(self.roles, key=_RANK.__getitem__, default=None)

    @property
    def names(self) -> dict[str, float]:
        """What expressions may refer to."""
        known = {"layer": self.layer, "depth": self.depth, "branches": self.branches, "branch": self.branch}
        known["heads"] = self.heads
        return {name: value for name, value in known.items() if value is not None}


_RANK = {role: rank for rank, role in enumerate((*STRUCTURAL, *BIASES))}


@dataclass
class _Stack:
    blocks: list[str] = field(default_factory=list)
    branches: int = 0


@dataclass(frozen=True)
class Structure:
    """A model's structure: a place for each tensor, numbers of the whole model, and what was read where."""

    places: Mapping[str, Place]
    numbers: Mapping[str, float]
    notes: tuple[str, ...]

    def place(self, slot: Slot) -> Place:
        return self.places.get(slot.name, Place())


def structure_of(inv: Inventory, said: Said = ()) -> Structure:
    """Read the structure of a model; ``said`` is the user's own word: (glob over full names, roles).

    Raises:
        ArgumentError: the user says a role that does not exist, or of a tensor that does not exist.
    """
    for glob, roles in said:
        for role in roles:
            if role not in _RANK:
                raise ArgumentError(
                    f"no structural role is called {role!r}.{nearest(role, _RANK)} Known: {', '.join(_RANK)} (roles: {glob})"
                )
    return _Reader(inv, said).read()


class _Reader:
    def __init__(self, inv: Inventory, said: Said) -> None:
        self.inv, self.said = inv, said
        self.modules = dict(inv.modules)
        self.slots = {slot.name: slot for slot in inv.slots if not slot.is_buffer}
        self.block_of: dict[str, tuple[_Stack, int]] = {}  # name of a block -> its stack, its index
        self.stacks: dict[str, _Stack] = {}
        self.roles: dict[str, tuple[tuple[str, ...], str]] = {}
        self.branch: dict[str, int] = {}
        self.opaque: list[str] = []
        self._traced: dict[object, tuple[Branch, ...] | None] = {}

    def read(self) -> Structure:
        self._find_blocks()
        self._by_names()
        self._by_trace()
        self._ends_of_the_model()
        self._by_user()
        depth = depth_of(self.inv.model)
        longest = max((len(stack.blocks) for stack in self.stacks.values()), default=None)
        if len(self.stacks) == 1 and depth is not None and depth[1].startswith("config."):
            longest = max(
                depth[0], longest or 0
            )  # of the whole network, also where this is a part; Swin's and ConvNeXt's counts stages
        elif longest is None and depth is not None:
            longest = depth[0]
        most = max((stack.branches for stack in self.stacks.values()), default=0) or None
        places = {name: self._place(name, longest, most) for name in self.slots}
        return Structure(places, self._numbers(), self._notes(places, depth))

    # --- blocks

    def _find_blocks(self) -> None:
        """The outermost blocks: elements of a container that call themselves blocks, or that a trace shows to be residual."""
        inside = ""
        for name, module in self.modules.items():
            if inside and name.startswith(inside):
                continue
            above, _, _ = name.rpartition(".")
            container = self.modules.get(above) if name else None
            if isinstance(container, (nn.Sequential, nn.ModuleList, nn.ModuleDict)) and (
                is_block(module) or self._is_residual(module)
            ):
                stack = self.stacks.setdefault(re.sub(r"\d+", "", name), _Stack())
                self.block_of[name] = stack, len(stack.blocks)
                stack.blocks.append(name)
                inside = name + "."

    def _is_residual(self, module: nn.Module) -> bool:
        composite = any(True for _ in module.children()) and not type(module).__module__.startswith("torch.nn.")
        return (
            composite
            and not isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict))
            and bool(self._branches(module))
            and not any(
                isinstance(child, (nn.Sequential, nn.ModuleList)) and any(map(is_block, child.children()))
                for child in module.modules()
            )
        )

    def _block(self, name: str) -> str | None:
        while name:
            name = name.rpartition(".")[0]
            if name in self.block_of:
                return name
        return None

    def _branches(self, module: nn.Module) -> tuple[Branch, ...] | None:
        """Its residual branches; blocks that are alike are traced once."""
        key = likeness(module)
        if key not in self._traced:
            self._traced[key] = branches_of(module)
        return self._traced[key]

    # --- roles

    def _by_names(self) -> None:
        for name, slot in self.slots.items():
            if slot.layout.role != "weight" or slot.derived_from is not None:
                continue
            of_block = name.rsplit(".", 2)[0] in self.block_of
            found = roles_of(slot, self._owner(name), self._block(name) is not None, of_block)
            if found is not None:
                self.roles[name] = found.roles, found.how

    def _owner(self, name: str) -> Owner:
        parts = name.split(".")[:-1]
        paths = [".".join(parts[: i + 1]) for i in range(len(parts))]
        modules = tuple(self.modules[path] for path in ["", *paths] if path in self.modules)
        return Owner(tuple(type(m).__name__ for m in modules), ("", *parts)[-len(modules) :], modules)

    def _by_trace(self) -> None:
        ended = Counter(
            block for name, (roles, _) in self.roles.items() if "residual_out" in roles and (block := self._block(name))
        )
        for block, (stack, _) in self.block_of.items():
            module = self.modules[block]
            traced = self._branches(module)
            if not traced:
                stack.branches += ended[block]
                if traced is None and not ended[block]:
                    self.opaque.append(block)
                continue
            stack.branches += max(len(traced), ended[block])
            for branch in traced:
                self._take(block, branch, by_names=ended[block] > 0)

    def _take(self, block: str, branch: Branch, by_names: bool) -> None:
        how = f"the trace of {type(self.modules[block]).__name__}"
        ends = [f"{block}.{end}" for end in branch.ends]
        if any(end.endswith(".") for end in ends):  # a module that could not be looked into: its names have spoken, or nobody
            return
        inner = [f"{block}.{name}" for name in branch.inner if not name.endswith(".")]
        for name in ends:
            if name in self.slots and (not by_names or name not in self.roles or "residual_out" in self.roles[name][0]):
                self._add_role(name, "residual_out", how)
        for name in inner:
            self._add_role(name, "branch", how)
        if branch.norm is not None:
            self._add_role(f"{block}.{branch.norm}", "residual_norm", how)
        for name in (*ends, *inner):
            self.branch[name] = len(branch.ends) + len(branch.inner)

    def _add_role(self, name: str, role: str, how: str) -> None:
        roles, said = self.roles.get(name, ((), how))
        if name in self.slots and role not in roles:
            self.roles[name] = (*roles, role), said

    def _ends_of_the_model(self) -> None:
        """The head by its name, outside blocks; and the first weight in the order of registration."""
        weights = [name for name in self.slots if self._is_map(name)]
        heads: dict[str, str] = {}
        for name in weights:
            if self._block(name) is None and calls_itself_head(name.rpartition(".")[0]):
                path = name.rpartition(".")[0].split(".")
                cut = next(i for i, part in enumerate(path) if calls_itself_head(part))
                heads[".".join(path[: cut + 1])] = name  # the last weight below it
        for name in heads.values():
            self._add_role(name, "head", "its own name")
        if weights and isinstance(self.inv.model, nn.Sequential) and not heads and self._is_last(weights[-1]):
            self._add_role(weights[-1], "head", "the end of the Sequential")
        if weights and self._block(weights[0]) is None:
            self._add_role(weights[0], "first", "the order of registration")

    def _is_last(self, name: str) -> bool:
        """Whether a weight's module is the last of the model's, Sequentials within Sequentials included."""
        module: nn.Module = self.inv.model
        for part in name.split(".")[:-1]:
            if not isinstance(module, nn.Sequential) or list(module._modules)[-1] != part:
                return False
            module = module._modules[part]
        return True

    def _by_user(self) -> None:
        for glob, roles in self.said:
            found = [name for name in self.slots if compiled(glob).fullmatch(name)]
            if not found:
                raise ArgumentError(
                    f"roles= says {', '.join(roles)} of {glob!r}, and no parameter has such a name.{nearest(glob, self.slots)}"
                )
            for name in found:
                self.roles[name] = roles, "what the recipe says"

    # --- what is made of it

    def _place(self, name: str, longest: int | None, most: int | None) -> Place:
        roles, how = self.roles.get(name, ((), ""))
        slot = self.slots[name]
        if not roles and slot.layout.role == "bias":
            beside, beside_how = self.roles.get(_weight_beside(name), ((), ""))
            roles, how = tuple(f"{role}_bias" for role in beside if f"{role}_bias" in _RANK), beside_how
        place = Place(roles, None, longest, most, self.branch.get(name), how, self._heads(name), self._attention(name))
        block = self._block(name)
        if block is None:
            return place
        stack, index = self.block_of[block]
        depth = longest if len(self.stacks) == 1 else len(stack.blocks)
        return place._replace(layer=index, depth=depth, branches=stack.branches or None)

    def _heads(self, name: str) -> int | None:
        path = name.rpartition(".")[0]
        while True:
            for attribute in _HEADS:
                count = getattr(self.modules.get(path), attribute, None)
                if isinstance(count, int) and not isinstance(count, bool):
                    return count
            if not path:
                return None
            path = path.rpartition(".")[0]

    def _attention(self, name: str) -> str | None:
        parts = name.split(".")[:-1]
        paths = [".".join(parts[: i + 1]) for i in range(len(parts))]
        return next((path for path in paths if path in self.modules and is_attention(self.modules[path], path)), None)

    def _numbers(self) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for kind in ("encoder", "decoder"):
            counts = [len(stack.blocks) for root, stack in self.stacks.items() if kind in root.split(".")]
            if counts:
                numbers[f"{kind}_depth"] = max(counts)
        config = getattr(self.inv.model, "config", None)
        width = next((value for name in _WIDTHS if isinstance(value := getattr(config, name, None), int)), None)
        if width is None:
            tables = [slot.shape[-1] for slot in self.slots.values() if slot.layout.role == "embedding" and slot.ndim == 2]
            width = tables[0] if tables else None
        if width is not None:
            numbers["width"] = width
        return numbers

    def _notes(self, places: Mapping[str, Place], depth: tuple[int, str] | None) -> tuple[str, ...]:
        found = Counter(
            (place.shown, place.how) for place in places.values() if place.roles and not place.roles[0].endswith("_bias")
        )
        notes = [f"role {role} ×{count}: by {how}" for (role, how), count in found.items()]
        notes += [f"{len(stack.blocks)} blocks: {stack.blocks[0]} … {stack.blocks[-1]}" for stack in self.stacks.values()]
        if self.opaque:
            notes.append(
                f"no residual branch could be read in {len(self.opaque)} blocks ({self.opaque[0]}, …): say roles= where you need them"
            )
        bare = [name for name, place in places.items() if place.layer is not None and not place.roles and self._is_map(name)]
        if bare:
            alike = list(dict.fromkeys(re.sub(r"\d+", "*", name) for name in bare))
            shown = ", ".join([*alike[:4], *(["…"] if len(alike) > 4 else [])])
            notes.append(f"no role for {len(bare)} weights in blocks ({shown}): say roles= where a rule should reach them")
        if not self.stacks and depth is not None:
            notes.append(f"no blocks were found: depth {depth[0]} is that of {depth[1]}")
        return tuple(notes)

    def _is_map(self, name: str) -> bool:
        slot = self.slots[name]
        return slot.layout.role == "weight" and slot.derived_from is None


def _weight_beside(bias: str) -> str:
    head, _, local = bias.rpartition(".")
    local = "in_proj_weight" if local == "in_proj_bias" else local.replace("bias", "weight")
    return f"{head}.{local}" if head else local


def depth_of(model: nn.Module) -> tuple[int, str] | None:
    """(number of blocks, where that was read): the config's word, else the longest list of modules of one class; or None."""
    config = getattr(model, "config", None)
    for name in _DEPTHS:
        value = getattr(config, name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            return value, f"config.{name}"
    best: tuple[int, str] | None = None
    for name, module in model.named_modules():
        children = list(module._modules.values()) if isinstance(module, (nn.ModuleList, nn.Sequential)) else []
        if len(children) > 1 and len({type(child) for child in children}) == 1 and (best is None or len(children) > best[0]):
            best = len(children), name
    return best
