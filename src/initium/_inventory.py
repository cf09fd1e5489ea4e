"""Inventory: every parameter and buffer of a model, under its canonical name, with its owner, layout, tie and computation. Only reads.

A canonical name has no wrapper in it: a component goes where its *owner is* a wrapper (DDP, FSDP, torch.compile, checkpoint), never
for its spelling. The key is the tensor's own state_dict key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from ._errors import PlanError
from ._fans import BARE, BIAS, KEPT_BUFFER, Layout
from ._layouts.registry import layouts_of
from ._parametrized import Computed, computed_weights
from ._sharded.computed import shard_aware
from ._sharded.placed import reshard
from ._tensors import address, why_flat, why_placeholder, why_unreadable
from ._tuples import from_fields

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
        size, dtype, address: of the tensor (see ``_tensors.address``), asked once.
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
    size: torch.Size
    dtype: torch.dtype
    address: int

    @classmethod
    def alone(cls, module: nn.Module, local: str, tensor: Tensor, layout: Layout, is_buffer: bool) -> Slot:
        """A tensor of a module that is looked at by itself."""
        return cls(
            local,
            local,
            tensor,
            module,
            local,
            layout,
            is_buffer,
            None,
            None,
            None,
            tensor.shape,
            tensor.dtype,
            address(tensor),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.size)

    @property
    def persistent(self) -> bool:
        """Whether a state_dict has it: some buffers it has not."""
        return not self.is_buffer or self.local not in self.module._non_persistent_buffers_set

    @property
    def ndim(self) -> int:
        return len(self.size)

    @property
    def role(self) -> str:
        return self.layout.role


_as_slot = from_fields(Slot)


@dataclass(frozen=True)
class Inventory:
    """A model's tensors and modules, in the order of ``named_parameters``."""

    model: nn.Module
    slots: tuple[Slot, ...]
    modules: tuple[tuple[str, nn.Module], ...]


def inventory(model: nn.Module) -> Inventory:
    """Read a model, real, sharded or on meta.

    Raises:
        PlanError: two tensors have one canonical name, or the model is no module.
    """
    if not isinstance(model, nn.Module):
        raise PlanError(f"a model is an nn.Module, got {type(model).__name__}")
    reshard(model)
    walk = _Walk()
    walk.module(model, "", "", {}, {})
    keys: dict[str, str] = {}
    if len({slot.name for slot in walk.slots}) < len(walk.slots):
        for slot in walk.slots:
            other = keys.setdefault(slot.name, slot.key)
            if other != slot.key:
                raise PlanError(
                    f"two tensors have the canonical name {slot.name!r}: {other} and {slot.key}; rename one of the modules"
                )
    return Inventory(model, tuple(walk.slots), tuple(walk.modules))


class _Walk:
    """The depth-first walk through a model, shared modules under each of their names. Written for 100,000 modules."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.modules: list[tuple[str, nn.Module]] = []
        self._first: dict[int, Slot] = {}  # by address, or minus the object's id
        self._views: dict[tuple[object, ...], str] = {}  # other shapes at a known address
        self._path: set[int] = set()

    def module(self, module: nn.Module, name: str, key: str, words: Mapping[str, Layout], derived: Mapping[str, str]) -> None:
        """Read a module and what is below it.

        Args:
            module: the module.
            name, key: its canonical and its state_dict prefix, each with a trailing dot.
            words: what ancestors say of the layouts below here, by name relative to this module.
            derived: originals of computed weights below here, relative name -> logical full name.
        """
        if isinstance(module, torch.jit.ScriptModule):
            raise PlanError(
                f"{name[:-1] or 'the model'} is a scripted module, whose classes are gone: initialise the model that it is made "
                f"from, then call torch.jit.script"
            )
        self.modules.append((name[:-1], module))
        own, children = layouts_of(module), module._modules
        if children:
            for said, layout in own.items():
                if "." in said and said not in words:
                    words = {**words, said: layout}
        hidden = derived
        if "parametrizations" in children or module._forward_pre_hooks:
            for computed in computed_weights(module):
                hidden = {**hidden, **dict.fromkeys(computed.originals, name + computed.local)}
                self._computed(computed, module, name, key, words.get(computed.local) or own.get(computed.local, BARE))
        if module._parameters:
            if "_flat_param" in module._parameters and (reason := why_flat(module)):
                raise PlanError(f"the tensors of {name[:-1] or 'the model'} cannot be read: {reason}")
            self._tensors(module, module._parameters, False, name, key, words, own, hidden)
        if module._buffers:
            self._tensors(module, module._buffers, True, name, key, words, own, hidden)
        if children:
            self._children(module, name, key, words, hidden)

    def _children(
        self, module: nn.Module, name: str, key: str, words: Mapping[str, Layout], derived: Mapping[str, str]
    ) -> None:
        if id(module) in self._path:
            raise PlanError(f"{name[:-1] or 'the model'} contains itself")
        self._path.add(id(module))
        wrapped = _wrapped(module)
        if wrapped is not None and (reason := why_unreadable(module)):
            raise PlanError(f"the tensors of {name[:-1] or 'the model'} cannot be read: {reason}")
        for local, child in module._modules.items():
            if child is None:
                continue
            here = local + "."
            if wrapped is not None and wrapped[0] == local:
                self.module(child, name, key + here if wrapped[1] else key, words, derived)
                continue
            below = name + here
            self.module(
                child,
                below,
                below if key is name else key + here,
                _below(words, here) if words else words,
                _below(derived, here) if derived else derived,
            )
        self._path.discard(id(module))

    def _tensors(
        self,
        module: nn.Module,
        tensors: Mapping[str, Tensor | None],
        is_buffer: bool,
        prefix: str,
        key: str,
        words: Mapping[str, Layout],
        own: Mapping[str, Layout],
        hidden: Mapping[str, str],
    ) -> None:
        slots, first = self.slots, self._first
        for local, tensor in tensors.items():
            if tensor is None:
                continue
            name = prefix + local
            layout = words.get(local) if words else None
            if layout is None:
                layout = own.get(local)
                if layout is None:
                    layout = KEPT_BUFFER if is_buffer else BIAS if _is_bias(local, tensor) else BARE
            where = address(tensor)
            if not where:
                _refuse_unreadable(tensor, name)
            known = first.get(where or -id(tensor))
            tied_to = None if known is None else self._shown_before(known, name, tensor)
            derived_from = hidden.get(local) if hidden else None
            own_key = name if key is prefix else key + local
            size, dtype = tensor.shape, tensor.dtype
            slot = _as_slot(
                (name, own_key, tensor, module, local, layout, is_buffer, tied_to, derived_from, None, size, dtype, where)
            )
            slots.append(slot)
            if known is None:
                first[where or -id(tensor)] = slot

    def _shown_before(self, known: Slot, name: str, tensor: Tensor) -> str | None:
        """The first name of a tensor that shows the same memory in the same way; another view of it is no tie."""
        other = known.tensor
        if tensor is other or (
            tensor.shape == other.shape and tensor.stride() == other.stride() and tensor.dtype == other.dtype
        ):
            return known.name
        first = self._views.setdefault((known.address, tensor.shape, tensor.stride(), tensor.dtype), name)
        return None if first is name else first

    def _computed(self, computed: Computed, module: nn.Module, name: str, key: str, layout: Layout) -> None:
        local, computed = computed.local, shard_aware(computed, module)
        slot = Slot.alone(module, local, computed.read(), layout, False)
        self.slots.append(slot._replace(name=name + local, key=key + local, computed=computed))


V = TypeVar("V")


def _below(relative: Mapping[str, V], here: str) -> Mapping[str, V]:
    """What is said of names below a child, relative to it."""
    return {name[len(here) :]: value for name, value in relative.items() if name.startswith(here)}


def _is_bias(local: str, tensor: Tensor) -> bool:
    """A 1-D parameter called bias, on a class nobody has described."""
    return local == "bias" and tensor.dim() == 1


def _refuse_unreadable(tensor: Tensor, name: str) -> None:
    if isinstance(tensor, UninitializedTensorMixin):
        raise PlanError(f"{name} is lazy and has no shape yet: run one forward pass first")
    if reason := why_placeholder(tensor):
        raise PlanError(f"{name} cannot be read: {reason}")


def _wrapped(module: nn.Module) -> tuple[str, bool] | None:
    cls = type(module)
    if cls not in _WRAPPED:
        names = [f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__]
        _WRAPPED[cls] = next((_WRAPPERS[name] for name in names if name in _WRAPPERS), None)
    return _WRAPPED[cls]
