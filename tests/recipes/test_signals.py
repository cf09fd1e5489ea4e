"""Recipes that keep a signal as it passes: their numbers from the papers; worked out here, not read from the code."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import initium
from initium import Recipe, recipe
from initium.recipes.signal import critical_point, tailored_slope

# --- tailored slopes


@pytest.mark.parametrize(
    ("depth", "slope", "scale"),
    [(20, 0.181380277, 1.391509), (50, 0.430522949, 1.298948), (100, 0.570439531, 1.228404), (200, 0.679599644, 1.169668)],
)
def test_tailored_slopes_take_the_network_to_nine_tenths(depth: int, slope: float, scale: float) -> None:
    """The slopes were computed apart, at 30 digits; the formula for C is checked by the cosines of 2 · 10⁶ pairs below."""
    assert tailored_slope(depth) == pytest.approx(slope, abs=2e-9)
    plan = initium.plan(nn.Linear(64, 64), initium.recipe("tat", depth=depth), seed=0)
    assert plan["weight"].std * 8 == pytest.approx(scale, abs=1e-6)


def test_a_layer_takes_a_cosine_where_the_formula_says() -> None:
    slope, draws = 0.43, torch.randn(2, 2_000_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    f = torch.nn.functional.leaky_relu(draws, slope)
    measured = float((f[0] * f[1]).mean()) * 2 / (1 + slope**2)  # C(0); its error is 7e-4 (one σ)
    assert measured == pytest.approx((1 - slope) ** 2 / (math.pi * (1 + slope**2)), abs=4e-3)


@pytest.mark.parametrize("layer", [nn.Linear(64, 256), nn.Linear(256, 64), nn.Conv2d(32, 64, 3, padding=1)])
def test_tat_keeps_the_mean_square_whatever_the_shape(layer: nn.Module) -> None:
    """Where deepmind/dks leaves 0.25 and 4.02 of it. 4,096 inputs: within 3% but once in 10⁶."""
    initium.initialize(layer, initium.recipe("tat", depth=50, scaled=True), seed=0)
    shape = (4096, layer.in_features) if isinstance(layer, nn.Linear) else (64, 32, 8, 8)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    assert float(layer(x).detach().square().mean() / x.square().mean()) == pytest.approx(1, abs=0.03)


def test_tat_refuses_what_has_no_slope() -> None:
    with pytest.raises(initium.InitiumError, match=r"5 layers of ReLU take 0 to 0.7.* only: with eta=0.9 no slope is needed"):
        initium.recipe("tat", depth=5)
    for bad in ({"depth": 0}, {"depth": 2.5}, {"eta": 1.0}, {"depth": True}):
        with pytest.raises(initium.InitiumError, match="tat.* expects"):
            initium.recipe("tat", **bad)


# --- signals


def test_random_walk_has_the_exact_gains_of_finite_widths() -> None:
    for width, gain in ((10, 1.649223), (50, 1.451276), (100, 1.432304), (500, 1.417765)):
        std = initium.plan(nn.Linear(width, 7), "random-walk", seed=0)["weight"].std
        assert std * math.sqrt(width) == pytest.approx(gain, abs=5e-7)  # type: ignore[operator]
    linear = initium.plan(nn.Linear(100, 7), recipe("random-walk", activation="linear"), seed=0)["weight"].std
    assert linear * 10 == pytest.approx(math.exp(1 / 200), rel=2e-5)  # type: ignore[operator]


def test_the_critical_line_of_tanh() -> None:
    """Schoenholz et al. 2017: σw² = 1.7603, q* = .57 at σb² = .05; Xiao et al. 2018: 1.05 at 2.01e-5."""
    weight, q = critical_point("tanh", 0.05)
    assert weight == pytest.approx(1.7603, abs=1e-3)
    assert q == pytest.approx(0.57, abs=1e-3)
    assert critical_point("tanh", 2.01e-5)[0] == pytest.approx(1.05, abs=5e-3)
    assert critical_point("relu", 0.0) == (2.0, 1.0), "He's"
    assert critical_point("tanh", 0.0)[0] == pytest.approx(1.0, abs=1e-9)
    z = torch.randn(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * math.sqrt(q)
    assert weight * float(z.tanh().square().mean()) + 0.05 == pytest.approx(q, abs=9e-3), "q* is a fixed point: 6 σ"
    assert weight * float((1 - z.tanh() ** 2).square().mean()) == pytest.approx(1, abs=9e-3), "and χ is 1"


def test_edge_of_chaos_orthogonal_is_delta_orthogonal_for_convolutions() -> None:
    net = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.Flatten(), nn.Linear(8, 8))
    initium.initialize(net, recipe("edge-of-chaos", orthogonal=True), seed=0)
    sigma = math.sqrt(critical_point("tanh", 2.01e-5)[0])
    tap = net[0].weight.detach()[:, :, 1, 1]
    assert torch.allclose(tap.T @ tap, sigma**2 * torch.eye(8), atol=1e-5)
    assert int((net[0].weight != 0).sum()) == 64
    assert torch.allclose(net[2].weight @ net[2].weight.T, sigma**2 * torch.eye(8), atol=1e-5)
    for wrong, said in (({"activation": "relu"}, "without biases only"), ({"activation": "rleu"}, "no activation is called")):
        with pytest.raises(initium.InitiumError, match=said):
            recipe("edge-of-chaos", **wrong)


def test_selu_keeps_mean_zero_and_variance_one_for_thirty_two_layers() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(*(layer for _ in range(32) for layer in (nn.Linear(256, 256), nn.SELU())))
    initium.initialize(net, "selu", seed=0)
    with torch.no_grad():
        y = net(torch.randn(512, 256))
    assert float(y.mean()) == pytest.approx(0, abs=0.1)
    assert float(y.var()) == pytest.approx(1, abs=0.2)


def test_siren_has_its_own_first_layer_and_torch_s_biases() -> None:
    net = nn.Sequential(*(nn.Linear(2 if i == 0 else 96, 96) for i in range(5)))
    plan = initium.plan(net, "siren", seed=0)
    assert plan["0.weight"].program.high == pytest.approx(1 / 2)
    for i in range(1, 5):
        assert plan[f"{i}.weight"].program.high == pytest.approx(math.sqrt(6 / 96) / 30)
        assert plan[f"{i}.bias"].program.high == pytest.approx(96**-0.5)
    said = initium.plan(net, Recipe(recipe("siren").rules, roles={"1.weight": "first", "0.weight": "up"}), seed=0)
    assert said["1.weight"].program.high == pytest.approx(1 / 96), "the user's word goes over the order of registration"


@pytest.mark.parametrize(("biases", "std"), [(False, 0.892643), (True, 1.0967)])
def test_siren_s_hidden_sines_see_what_the_fixed_point_says(biases: bool, std: float) -> None:
    """v = 1 − e^(−2 (v + b)): √v = .892643 without biases (METHODS 1); with torch's, b = ω₀² / (3 fan_in). 1 M numbers: within 2 %."""
    torch.manual_seed(0)
    net = nn.ModuleList([nn.Linear(2, 1024), *(nn.Linear(1024, 1024) for _ in range(5))])
    initium.initialize(net, "siren", seed=0)
    x = torch.rand(1024, 2) * 2 - 1
    with torch.no_grad():
        for layer in net:
            z = 30 * nn.functional.linear(x, layer.weight, layer.bias if biases else None)
            x = torch.sin(z)
    added = 900 / 1024 / 3 if biases else 0.0
    v = 0.5
    for _ in range(100):
        v = 1 - math.exp(-2 * (v + added))
    assert math.sqrt(v + added) == pytest.approx(std, abs=1e-3 if biases else 5e-7)
    assert float(z.std()) == pytest.approx(std, rel=0.02)
