"""What an operator's schema says, and the tensors among its arguments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

aten = torch.ops.aten


class Kind(NamedTuple):
    """What an operator's schema says.

    Args:
        only_looks: a view, or a question about shape and type.
        is_out: its written arguments are outputs that it does not read.
        changes: positions (names, for keyword-only ones) of the arguments that it writes to.
        returns: how many results it has.
    """

    only_looks: bool
    is_out: bool
    changes: tuple[int | str, ...]
    returns: int

    def returned(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What it returns where it writes to arguments: these."""
        targets = [at(place, args, kwargs) for place in self.changes]
        return None if self.returns == 0 else targets[0] if self.returns == 1 else tuple(targets)


_KINDS: dict[int, tuple[Kind, Any]] = {}  # by the id of the operator, which is kept with it: to hash one takes Python


def kind_of(func: Any) -> Kind:
    """The operator's kind, worked out once."""
    found = _KINDS.get(id(func))
    if found is None:
        found = _KINDS[id(func)] = _kind_of(func), func
    return found[0]


def _kind_of(func: Any) -> Kind:
    schema = func._schema
    changes: list[int | str] = []
    place = 0
    for argument in schema.arguments:
        if argument.alias_info is not None and argument.alias_info.is_write:
            changes.append(argument.name if argument.kwarg_only else place)
        place += 1
    aliases = any(ret.alias_info is not None and not ret.alias_info.is_write for ret in schema.returns)
    only_looks = (aliases and not changes) or func in _LOOKS or torch.Tag.inplace_view in func.tags
    is_out = bool(changes) and all(isinstance(change, str) for change in changes)
    return Kind(only_looks, is_out, tuple(changes), len(schema.returns))


_LOOKS = {
    aten.set_.source_Storage,
    aten.set_.source_Storage_storage_offset,
    aten.set_.source_Tensor,
    aten.resize_.default,
    aten.is_same_size.default,
    aten._has_compatible_shallow_copy_type.default,
    aten.is_pinned.default,
    aten.sym_size.int,
    aten.sym_stride.int,
    aten.sym_numel.default,
}


def at(place: int | str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if isinstance(place, str):
        return kwargs.get(place)
    return args[place] if place < len(args) else None


def tensors_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Tensor]:
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from (part for part in value if isinstance(part, Tensor))


def on_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    if isinstance(value, dict):
        return {
            name: torch.device("meta") if name == "device" and part is not None else on_meta(part)
            for name, part in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(on_meta(part) for part in value)
    return value


def looks_like(value: Any) -> Any:
    """All that ``on_meta`` keeps of a value, to be compared and hashed; what two calls give on meta is the same where this is."""
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype
    if isinstance(value, dict):
        return tuple((name, looks_like(part)) for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return type(value), tuple(looks_like(part) for part in value)
    return type(value), value
