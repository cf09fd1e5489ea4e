"""Chrono biases: their distribution, and on which tensor they stand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import initium
from initium import Chrono, InitiumError, Plan, Rule


def biases(model, **knobs):
    plan = initium.initialize(model, initium.recipe("chrono", **knobs), seed=1)
    return plan, model.bias_ih_l0.detach().double(), model.bias_hh_l0.detach()


def test_exp_of_the_forget_bias_is_uniform():
    """Kolmogorov's distance below 1.95 / √n: fails one seed in a thousand (this one is fixed)."""
    _, b, other = biases(nn.LSTM(2, 4000), t_max=500)
    i, f, g, o = b.chunk(4)
    assert f.equal(-i)
    assert not g.any() and not o.any() and not other.any()  # noqa: PT018
    u = (f.exp().sort().values - 1) / 498
    assert float((u - torch.arange(1, 4001) / 4000).abs().max()) < 1.95 / 4000**0.5


def test_grus_update_gate_keeps_so_its_sign_is_plus():
    _, b, other = biases(nn.GRU(2, 1000), t_max=500)
    r, z, n = b.chunk(3)
    assert not r.any() and not n.any() and not other.any()  # noqa: PT018
    assert bool((z >= 0).all())
    assert float(z.max()) <= math.log(499) * (1 + 1e-6)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_moments_in_the_plan(kind):
    plan = initium.plan(kind(2, 30000, device="meta"), initium.recipe("chrono", t_max=100), seed=1)
    b = plan.values("bias_ih_l0").double()
    assert plan["bias_ih_l0"].mean == pytest.approx(float(b.mean()), abs=0.03)
    assert plan["bias_ih_l0"].std == pytest.approx(float(b.std()), rel=0.01)


def test_cells_stacks_and_files(tmp_path):
    model = nn.ModuleDict(
        {"cell": nn.LSTMCell(2, 3), "deep": nn.LSTM(2, 3, num_layers=2, bidirectional=True), "head": nn.Linear(3, 2)}
    )
    plan = initium.plan(model, initium.recipe("chrono", t_max=20), seed=0)
    chronos = [name for name in plan if isinstance(plan[name].initializer, Chrono)]
    assert chronos == ["cell.bias_ih", *(f"deep.bias_ih_l{layer}{way}" for layer in (0, 1) for way in ("", "_reverse"))]
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan
    assert plan.values("deep.bias_ih_l1", 3, 6).equal(plan.values("deep.bias_ih_l1")[3:6])


def test_refusals():
    with pytest.raises(InitiumError, match="t_max > 2"):
        Chrono(2)
    with pytest.raises(InitiumError, match="packed bias of an LSTM or a GRU"):
        initium.plan(nn.Linear(2, 3), [Rule("**", 0), Rule("bias", Chrono(9))], seed=0)
    with pytest.raises(InitiumError, match="match nothing"):
        initium.plan(nn.Linear(2, 3), "chrono", seed=0)
    with pytest.raises(InitiumError, match="no gate f|match nothing"):
        initium.plan(nn.GRU(2, 3), "forget-bias", seed=0)
