"""New token rows on shards: each rank's are a slice of the whole table's, grown or kept."""

from __future__ import annotations

import pytest
import torch
from fake_ranks import NoCollectives, fake_rank
from torch import nn
from torch.distributed.tensor import Shard, distribute_tensor

import initium
from initium import NewTokens, Recipe, Rule


@pytest.mark.parametrize("dim", [0, 1])
def test_shards_of_it_are_slices_of_the_whole(dim: int) -> None:
    generator = torch.Generator().manual_seed(0)
    old = torch.randn(20, 12, generator=generator) @ torch.randn(12, 12, generator=generator) + torch.arange(12) * 0.3
    recipe = Recipe([Rule("weight", NewTokens(old, scale=0.5))])
    whole = nn.Embedding(27, 12)
    initium.initialize(whole, recipe, seed=0)
    slices = whole.weight.detach().tensor_split([7, 14, 21] if dim == 0 else 4, dim)
    for rank in range(4):
        with fake_rank(rank, 4) as mesh:
            table = nn.Embedding(27, 12)
            table.weight = nn.Parameter(distribute_tensor(table.weight.detach(), mesh, [Shard(dim)], src_data_rank=None))
            plan = initium.plan(table, recipe, seed=0)
            with NoCollectives():
                plan.apply(table)
            assert torch.equal(table.weight.to_local(), slices[rank])  # type: ignore[attr-defined]
