"""Computed weights (weight_norm, spectral_norm, any parametrization) whose originals are sharded.

Their computation needs whole tensors, and torch would gather them. Here each rank computes the whole, one weight at a time, and keeps
its parts of the originals: no collective, and the same originals whatever the mesh.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from .._parametrized import Computed
from .._tensors import is_dtensor


def shard_aware(computed: Computed, module: nn.Module) -> Computed:
    """The same computed weight, read and written without collectives where an original is sharded."""
    homes = {name: _home(module, name) for name in computed.originals}
    originals = {name: home[local] for name, (home, local) in homes.items()}
    if not any(is_dtensor(tensor) for tensor in originals.values()):
        return computed
    seen: list[Tensor] = []  # what the forward pass uses, once it has been written

    def read() -> Tensor:
        if seen:
            return seen[0]
        with _whole(module, computed.local, homes):
            value = computed.read()
        return torch.empty((), dtype=value.dtype, device=value.device).expand(value.shape)  # the values are on other ranks

    def write(value: Tensor) -> None:
        from .._execute import Batch
        from .._programs import Given
        from .._stream import Key
        from .placed import located

        with _whole(module, computed.local, homes):
            computed.write(value)
            seen[:] = [computed.read()]
            wholes = {name: home[local].detach() for name, (home, local) in homes.items()}
        batch = Batch()
        for name, tensor in originals.items():
            local, region = located(tensor)
            batch.add(local, Given(wholes[name]), lambda tag: Key(0, 0, 0, 0), region)
        batch.run()

    return dataclasses.replace(computed, read=read, write=write)


Homes = Mapping[str, tuple[dict[str, Tensor], str]]


@contextlib.contextmanager
def _whole(module: nn.Module, local: str, homes: Homes) -> Iterator[None]:
    """Plain whole tensors in the place of a module's originals, for a while."""
    before = {name: home[key] for name, (home, key) in homes.items()}
    computed_before = module.__dict__.get(local)  # where the older hooks leave the result
    try:
        for name, (home, key) in homes.items():
            if is_dtensor(before[name]):
                whole = torch.empty(tuple(before[name].shape), dtype=before[name].dtype, device=before[name].device)
            else:
                whole = before[name].detach().clone()
            home[key] = nn.Parameter(whole, before[name].requires_grad) if isinstance(before[name], nn.Parameter) else whole
        yield
    finally:
        for name, (home, key) in homes.items():
            home[key] = before[name]
        if computed_before is not None:
            module.__dict__[local] = computed_before


def _home(module: nn.Module, path: str) -> tuple[dict[str, Tensor], str]:
    """The dictionary that holds a tensor of that dotted name, and its key there."""
    *parents, local = path.split(".")
    owner = module.get_submodule(".".join(parents)) if parents else module
    home = owner._parameters if local in owner._parameters else owner._buffers
    return home, local  # type: ignore[return-value]
