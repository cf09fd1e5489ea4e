"""Rows added to a trained table: the old ones to the bit, the new ones from the mean and the covariance of the old."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

import initium
from initium import Keep, NewTokens, Plan, Recipe, Rule


def old_rows(count: int = 200, width: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(count, width, generator=generator) @ torch.randn(width, width, generator=generator)
    return mixed + torch.arange(width) * 0.3


def grown(old: torch.Tensor, count: int, **arguments: float) -> nn.Embedding:
    table = nn.Embedding(len(old) + count, old.shape[1])
    initium.initialize(table, Recipe([Rule("weight", NewTokens(old, **arguments))]), seed=0)
    return table


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_old_rows_are_the_old_bits(dtype: torch.dtype) -> None:
    old = old_rows().to(dtype)
    table = nn.Embedding(207, 12).to(dtype)
    initium.initialize(table, Recipe([Rule("weight", NewTokens(old))]), seed=0)
    assert torch.equal(table.weight[:200], old)


def test_a_new_token_takes_at_most_its_share_of_the_probability() -> None:
    """Hewitt 2021: log(1 / n Σ e^{h·w}) ≥ h·μ, so beside n old tokens each new one has at most 1 / n, whatever the hidden state."""
    old = old_rows()
    head = grown(old, 5, scale=0.0).weight.detach().double()
    hidden = torch.randn(64, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 3
    chances = (hidden @ head.T).softmax(1)
    assert float(chances[:, 200:].max()) <= 1 / 200
    random = torch.cat([old, torch.randn(5, 12, generator=torch.Generator().manual_seed(2)) * 10]).double()
    assert float((hidden @ random.T).softmax(1)[:, 200:].max()) > 0.9, "random rows have no such bound"


def test_the_new_rows_have_the_mean_and_the_covariance_of_the_old() -> None:
    old = old_rows().double()
    new = grown(old.float(), 40_000, scale=1.0).weight.detach().double()[200:]
    centre = old.mean(0)
    spread = (old - centre).T @ (old - centre) / 200
    ends = torch.outer(spread.diagonal(), spread.diagonal()).sqrt()
    assert bool(((new.mean(0) - centre).abs() < 6 * spread.diagonal().sqrt() / 200).all()), "6 σ of means of 40,000"
    table = nn.Embedding(40_200, 12)
    entry = initium.plan(table, Recipe([Rule("weight", NewTokens(old.float(), scale=1.0))]), seed=0)["weight"]
    assert entry.std == pytest.approx(float(torch.cat([old, new]).std(correction=0)), rel=0.02), (
        "the plan's std is that of the table"
    )
    assert bool(((new.T.cov(correction=0) - spread).abs() < 6 * math.sqrt(2) * ends / 200).all()), "6 σ at most"


def test_fewer_old_rows_than_dimensions_are_no_difficulty() -> None:
    old = old_rows(3, 12)
    new = grown(old, 500, scale=1.0).weight.detach().double()[3:]
    basis = torch.linalg.svd((old - old.mean(0)).double())[2][:2]
    off = new - old.double().mean(0)
    assert torch.allclose(off @ basis.T @ basis, off, atol=1e-5), "new rows vary only where the old ones do"


def test_a_plan_with_it_can_be_saved_and_sets_nothing_else(tmp_path: Path) -> None:
    model = nn.ModuleDict({"wte": nn.Embedding(206, 12), "body": nn.Linear(12, 12), "head": nn.Linear(12, 206, bias=False)})
    before = model["body"].weight.clone()
    old = old_rows()
    plan = initium.plan(model, Recipe([Rule("**", Keep()), Rule("{wte,head}.weight", NewTokens(old))]), seed=3)
    plan.save(tmp_path / "plan.json")
    assert (tmp_path / "plan.json").stat().st_size < 100_000, "the old rows are kept once, and not as text in each entry"
    again = Plan.load(tmp_path / "plan.json")
    again.apply(model)
    assert torch.equal(model["body"].weight, before)
    assert torch.equal(model["wte"].weight[:200], old)
    assert not torch.equal(model["wte"].weight[200:], model["head"].weight[200:]), "each by its own name"
    assert torch.equal(again.values("wte.weight", 200 * 12), plan.values("wte.weight", 200 * 12))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: NewTokens(torch.ones(4)), "expects the old rows, a matrix of numbers, got a tensor of shape"),
        (lambda: NewTokens(0), "expects the old rows"),  # type: ignore[arg-type]
        (lambda: NewTokens(torch.ones(4, 2), scale=-1.0), "scale >= 0"),
        (lambda: NewTokens(torch.ones(4, 2))(3, 2), "has 4 old rows of 2, and a tensor of shape"),
        (lambda: NewTokens(torch.ones(4, 2))(5, 3), "does not hold them"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(make: object, said: str) -> None:
    with pytest.raises(initium.InitiumError, match=said):
        make()  # type: ignore[operator]
