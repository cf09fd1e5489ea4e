"""torchvision's recipes are what torchvision does, captured from torchvision itself; and they run on models of nobody's library."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent / "zoo"))
from _shim import library
from parity import check, differences

import initium

MODELS = [
    ("torchvision-resnet", "resnet18"),
    ("torchvision-resnet", "resnext50_32x4d"),
    ("torchvision-vgg", "vgg11_bn"),
    ("torchvision-vgg", "vgg11"),
    ("torchvision-densenet", "densenet121"),
    ("torchvision-efficientnet", "efficientnet_b0"),
    ("torchvision-efficientnet", "efficientnet_v2_s"),
    ("torchvision-mobilenet", "mobilenet_v2"),
    ("torchvision-mobilenet", "mobilenet_v3_small"),
    ("torchvision-regnet", "regnet_x_400mf"),
    ("torchvision-regnet", "regnet_y_400mf"),
    ("torchvision-convnext", "convnext_tiny"),
    ("torchvision-vit", "vit_b_16"),
    ("torchvision-swin", "swin_t"),
    ("torchvision-swin", "swin_v2_t"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("recipe", "model"), MODELS)
def test_the_recipe_is_what_the_library_does(recipe: str, model: str) -> None:
    check(recipe, library("torchvision").models.get_model, model, weights=None)


@pytest.mark.parametrize("model", ["resnet18", "resnet50"])
def test_zero_init_residual_reaches_the_last_norm_of_each_block_and_no_other(model: str) -> None:
    recipe = initium.recipe("torchvision-resnet", zero_init_residual=True)
    plan = check(recipe, library("torchvision").models.get_model, model, weights=None, zero_init_residual=True)
    zero = [name for name, entry in plan.items() if entry.mean == 0 and name.endswith(("bn2.weight", "bn3.weight"))]
    assert len(zero) == {"resnet18": 8, "resnet50": 16}[model]


def test_parity_sees_a_difference() -> None:
    make = library("torchvision").models.resnet18
    skeleton, theirs = initium.capture(make, seed=0)
    found = differences(initium.plan(skeleton, "torchvision-densenet", seed=0), theirs)
    assert any("conv1.weight" in line for line in found)
    assert any("fc.bias" in line and "Constant" in line for line in found)


def test_the_numbers_of_a_vision_transformer_of_your_own() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, 64, 8, 8)
            self.pos_embed = nn.Parameter(torch.empty(1, 17, 64))
            self.cls_token = nn.Parameter(torch.empty(1, 1, 64))
            self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(64, 4, 256) for _ in range(2)])
            self.head = nn.Linear(64, 10)

    plan = initium.plan(Net(), "torchvision-vit", seed=0)
    assert plan["patches.weight"].std == pytest.approx(192**-0.5, rel=1e-6)
    assert plan["pos_embed"].std == 0.02
    assert plan["blocks.1.linear1.weight"].std == pytest.approx((2 / 320) ** 0.5)
    assert plan["blocks.1.linear2.bias"].std == 1e-6
    assert plan["blocks.0.self_attn.in_proj_weight"].std == pytest.approx((2 / 256) ** 0.5), "q, k and v as one matrix"
    assert plan["cls_token"].mean == plan["head.weight"].mean == plan["head.bias"].mean == 0
    assert plan["head.weight"].kind == "constant"


def test_depthwise_convolutions_do_not_know_their_groups_here() -> None:
    depthwise = nn.Conv2d(32, 32, 3, groups=32)
    assert initium.plan(depthwise, "torchvision-efficientnet", seed=0)["weight"].std == pytest.approx((2 / 288) ** 0.5)
    assert initium.plan(depthwise, "timm-efficientnet", seed=0)["weight"].std == pytest.approx((2 / 9) ** 0.5)
