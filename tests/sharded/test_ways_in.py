"""Every way into the library on a tensor that is a part of a whole, or a placeholder of one."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from fake_ranks import fake_rank
from mesh_cases import distribute, on_meta
from torch import nn
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

import initium
from initium import Keep, Normal, Rule, XavierNormal

init = initium.init


WAYS_IN: dict[str, Callable[[nn.Module], object]] = {
    "initialize": lambda m: initium.initialize(m, "he", seed=0),
    "initialize, keeping all": lambda m: initium.initialize(m, [Rule("**", Keep())], seed=0),
    "initialize only": lambda m: initium.initialize(m, "he", seed=0, only="bias"),
    "plan": lambda m: initium.plan(m, "he", seed=0),
    "apply": lambda m: initium.plan(nn.Linear(3, 2), "he", seed=0).apply(m),
    "apply only": lambda m: initium.plan(nn.Linear(3, 2), "he", seed=0).apply(m, only="bias"),
    "model.apply": lambda m: m.apply(initium.recipe("he")),
    "declare": lambda m: initium.declare(m, weight=Normal()),
    "init.normal_": lambda m: init.normal_(m.weight),  # type: ignore[arg-type]
    "init.zeros_": lambda m: init.zeros_(m.bias),  # type: ignore[arg-type]
    "init.xavier_uniform_": lambda m: init.xavier_uniform_(m.weight),  # type: ignore[arg-type]
    "init.eye_": lambda m: init.eye_(m.weight),  # type: ignore[arg-type]
    "fingerprint": initium.fingerprint,
    "stats": initium.stats,
    "audit": initium.audit,
    "diff": lambda m: initium.diff(m, initium.plan(nn.Linear(3, 2), "he", seed=0)),
    "write": lambda m: initium.plan(nn.Linear(3, 2), [Rule("**", Keep())], seed=0).write("none.safetensors", values_from=m),
}


@pytest.mark.parametrize("marks", [{"ds_numel": 6}, {"ds_id": 0, "ds_shape": torch.Size((2, 3))}])
@pytest.mark.parametrize("way", WAYS_IN)
def test_zero_3_placeholders_are_refused_in_a_sentence(way: str, marks: dict[str, object]) -> None:
    model = nn.Linear(3, 2)
    for parameter in model.parameters():
        vars(parameter).update(marks)
        parameter.data = torch.empty(0)
    with pytest.raises(
        initium.InitiumError, match=r"it is a placeholder of DeepSpeed ZeRO-3, with 0 elements(.|\n)*GatheredParameters"
    ):
        WAYS_IN[way](model)


def test_a_parameter_that_has_no_elements_at_all_is_no_placeholder() -> None:
    model = nn.Linear(3, 2)
    model.weight = nn.Parameter(torch.empty(2, 0))
    model.weight.ds_numel, model.weight.ds_shape = 0, torch.Size((2, 0))  # type: ignore[attr-defined]
    assert initium.initialize(model, "he", seed=0)["bias"].kind == "constant"
    assert init.normal_(model.weight) is model.weight


FUNCTIONS: dict[str, Callable[[torch.Tensor], object]] = {
    "normal_": lambda t: init.normal_(t, 1, 0.5),
    "uniform_": lambda t: init.uniform_(t, -1, 3),
    "trunc_normal_": lambda t: init.trunc_normal_(t, std=0.02),
    "constant_": lambda t: init.constant_(t, 3),
    "xavier_uniform_": init.xavier_uniform_,
    "kaiming_normal_": init.kaiming_normal_,
    "orthogonal_": init.orthogonal_,
    "eye_": init.eye_,
    "sparse_": lambda t: init.sparse_(t, 0.3),
    "bfloat16": lambda t: init.normal_(t),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("placements", [[Shard(0), Shard(1)], [Replicate(), Shard(0)], [Shard(0), Shard(0)]])
def test_the_functions_of_init_on_sharded_tensors(name: str, placements: list[object]) -> None:
    """Fans are of the whole, each rank draws its part, and one seed gives what one process gives."""
    dtype = torch.bfloat16 if name == "bfloat16" else torch.float32
    torch.manual_seed(11)
    whole = torch.empty(10, 7, dtype=dtype)
    FUNCTIONS[name](whole)
    state = torch.get_rng_state()
    for rank in range(4):
        with fake_rank(rank, 2, 2) as mesh:
            expected = distribute_tensor(whole, mesh, placements, src_data_rank=None)  # type: ignore[arg-type]
            tensor = distribute_tensor(torch.full_like(whole, 9), mesh, placements, src_data_rank=None)  # type: ignore[arg-type]
            torch.manual_seed(11)
            assert FUNCTIONS[name](tensor) is tensor
            assert torch.equal(tensor._local_tensor, expected._local_tensor), rank
            assert torch.equal(torch.get_rng_state(), state), "as far on as on one process"


def test_fans_are_of_the_whole_tensor() -> None:
    with fake_rank(3, 4) as mesh:
        model = on_meta(lambda: nn.Linear(64, 128))
        distribute(model, mesh, [Shard(1)])
        entry = initium.plan(model, [Rule(nn.Linear, weight=XavierNormal(), bias=0)], seed=0)["weight"]
        assert (entry.fan_in, entry.fan_out, entry.shape) == (64, 128, (128, 64))
        assert entry.std == pytest.approx(math.sqrt(2 / 192))
