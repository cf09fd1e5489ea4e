"""Mimetic attention on shards: query and key, value and output, draw one Z from their attention's stream, whichever rank holds them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from fake_ranks import NoCollectives, fake_rank
from mesh_cases import differing, fsdp
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

import initium

D, HEADS = 24, 4


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.num_heads = HEADS
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(D, D) for _ in range(4))


class Block(nn.Module):
    def __init__(self, packed: bool) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(D, HEADS) if packed else Attention()


def net(packed: bool) -> nn.Module:
    model = nn.Module()
    model.blocks = nn.ModuleList(Block(packed) for _ in range(2))
    return model


def tensor_parallel(model: nn.Module, mesh: DeviceMesh) -> None:
    plan = {"attn.q_proj": ColwiseParallel(), "attn.k_proj": ColwiseParallel(), "attn.v_proj": ColwiseParallel()}
    for block in model.blocks:  # type: ignore[union-attr]
        parallelize_module(block, mesh, {**plan, "attn.out_proj": RowwiseParallel()}, src_data_rank=None)


@pytest.mark.parametrize(("packed", "parallelise"), [(False, fsdp), (True, fsdp), (False, tensor_parallel)])
def test_shards_are_slices_of_the_whole(packed: bool, parallelise: Callable[[nn.Module, DeviceMesh], None]) -> None:
    whole = net(packed)
    plan = initium.initialize(whole, "mimetic", seed=0)
    for rank in range(3):
        with fake_rank(rank, 3) as mesh:
            shards, expected = copy.deepcopy(net(packed)), copy.deepcopy(whole)
            parallelise(shards, mesh)
            parallelise(expected, mesh)
            with NoCollectives():
                plan.apply(shards)
                initium.plan(shards, "mimetic", seed=0).apply(shards)  # planned on the shards themselves
            assert differing(shards, expected) == []


def test_the_parts_of_one_attention_agree_and_those_of_two_do_not() -> None:
    """W_vᵀ W_oᵀ + .4 I = .4 Z with |Z| ≤ √(3 / d) only where both drew the same Z."""
    model = net(False)
    initium.initialize(model, "mimetic", seed=0)
    one, other = (block.attn for block in model.blocks)  # type: ignore[union-attr]
    eye, bound = torch.eye(D), (3 / D) ** 0.5
    for value, output, same in ((one, one, True), (other, other, True), (one, other, False)):
        z = (value.v_proj.weight.detach().T @ output.out_proj.weight.detach().T + 0.4 * eye) / 0.4
        assert (float(z.abs().max()) <= bound * 1.0001) == same
