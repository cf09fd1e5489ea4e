"""Models, ways to shard them, and the law that they are held to: shard(apply(model)) = apply(shard(model)), bit by bit."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard, distribute_tensor

import initium
from initium import Normal, Orthogonal, Plan, Rule, TruncNormal, Uniform, XavierNormal
from initium._measure.fingerprint import Fingerprint, fingerprint

# Every kind of program: laws, constants, blocks of a packed weight, something that is computed whole; buffers too.
RULES = [
    Rule("**", 1, buffers=True, optional=True),
    Rule("**", Uniform(-0.5, 0.5), dtype=torch.float32, buffers=True, optional=True),
    Rule("**", Uniform(-0.5, 0.5)),
    Rule("**", TruncNormal(std=0.02), role="embedding", optional=True),
    Rule("**", Normal(std=0.02), ndim=2, optional=True),
    Rule("**", XavierNormal(), role="weight", optional=True),
    Rule("**", 0, role="bias", optional=True),
    Rule("re:.*(o_proj|out_proj|c_proj|fc2|head)\\.weight", Orthogonal(), ndim=2, optional=True),
]


Parallelise = Callable[[nn.Module, DeviceMesh], None]


def distribute(model: nn.Module, mesh: DeviceMesh, placements: Sequence[Placement]) -> None:
    """Every parameter as a DTensor; Shard of a dimension that a tensor lacks means its last one. Ties stay ties."""
    done: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is None:
                continue
            if id(parameter) not in done:
                fitted = [_fitted(placement, parameter) for placement in placements]
                tensor = distribute_tensor(parameter.detach(), mesh, fitted, src_data_rank=None)
                done[id(parameter)] = nn.Parameter(tensor, parameter.requires_grad)
            module._parameters[name] = done[id(parameter)]


def _fitted(placement: Placement, tensor: Tensor) -> Placement:
    if isinstance(placement, Shard):
        return (
            Shard(min(placement.dim, tensor.dim() - 1) if placement.dim >= 0 else tensor.dim() - 1)
            if tensor.dim()
            else Replicate()
        )
    return placement


def fsdp(model: nn.Module, mesh: DeviceMesh, last: bool = False) -> None:
    """fully_shard on each repeated block and on the whole, by the first or by the last dimension."""

    def placement(parameter: nn.Parameter) -> Shard | None:
        return Shard(parameter.dim() - 1) if parameter.dim() > 1 and parameter.shape[-1] % mesh.size() == 0 else None

    for module in reversed(list(model.modules())):  # the innermost first
        if isinstance(module, nn.ModuleList):
            for block in module:
                fully_shard(block, mesh=mesh, shard_placement_fn=placement if last else None)
    fully_shard(model, mesh=mesh, shard_placement_fn=placement if last else None)


def _by(*placements: Placement) -> Parallelise:
    return lambda model, mesh: distribute(model, mesh, placements)


def _fsdp_over(*placements: Placement) -> Parallelise:
    """Tensor parallelism on the last mesh dimension, fully_shard on those before."""

    def both(model: nn.Module, mesh: DeviceMesh) -> None:
        names = mesh.mesh_dim_names
        assert names is not None
        distribute(model, mesh[names[-1]], placements)
        fsdp(model, mesh[names[:-1]] if len(names) > 2 else mesh[names[0]])

    return both


# name -> (mesh shape on n processes, how to shard)
LAYOUTS: dict[str, tuple[Callable[[int], tuple[int, ...]], Parallelise]] = {
    "FSDP2": (lambda n: (n,), fsdp),
    "FSDP2 last dim": (lambda n: (n,), functools.partial(fsdp, last=True)),
    "HSDP": (lambda n: (2, n // 2) if n > 1 else (1, 1), fsdp),
    "Shard(0)": (lambda n: (n,), _by(Shard(0))),
    "Shard(-1)": (lambda n: (n,), _by(Shard(-1))),
    "Replicate": (lambda n: (n,), _by(Replicate())),
    "Shard(0) × Shard(1)": (lambda n: (2, n // 2) if n > 1 else (1, 1), _by(Shard(0), Shard(1))),
    "Shard(1) × Shard(0)": (lambda n: (1, n), _by(Shard(1), Shard(0))),
    "Shard(0) × Shard(0)": (lambda n: (n // 2, 2) if n > 1 else (1, 1), _by(Shard(0), Shard(0))),
    "FSDP2 × TP Shard(0)": (lambda n: (n // 2, 2) if n > 1 else (1, 1), _fsdp_over(Shard(0))),
    "FSDP2 × TP Shard(1)": (lambda n: (n // 2, 2) if n > 1 else (1, 1), _fsdp_over(Shard(1))),
    "HSDP × TP": (lambda n: (1, n // 2, 2) if n > 1 else (1, 1, 1), _fsdp_over(Shard(0))),
}


def local_of(tensor: Tensor) -> Tensor:
    return tensor._local_tensor if isinstance(tensor, DTensor) else tensor


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return make()


def differing(got: nn.Module, expected: nn.Module) -> list[str]:
    """The names of tensors whose local bits differ."""
    other = tensors_of(expected)
    return [name for name, tensor in tensors_of(got).items() if not torch.equal(local_of(tensor), local_of(other[name]))]


def check(
    make: Callable[[], nn.Module], parallelise: Parallelise, mesh: DeviceMesh
) -> tuple[list[str], Fingerprint, Fingerprint]:
    """One model on one mesh, as one of its ranks.

    Returns:
        What differs from torch's own sharding of the whole, this rank's part of the fingerprint, and the fingerprint of the whole.
    """
    whole = make()
    plan = initium.initialize(whole, RULES, seed=3)
    expected = fingerprint(whole)
    parallelise(whole, mesh)  # torch cuts what was drawn on one process

    model = on_meta(make)
    planned = initium.plan(model, RULES, seed=3)
    parallelise(model, mesh)
    wrong = [] if planned == plan == _replanned(model) else ["the plan"]
    model.to_empty(device="cpu")
    for tensor in tensors_of(model).values():
        local_of(tensor).detach().fill_(77)
    plan.apply(model)
    return wrong + differing(model, whole), fingerprint(model, plan=plan), expected


def _replanned(model: nn.Module) -> Plan:
    return initium.plan(model, RULES, seed=3)
