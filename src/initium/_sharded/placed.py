"""Sharded tensors: a shard -> which elements of the whole tensor it holds, and who of several replicas counts it.

The placements themselves say what they hold: ``arange(size)`` is split by their own methods and read back as runs of indices.
(torch's ``compute_local_shape_and_global_offset`` knows one offset and one length, which a ``_StridedShard`` does not have.)
No collective is called here, except by ``agreed_bits``, which only the drop-in functions need.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._errors import WriteError, reason_of
from .._programs import Blocks, Computed, Made, Program, Renamed
from .._regions import Region, Runs
from .._tensors import is_dtensor

_REGIONS: dict[tuple[Any, ...], Region | str] = {}  # what a rank of a mesh holds; a model has a few dozen such cases


def located(tensor: Tensor) -> tuple[Tensor, Region | None]:
    """The memory to write (outside autograd: the tensor itself may require grad), and the region of the whole tensor that it holds (None: all of it).

    Raises:
        WriteError: what ``why_not_located`` says.
    """
    if not is_dtensor(tensor):
        return tensor, None
    local: Tensor = tensor._local_tensor.detach()  # type: ignore[attr-defined]
    region = _region_of(tensor, local)
    if isinstance(region, str):
        raise WriteError(f"a tensor of shape {tuple(tensor.shape)} cannot be written: {region}")
    return local, None if region.is_whole else region


def why_not_located(tensor: Tensor) -> str | None:
    """Why it is not known which elements this shard holds, with the way out; or None."""
    if not is_dtensor(tensor):
        return None
    local: Tensor = tensor._local_tensor  # type: ignore[attr-defined]
    base = tensor._base
    if base is not None and is_dtensor(base) and not _same_storage(local, base._local_tensor):  # type: ignore[attr-defined]
        return (
            "it is a slice of a sharded tensor, which torch gathered into a copy, so the model would not change: "
            "write to the whole tensor, or to its to_local()"
        )
    region = _region_of(tensor, local)
    return region if isinstance(region, str) else None


def needs_whole(program: Program) -> bool:
    """Whether a part of the tensor cannot be had without computing the whole: a QR, a norm, what a model's own code computes."""
    if isinstance(program, Blocks):
        return any(needs_whole(part) for _, part in program.parts)
    if isinstance(program, Renamed):
        return needs_whole(program.program)
    return isinstance(program, (Made, Computed))


def is_counted(tensor: Tensor, first: int | None) -> bool:
    """Whether this process counts its part of a tensor whose replicas are to be counted once.

    Args:
        tensor: a shard, or a tensor that each process holds whole.
        first: the rank that counts what all hold; None where there is one process.
    """
    if not is_dtensor(tensor):
        return first is None or torch.distributed.get_rank() == first
    mesh = tensor.device_mesh  # type: ignore[attr-defined]
    coordinate = mesh.get_coordinate()
    # A mesh that lacks the first rank is a copy of the one that has it: tensor parallelism under data parallelism.
    if coordinate is None or (first is not None and first not in mesh.mesh.flatten().tolist()):
        return False
    placements = tensor.placements  # type: ignore[attr-defined]
    return all(place == 0 for place, placement in zip(coordinate, placements, strict=True) if placement.is_replicate())


def first_rank(model: nn.Module, tensors: Sequence[Tensor]) -> int | None:
    """The rank that counts what every process of a model holds: the first of its largest mesh, or of its DDP group."""
    meshes = [tensor.device_mesh for tensor in tensors if is_dtensor(tensor)]  # type: ignore[attr-defined]
    if meshes:
        largest = max(meshes, key=lambda mesh: (mesh.mesh.numel(), -int(mesh.mesh.min())))
        return int(largest.mesh.flatten()[0])
    for module in model.modules():
        group = getattr(module, "process_group", None)
        if isinstance(module, nn.parallel.DistributedDataParallel) and group is not None:
            return torch.distributed.get_global_rank(group, 0)
    return None


def agreed_bits(tensor: Tensor, bits: int) -> int:
    """64 random bits as the first rank of a sharded tensor's mesh has drawn them: a broadcast of 8 bytes along each mesh dimension."""
    if not is_dtensor(tensor):
        return bits
    mesh = tensor.device_mesh  # type: ignore[attr-defined]
    if mesh.get_coordinate() is None:
        return bits
    box = torch.tensor([bits - 2**64 if bits >= 2**63 else bits], dtype=torch.int64, device=mesh.device_type)
    for axis, size in enumerate(mesh.shape):
        if size > 1:
            group = mesh.get_group(axis)
            torch.distributed.broadcast(box, src=torch.distributed.get_global_rank(group, 0), group=group)
    return int(box) % 2**64


def reshard(model: nn.Module) -> None:
    """Put fully_shard's parameters back in place: after a forward pass the gathered copies may stand there, which come and go."""
    fsdp = sys.modules.get("torch.distributed.fsdp")
    sharded = getattr(fsdp, "FSDPModule", None)
    if sharded is not None and sharded.__subclasses__():  # fully_shard makes one of each class that it meets
        for module in model.modules():
            if isinstance(module, sharded):
                module.reshard()


def _region_of(tensor: Tensor, local: Tensor) -> Region | str:
    """The region that a DTensor's local tensor holds, or why it is not known."""
    mesh, placements = tensor.device_mesh, tensor.placements  # type: ignore[attr-defined]
    coordinate = mesh.get_coordinate()
    shape = tuple(tensor.shape)
    if coordinate is None:
        return Region(shape, ((),) * len(shape))  # another rank's: this one has nothing to do
    order = getattr(tensor._spec, "shard_order", None)  # type: ignore[attr-defined]
    # Not the placements themselves: old torch says that Shard(0) == _StridedShard(0).
    said = tuple((type(p), getattr(p, "dim", None), getattr(p, "split_factor", None)) for p in placements)
    key = (shape, tuple(mesh.shape), tuple(coordinate), said, order, tuple(local.shape))
    region = _REGIONS.get(key)
    if region is None:
        if len(_REGIONS) > 4096:
            _REGIONS.clear()
        region = _REGIONS[key] = _fitting(shape, tuple(mesh.shape), tuple(coordinate), placements, order, tuple(local.shape))
    return region


def _fitting(
    shape: tuple[int, ...],
    sizes: tuple[int, ...],
    coordinate: tuple[int, ...],
    placements: Sequence[Any],
    order: Any,
    local: tuple[int, ...],
) -> Region | str:
    """The region whose shape the local tensor has: as fully_shard cuts, or, where that does not fit, as the placements themselves do."""
    region: Region | str = ""
    for as_placed in (False, True):
        region = _region(shape, sizes, coordinate, placements, order, as_placed)
        # (0, 4) and (0, 0) are both nothing: torch's tools differ in what they write for an empty part.
        if isinstance(region, Region) and (region.local_shape == local or not math.prod(region.local_shape) + math.prod(local)):
            return region
    if isinstance(region, str):
        return region
    return (
        f"its placements {tuple(placements)} give this rank a part of shape {region.local_shape}, but it has {local}: {_UNEVEN}"
    )


def _region(
    shape: tuple[int, ...],
    sizes: tuple[int, ...],
    coordinate: tuple[int, ...],
    placements: Sequence[Any],
    order: Any,
    as_placed: bool,
) -> Region | str:
    splits: list[list[int]] = [[] for _ in shape]  # the mesh dimensions that cut each axis, in the order in which they do
    for index, placement in enumerate(placements):
        if placement.is_partial():
            return (
                f"it is a sum whose parts lie on several ranks ({placement}), not a value: redistribute it to Replicate() or "
                f"Shard() first"
            )
        if placement.is_replicate():
            continue
        if not hasattr(placement, "dim") or not hasattr(placement, "_split_tensor"):
            return f"its placement {placement} is not one that initium knows: redistribute it to Replicate() or Shard() first"
        splits[placement.dim % len(shape)].append(index)
    for entry in order or ():
        splits[entry.tensor_dim] = list(entry.mesh_dims)
    runs: list[Runs] = []
    for axis, size in enumerate(shape):
        cuts = [(placements[index], sizes[index], coordinate[index]) for index in splits[axis]]
        try:
            runs.append(_runs(size, axis, cuts if as_placed else _in_turn(axis, cuts)))
        except (AssertionError, NotImplementedError, RuntimeError, ValueError) as error:
            return (
                f"torch {torch.__version__} cannot cut {size} rows into the uneven parts of {tuple(placements)} "
                f"({reason_of(error)}): {_UNEVEN}"
            )
    return Region(shape, tuple(runs))


_UNEVEN = "shard sizes that the mesh divides, or use a newer torch"

_Cut = tuple[Any, int, int]
"""(placement, number of parts, which part is ours)"""


def _in_turn(axis: int, cuts: list[_Cut]) -> list[_Cut]:
    """The cuts in the order in which they were made: what stands as ``_StridedShard`` first is fully_shard, which came last.

    For sizes that the mesh divides the placements' own methods give the same; for others they do not, and the tensor is as it was cut.
    """
    strided = [cut for cut in cuts if type(cut[0]).__name__ == "_StridedShard"]
    plain = [cut for cut in cuts if cut not in strided]
    if (
        len(strided) != 1
        or cuts[0] is not strided[0]
        or strided[0][0].split_factor != math.prod(parts for _, parts, _ in plain)
    ):
        return cuts
    from torch.distributed.tensor import Shard

    return [*plain, (Shard(axis), *strided[0][1:])]


def _runs(size: int, axis: int, cuts: Sequence[_Cut]) -> Runs:
    """What is left of an axis after its cuts."""
    shape = [1] * axis + [size]
    if all(type(placement).__name__ == "Shard" for placement, _, _ in cuts):
        view = torch.empty(shape, device="meta")  # contiguous cuts: the view itself knows where it begins
        for placement, parts, mine in cuts:
            view = placement._split_tensor(view, parts, with_padding=False, contiguous=False)[0][mine]
            if view.numel() == 0:
                return ()
        return ((int(view.storage_offset()), view.numel()),) if size else ()
    index = torch.arange(size, device="cpu").view(shape)
    for placement, parts, mine in cuts:
        index = placement._split_tensor(index, parts, with_padding=False, contiguous=False)[0][mine]
    return tuple(_joined(index.flatten().tolist()))


def _joined(indices: list[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for place in range(1, len(indices) + 1):
        if place == len(indices) or indices[place] != indices[place - 1] + 1:
            yield indices[start], place - start
            start = place


def _same_storage(a: Tensor, b: Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
