"""SIREN: the distribution of what its sines see."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import initium
from initium import InitiumError, Siren, init


def test_pre_activations_settle_at_the_root_of_v_is_1_minus_e_to_the_minus_2v():
    v = 0.8
    for _ in range(100):
        v = 1 - math.exp(-2 * v)
    assert round(v, 6) == 0.796812
    assert round(v**0.5, 6) == 0.892643
    torch.manual_seed(0)
    x = torch.rand(1000, 256, dtype=torch.float64) * 2 - 1
    stds = []
    x = torch.sin(30 * (x @ Siren(first=True)(1024, 256, dtype=torch.float64).T * math.sqrt(256)))
    for _ in range(8):
        z = 30 * (x @ Siren()(1024, 1024, dtype=torch.float64).T)
        stds.append(float(z.std()))
        x = torch.sin(z)
    assert stds[0] == pytest.approx(1.0, abs=0.02)  # sines of a wide uniform phase have variance ½
    assert stds[-1] == pytest.approx(0.892643, abs=0.02)
    assert stds[0] > stds[1] > stds[2]


def test_bounds_recipe_and_roles():
    net = nn.Sequential(nn.Linear(2, 64), nn.Linear(64, 64), nn.Linear(64, 3))
    plan = initium.plan(net, "siren", seed=0)
    assert plan["0.weight"].program.high == 0.5
    assert plan["1.weight"].program.high == plan["2.weight"].program.high == math.sqrt(6 / 64) / 30
    assert plan["1.bias"].program.high == 1 / 8
    assert plan["0.bias"].program.high == pytest.approx(2**-0.5)
    assert plan["0.weight"].role == "first"
    assert any("first ×1: by the order of registration" in note for note in plan.notes)
    other = initium.plan(net, initium.recipe("siren", omega_0=10), seed=0)
    assert other["1.weight"].program.high == math.sqrt(6 / 64) / 10


def test_drop_in_and_refusal():
    torch.manual_seed(1)
    a = init.siren_(torch.empty(8, 6), omega_0=20)
    torch.manual_seed(1)
    assert a.equal(Siren(omega_0=20)(8, 6))
    assert float(init.siren_(torch.empty(99, 4), first=True).abs().max()) <= 0.25
    with pytest.raises(InitiumError, match="a finite omega_0 > 0"):
        Siren(omega_0=0)
