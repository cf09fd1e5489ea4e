"""Within torch.compile: the graph breaks once at a call of ours, and the numbers are those of plain Python. A compiled model is its own module."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import initium
from initium import init

dynamo = pytest.importorskip("torch._dynamo")
WHY = "initium fills tensors by kernels of its own, so the graph breaks here: with fullgraph=True, initialise outside"
pytestmark = pytest.mark.skipif(
    not hasattr(torch._C._dynamo.eval_frame, "_FrameExecStrategy"), reason="torch 2.6 compiles what it can"
)


@pytest.fixture(autouse=True)
def afresh():
    dynamo.reset()
    dynamo.utils.counters.clear()


def same_as_plain(function, *inputs: torch.Tensor) -> bool:
    """Compiled twice over and plain, from one state of the generator each time."""
    compiled, found = torch.compile(function, backend="eager"), []
    for call in (compiled, compiled, function):
        torch.manual_seed(0)
        found.append(call(*inputs).detach().clone())
    return torch.equal(found[0], found[2]) and torch.equal(found[1], found[2])


@pytest.mark.parametrize("name", ["normal_", "zeros_", "kaiming_uniform_", "orthogonal_", "trunc_normal_"])
def test_a_drop_in_is_stepped_over_in_one_piece(name: str) -> None:
    fill = getattr(init, name)

    def layer(x: torch.Tensor) -> torch.Tensor:
        return x @ fill(torch.empty(4, 4))

    assert same_as_plain(layer, torch.eye(4))
    assert len(dynamo.utils.counters["graph_break"]) == 1
    assert dynamo.utils.counters["stats"]["unique_graphs"] == 2  # what is before the call, and what is after it


def test_a_module_made_and_initialised_inside() -> None:
    def made(x: torch.Tensor) -> torch.Tensor:
        layer = nn.Linear(4, 4)
        init.xavier_normal_(layer.weight)
        init.zeros_(layer.bias)
        return layer(x)  # type: ignore[no-any-return]

    assert same_as_plain(made, torch.eye(4))


def test_initialize_and_recipes_inside() -> None:
    model, he = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 4)), initium.recipe("he")

    def initialised(x: torch.Tensor) -> torch.Tensor:
        initium.initialize(model, he, seed=0)
        return model(x)  # type: ignore[no-any-return]

    def applied(x: torch.Tensor) -> torch.Tensor:
        model.apply(he)
        return model(x)  # type: ignore[no-any-return]

    assert same_as_plain(initialised, torch.eye(8))
    assert same_as_plain(applied, torch.eye(8))


def test_fullgraph_says_why_not() -> None:
    with pytest.raises(dynamo.exc.Unsupported, match=WHY):
        torch.compile(lambda x: x + init.normal_(torch.empty(4)), backend="eager", fullgraph=True)(torch.zeros(4))


def test_a_compiled_model_has_the_names_of_its_own_module_and_computes_with_what_is_written() -> None:
    plain = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))
    compiled = torch.compile(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4)), backend="eager")
    compiled(torch.ones(2, 8))
    plan = initium.initialize(compiled, "he", seed=0)
    assert list(plan) == list(initium.initialize(plain, "he", seed=0))
    assert plan["0.weight"].key == "_orig_mod.0.weight"
    assert torch.equal(compiled(torch.ones(2, 8)), plain(torch.ones(2, 8)))
