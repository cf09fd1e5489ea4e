"""Placements: what a rank is said to hold is what torch's own sharding gives it, for every placement, mesh and size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from fake_ranks import NoCollectives, fake_rank
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.placement_types import _StridedShard

import initium
from initium import Normal, Orthogonal, Rule
from initium._errors import WriteError
from initium._regions import Region
from initium._sharded.placed import located, why_not_located

NORMAL = [Rule("weight", Normal())]


def indices(region: Region | None, shape: tuple[int, ...]) -> Tensor:
    """The flat indices that a region holds, in its local shape."""
    index = torch.arange(math.prod(shape)).view(shape)
    for axis, runs in enumerate((region or Region.whole(shape)).runs):
        kept = [i for start, length in runs for i in range(start, start + length)]
        index = index.index_select(axis, torch.tensor(kept, dtype=torch.long))
    return index


def cut(whole: Tensor, mesh: DeviceMesh, placements: Sequence[Placement]) -> DTensor:
    """What ``distribute_tensor`` gives; where the placements are fully_shard's over tensor parallelism, what those two cut in turn.

    (torch 2.13's ``distribute_tensor`` takes ``_StridedShard`` at its word, which for uneven sizes its own ``full_tensor`` does not
    undo; what fully_shard cuts it does.)
    """
    tensor = distribute_tensor(whole, mesh, list(placements), src_data_rank=None)
    for axis in range(whole.dim()):
        cutting = [i for i, p in enumerate(placements) if not p.is_replicate() and p.dim % whole.dim() == axis]  # type: ignore[attr-defined]
        strided = [i for i in cutting if isinstance(placements[i], _StridedShard)]
        others = math.prod(mesh.shape[i] for i in cutting if i not in strided)
        if strided != cutting[:1] or not strided or placements[strided[0]].split_factor != others:  # type: ignore[attr-defined]
            continue
        plain = [Replicate() if i == strided[0] else p for i, p in enumerate(placements)]
        before = cut(whole, mesh, plain)._local_tensor
        parts = before.split(max(1, -(-before.shape[axis] // mesh.shape[strided[0]])), axis)
        mine = mesh.get_coordinate()[strided[0]]  # type: ignore[index]
        local = parts[mine] if mine < len(parts) else before.narrow(axis, 0, 0)
        return DTensor.from_local(local, mesh, placements, run_check=False, shape=whole.shape, stride=whole.stride())
    return tensor


def check(shape: tuple[int, ...], mesh_shape: Sequence[int], placements: Sequence[Placement]) -> list[list[int]]:
    """On every rank the region is what ``distribute_tensor(arange)`` left there; what each of them holds."""
    found = []
    for rank in range(math.prod(mesh_shape)):
        with fake_rank(rank, *mesh_shape) as mesh:
            whole = torch.arange(math.prod(shape)).view(shape)
            local, region = located(cut(whole, mesh, placements))
            assert local.flatten().tolist() == indices(region, shape).flatten().tolist(), (rank, placements)
            found.append(local.flatten().tolist())
    return found


@pytest.mark.parametrize("size", [1, 3, 7, 8, 10, 12])
@pytest.mark.parametrize(
    ("mesh_shape", "placements"),
    [
        ((2,), [Shard(0)]),
        ((4,), [Shard(0)]),
        ((2,), [_StridedShard(0, split_factor=2)]),
        ((2, 2), [Shard(0), Shard(0)]),
        ((2, 2), [_StridedShard(0, split_factor=2), Shard(0)]),
        ((2, 2), [Shard(0), _StridedShard(0, split_factor=2)]),
        ((2, 2), [Replicate(), _StridedShard(0, split_factor=2)]),
        ((2, 2), [Replicate(), Shard(0)]),
        ((3, 2), [Shard(0), Replicate()]),
        ((2, 2, 2), [Replicate(), _StridedShard(0, split_factor=2), Shard(0)]),
        ((2, 2, 2), [Shard(0), Shard(0), Shard(0)]),
    ],
)
def test_one_axis_on_every_mesh(mesh_shape: tuple[int, ...], placements: list[Placement], size: int) -> None:
    held = check((size,), mesh_shape, placements)
    assert sorted({i for part in held for i in part}) == list(range(size)), "together they hold all of it"


@pytest.mark.parametrize("size", [1, 2, 5, 7, 13, 14, 15, 257])
@pytest.mark.parametrize(
    ("mesh_shape", "tensor_parallel"),
    [
        ((3, 2), [Shard(0)]),
        ((2, 3), [Shard(0)]),
        ((4, 2), [Shard(0)]),
        ((3, 2, 2), [Shard(0), Shard(0)]),
        ((2, 3, 2), [Shard(1), Shard(0)]),
    ],
)
def test_fully_shard_over_tensor_parallelism_whatever_the_size(
    mesh_shape: tuple[int, ...], tensor_parallel: list[Placement], size: int
) -> None:
    """The parts are those that fully_shard itself has cut, and together they are all."""
    held = []
    for rank in range(math.prod(mesh_shape)):
        with fake_rank(rank, *mesh_shape) as mesh:
            names = mesh.mesh_dim_names
            assert names is not None
            whole = torch.arange(size * 6.0).view(size, 6)
            model = nn.Linear(6, size, bias=False)
            inner = mesh[names[1:]] if len(names) > 2 else mesh[names[1]]
            model.weight = nn.Parameter(distribute_tensor(whole, inner, tensor_parallel, src_data_rank=None))
            fully_shard(model, mesh=mesh[names[0]])
            local, region = located(model.weight)
            assert torch.equal(local.flatten().long(), indices(region, (size, 6)).flatten()), (rank, model.weight.placements)  # type: ignore[union-attr]
            held += local.flatten().tolist()
    assert sorted(held) == whole.flatten().tolist()


@st.composite
def cases(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], list[Placement]]:
    shape = tuple(draw(st.lists(st.integers(0, 9), min_size=1, max_size=3)))
    mesh = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    places: list[Placement] = []
    for _ in mesh:
        axis = draw(st.integers(0, len(shape) - 1))
        places.append(draw(st.sampled_from([Replicate(), Shard(axis), Shard(axis), _StridedShard(axis, split_factor=2)])))
    return shape, mesh, places


@settings(max_examples=60, deadline=None)
@given(cases())
def test_any_mesh(case: tuple[tuple[int, ...], tuple[int, ...], list[Placement]]) -> None:
    """Uneven and empty parts, several mesh dimensions on one axis, axes of size 0."""
    check(*case)


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(7, 10))


@settings(max_examples=25, deadline=None)
@given(cases())
def test_what_is_drawn_on_a_mesh_is_the_slice_of_the_whole(
    case: tuple[tuple[int, ...], tuple[int, ...], list[Placement]],
) -> None:
    shape, mesh_shape, placements = case
    model = Odd()
    model.weight = nn.Parameter(torch.zeros(shape))
    plan = initium.initialize(model, NORMAL, seed=1)
    whole = model.weight.detach().clone()
    for rank in range(math.prod(mesh_shape)):
        with fake_rank(rank, *mesh_shape) as mesh:
            expected = cut(whole, mesh, placements)
            blank = cut(torch.full_like(whole, 9), mesh, placements)
            model.weight = nn.Parameter(blank)
            with NoCollectives():
                plan.apply(model)
            assert torch.equal(model.weight._local_tensor, expected._local_tensor)


def sharded(mesh: object, placements: Sequence[Placement], local: Tensor) -> nn.Module:
    model = Odd()
    tensor = DTensor.from_local(local, mesh, placements, run_check=False, shape=torch.Size((7, 10)), stride=(10, 1))  # type: ignore[arg-type]
    model.weight = nn.Parameter(tensor)
    return model


def test_a_sum_over_ranks_is_refused_in_a_sentence() -> None:
    with fake_rank(0, 2) as mesh:
        model = Odd()
        model.weight = nn.Parameter(DTensor.from_local(torch.zeros(7, 10), mesh, [Partial()], run_check=False))
        with pytest.raises(
            WriteError, match=r"weight cannot be written: it is a sum whose parts lie on several ranks \(P.*redistribute it"
        ):
            initium.initialize(model, NORMAL, seed=0)
        with pytest.raises(WriteError, match="it is a sum whose parts lie on several ranks"):
            initium.init.normal_(model.weight)


def test_a_part_of_another_size_is_refused() -> None:
    """What torch 2.6 made of uneven shards: the local tensor is not what the placements say."""
    with fake_rank(1, 2) as mesh:
        model = sharded(mesh, [Shard(0)], torch.zeros(5, 10))
        with pytest.raises(WriteError, match=r"give this rank a part of shape \(3, 10\), but it has \(5, 10\)"):
            initium.initialize(model, NORMAL, seed=0)


def test_a_placement_that_nobody_knows_is_refused() -> None:
    class Spiral(Placement):
        pass

    with fake_rank(0, 2) as mesh:
        tensor = DTensor.from_local(torch.zeros(7, 10), mesh, [Replicate()], run_check=False)
        object.__setattr__(tensor._spec, "placements", (Spiral(),))
        assert "is not one that initium knows" in (why_not_located(tensor) or "")


def test_a_slice_of_a_sharded_tensor_is_refused_where_torch_has_copied_it() -> None:
    """torch gathers for ``d[:4]`` and writes to the copy: pytorch #139735."""
    with fake_rank(0, 2) as mesh:
        whole = distribute_tensor(torch.zeros(8, 10), mesh, [Shard(0)], src_data_rank=None)
        with pytest.raises(WriteError, match="it is a slice of a sharded tensor, which torch gathered into a copy"):
            initium.init.normal_(whole[:4])


def test_the_plan_says_what_each_rank_computes_whole() -> None:
    with fake_rank(1, 2) as mesh:
        model = sharded(mesh, [Shard(0)], torch.zeros(3, 10))
        plan = initium.initialize(model, [Rule("weight", Orthogonal())], seed=0)
        assert plan.notes == ("1 sharded tensor is computed whole by each rank that holds a part, one at a time: weight",)
        elementwise = initium.initialize(model, NORMAL, seed=0)
        assert elementwise.notes == ()


def test_a_rank_outside_the_mesh_has_nothing_to_do() -> None:
    with fake_rank(3, 4):
        mesh = DeviceMesh("cpu", [0, 1])
        tensor = distribute_tensor(torch.zeros(7, 10), mesh, [Shard(0)], src_data_rank=None)
        model = Odd()
        model.weight = nn.Parameter(tensor)
        initium.initialize(model, NORMAL, seed=0)
        assert model.weight._local_tensor.numel() == 0
