"""Inventory: every parameter and buffer of a model, under its canonical name, with its owner, layout, tie and computation. Only reads.

A canonical name has no wrapper in it: a component goes where its *owner is* a wrapper (DDP, FSDP, torch.compile, checkpoint), never
for its spelling. The key is the tensor's own state_dict key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ._errors import PlanError
from ._fans import BARE, BIAS, KEPT_BUFFER, Layout
from ._layouts import layouts_of
from ._parametrized import Computed, computed_weights

# class -> (the child that it wraps, whether that child's name stands in the state_dict's keys)
_WRAPPERS = {
    "torch.nn.parallel.distributed.DistributedDataParallel": ("module", True),
    "torch.nn.parallel.data_parallel.DataParallel": ("module", True),
    "torch.distributed.fsdp.fully_sharded_data_parallel.FullyShardedDataParallel": ("_fsdp_wrapped_module", False),
    "torch.distributed.algorithms._checkpoint.checkpoint_wrapper.ActivationWrapper": ("_checkpoint_wrapped_module", False),
    "torch._dynamo.eval_frame.OptimizedModule": ("_orig_mod", True),
    "deepspeed.runtime.engine.DeepSpeedEngine": ("module", False),
}
_WRAPPED: dict[type, tuple[str, bool] | None] = {}


class Slot(NamedTuple):
    """One tensor of a model.

    Args:
        name: canonical full name, the one the stream and the patterns use.
        key: the model's own state_dict key.
        tensor: the tensor; for a computed weight the value that the forward pass uses.
        module: the module that owns it.
        local: its name on that module.
        layout: what its axes mean.
        is_buffer: a buffer, not a parameter.
        tied_to: the first name of the same tensor, or None.
        derived_from: the logical weight that this original belongs to, or None.
        computed: how to write it, where it is a computed weight.
    """

    name: str
    key: str
    tensor: Tensor
    module: nn.Module
    local: str
    layout: Layout
    is_buffer: bool
    tied_to: str | None
    derived_from: str | None
    computed: Computed | None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape)

    @property
    def dtype(self) -> torch.dtype:
        return self.tensor.dtype

    @property
    def ndim(self) -> int:
        return self.tensor.dim()

    @property
    def role(self) -> str:
        return self.layout.role


@dataclass(frozen=True)
class Inventory:
    """A model's tensors and modules, in the order of ``named_parameters``."""

    model: nn.Module
    slots: tuple[Slot, ...]
    modules: tuple[tuple[str, nn.Module], ...]


class _Place(NamedTuple):
    name: str  # canonical prefix, with its trailing dot
    key: str
    module: nn.Module
    words: Mapping[str, Layout]  # what ancestors say of tensors below here, by name relative to this module
    derived: Mapping[str, str]  # originals below here: relative name -> logical full name


def inventory(model: nn.Module) -> Inventory:
    """Read a model, real, sharded or on meta.

    Raises:
        PlanError: two tensors have one canonical name.
    """
    if not isinstance(model, nn.Module):
        raise PlanError(f"a model is an nn.Module, got {type(model).__name__}")
    slots: list[Slot] = []
    modules: list[tuple[str, nn.Module]] = []
    first: dict[object, str] = {}
    seen: dict[str, str] = {}
    for place in _places(_Place("", "", model, {}, {}), ()):
        modules.append((place.name[:-1], place.module))
        for slot in _slots(place, first):
            if slot.name in seen:
                raise PlanError(
                    f"two tensors have the canonical name {slot.name!r}: {seen[slot.name]} and {slot.key}; rename one of the modules"
                )
            seen[slot.name] = slot.key
            slots.append(slot)
    return Inventory(model, tuple(slots), tuple(modules))


def _places(place: _Place, path: tuple[int, ...]) -> Iterator[_Place]:
    """The module and its descendants, depth first, shared modules under each of their names."""
    module = place.module
    if id(module) in path:
        raise PlanError(f"{place.name[:-1] or 'the model'} contains itself")
    wrapped = _wrapped(module)
    words = place.words
    for name, layout in layouts_of(module).items():
        if "." in name and name not in words:
            words = {**words, name: layout}
    yield place if words is place.words else place._replace(words=words)
    derived = place.derived
    if "parametrizations" in module._modules:
        for computed in computed_weights(module):
            derived = {**derived, **{name: place.name + computed.local for name in computed.originals}}
    for child_name, child in module._modules.items():
        if child is None:
            continue
        here = f"{child_name}."
        name, key = place.name + here, place.key + here
        if wrapped is not None and wrapped[0] == child_name:
            name, key = place.name, key if wrapped[1] else place.key
            below, lower = words, derived
        else:
            below = {n[len(here) :]: layout for n, layout in words.items() if n.startswith(here)} if words else words
            lower = {n[len(here) :]: full for n, full in derived.items() if n.startswith(here)} if derived else derived
        yield from _places(_Place(name, key, child, below, lower), (*path, id(module)))


def _slots(place: _Place, first: dict[object, str]) -> Iterator[Slot]:
    module = place.module
    own = layouts_of(module) if module._parameters or module._buffers or module._forward_pre_hooks else {}
    hidden: dict[str, str] = dict(place.derived)
    if "parametrizations" in module._modules or module._forward_pre_hooks:
        for computed in computed_weights(module):
            hidden.update((original, place.name + computed.local) for original in computed.originals)
            layout = place.words.get(computed.local) or layouts_of(module).get(computed.local, BARE)
            yield Slot(
                place.name + computed.local,
                place.key + computed.local,
                computed.read(),
                module,
                computed.local,
                layout,
                False,
                None,
                None,
                computed,
            )
    for tensors, is_buffer in ((module._parameters, False), (module._buffers, True)):
        for local, tensor in tensors.items():
            if tensor is None:
                continue
            name = place.name + local
            layout = (place.words.get(local) if place.words else None) or own.get(local)
            if layout is None:
                layout = KEPT_BUFFER if is_buffer else BIAS if _is_bias(local, tensor) else BARE
            tied_to = first.setdefault(_identity(tensor), name)
            yield Slot(
                name,
                place.key + local,
                tensor,
                module,
                local,
                layout,
                is_buffer,
                None if tied_to == name else tied_to,
                hidden.get(local),
                None,
            )


def _is_bias(local: str, tensor: Tensor) -> bool:
    """A 1-D parameter called bias, on a class nobody has described."""
    return local == "bias" and tensor.dim() == 1


def _identity(tensor: Tensor) -> object:
    """What two names of one tensor share: the object, or for plain tensors the memory they show in the same way."""
    if type(tensor) in (Tensor, nn.Parameter) and not tensor.is_meta and tensor.layout is torch.strided and tensor.numel():
        return tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()
    return id(tensor)


def _wrapped(module: nn.Module) -> tuple[str, bool] | None:
    cls = type(module)
    if cls not in _WRAPPED:
        names = [f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__]
        _WRAPPED[cls] = next((_WRAPPERS[name] for name in names if name in _WRAPPERS), None)
    return _WRAPPED[cls]
