"""ICNR before a pixel shuffle is nearest-neighbour upsampling of the small convolution, exactly."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import initium
from initium import ICNR, InitiumError, Normal, Orthogonal, Plan, Recipe, Rule, init


def shuffled(weight, bias, x, factor):
    return nn.functional.pixel_shuffle(nn.functional.conv2d(x, weight, bias, padding=1), factor)


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("inner", ["kaiming_normal", Orthogonal(), Normal(0.1)], ids=str)
def test_output_is_nearest_upsampling_exactly(factor, inner):
    torch.manual_seed(0)
    weight = ICNR(factor, inner)(3 * factor**2, 5, 3, 3)
    bias = ICNR(factor, Normal())(3 * factor**2)
    x = torch.randn(2, 5, 6, 6)
    small = nn.functional.conv2d(x, weight[:: factor**2].contiguous(), bias[:: factor**2].contiguous(), padding=1)
    up = nn.functional.interpolate(small, scale_factor=factor, mode="nearest")
    assert float((shuffled(weight, bias, x, factor) - up).abs().max()) == 0


def test_the_wrong_ways_are_seen_to_be_wrong():
    torch.manual_seed(0)
    weight = ICNR(2)(16, 8, 3, 3)
    x = torch.randn(4, 8, 8, 8)

    def checkerboard(weight, bias):
        y = shuffled(weight, bias, x, 2)
        return float((y - nn.functional.interpolate(y[:, :, ::2, ::2], scale_factor=2, mode="nearest")).abs().max())

    tiled = weight[::4].repeat(4, 1, 1, 1)
    bias = init.uniform_(torch.empty(16), -1 / 72**0.5, 1 / 72**0.5)  # torch's default
    assert checkerboard(weight, torch.zeros(16)) == 0
    assert 3 < checkerboard(tiled, torch.zeros(16)) < 12  # 5.04 in the notes
    assert 0.1 < checkerboard(weight, bias) < 0.3  # 0.26 there


def test_fans_are_the_sub_kernels():
    model = nn.Sequential(nn.Conv2d(8, 16, 3), nn.PixelShuffle(2))
    rules = [Rule(nn.Conv2d, weight=ICNR(2, initium.XavierNormal()), bias=ICNR(2, 0))]
    plan = initium.plan(model, Recipe(rules), seed=0)
    assert plan["0.weight"].std == pytest.approx((2 / (9 * 8 + 9 * 4)) ** 0.5, rel=1e-12)
    assert plan["0.bias"].kind == "constant"


def test_saves_and_reads_the_initializer_within(tmp_path):
    plan = initium.plan(nn.Conv2d(8, 16, 3), [Rule("**", ICNR(2, Normal(std=0.1)))], seed=0)
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json")["weight"].initializer == ICNR(2, Normal(std=0.1))


def test_a_std_within_may_be_an_expression():
    plan = initium.plan(nn.Conv2d(8, 16, 3, bias=False), [Rule("**", ICNR(2, Normal(std="1 / sqrt(fan_in)")))], seed=0)
    assert plan["weight"].std == pytest.approx(72**-0.5)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ICNR(0), "upscale_factor >= 1"),
        (lambda: ICNR(2.0), "whole number for upscale_factor"),
        (lambda: ICNR(2)(6, 3, 3, 3), "that 4 divides, got 6"),
        (lambda: ICNR(2)(4, 4), "1, 3, 4 or 5 dimensions"),
        (lambda: init.icnr_(torch.empty(6, 3, 3, 3), 2), "that 4 divides"),
        (lambda: initium.plan(nn.ConvTranspose2d(8, 8, 3), [Rule("**", ICNR(2))], seed=0), "transposed"),
    ],
)
def test_bad_input_gets_a_sentence(make, sentence):
    with pytest.raises(InitiumError, match=sentence):
        make()


def test_drop_in_is_the_initializer():
    torch.manual_seed(5)
    a = init.icnr_(torch.empty(8, 3, 3, 3), 2, Normal())
    torch.manual_seed(5)
    assert a.equal(ICNR(2, Normal())(8, 3, 3, 3))
