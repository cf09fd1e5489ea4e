"""HyperFan: what a hypernetwork makes has the variance of He, and a main network of such weights keeps its signal."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import initium
from initium import HyperFan, Recipe, Rule


def made(head: HyperFan, size: int, inputs: int, seed: int, variance: float = 1.0) -> torch.Tensor:
    """The output of a linear head for an embedding of that variance."""
    layer = nn.Linear(inputs, size, bias=False)
    initium.initialize(layer, Recipe([Rule("weight", head)]), seed=seed)
    embedding = torch.randn(inputs, generator=torch.Generator().manual_seed(seed)) * math.sqrt(variance)
    return layer.weight.detach() @ embedding


@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_the_variances_of_the_paper_s_table(law: str) -> None:
    """d_k = 50, d_j = 64: weights 2 / (50 · 64), with biases half of it; biases 2 / (2 · 50); embeddings of variance 4 a quarter."""
    for knobs, variance in (
        ({}, 2 / (50 * 64)),
        ({"relu": False}, 1 / (50 * 64)),
        ({"biases": True}, 1 / (50 * 64)),
        ({"embedding_variance": 4.0}, 2 / (50 * 64 * 4)),
        ({"part": "bias"}, 1 / 50),
    ):
        entry = initium.plan(
            nn.Linear(50, 640), Recipe([Rule("weight", HyperFan(64, law=law, **knobs)), Rule("bias", 0)]), seed=0
        )  # type: ignore[arg-type]
        assert entry["weight"].std == pytest.approx(math.sqrt(variance), rel=1e-7), knobs


@pytest.mark.parametrize("biases", [False, True])
def test_a_main_network_of_twenty_relu_layers_keeps_its_second_moment(biases: bool) -> None:
    """By He's weights on the head the same network would multiply it by d_j / 2 · … in every layer."""
    width, d, variance = 128, 400, 2.5
    x = torch.randn(2000, width, generator=torch.Generator().manual_seed(0))
    start = float(x.square().mean())
    for layer in range(20):
        w = made(HyperFan(width, variance, biases=biases), width * width, d, layer, variance).view(width, width)
        b = made(HyperFan(width, variance, part="bias"), width, d, 100 + layer, variance) if biases else 0.0
        x = (x @ w.T + b).relu()
    assert 0.2 < float(x.square().mean()) / start < 5, "He's on the head would be off by 10²⁰ and more"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((0,), "expects fan > 0"),
        (("8",), "expects a whole number for fan"),
        ((4, -1.0), "embedding_variance > 0"),
        ((4, 1.0, True, False, "wieght"), "Did you mean 'weight'"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[object, ...], said: str) -> None:
    with pytest.raises(initium.InitiumError, match=said):
        HyperFan(*arguments)  # type: ignore[arg-type]
