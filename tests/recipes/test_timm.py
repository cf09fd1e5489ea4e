"""timm's recipes are what timm does, captured from timm itself."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent / "zoo"))
from _shim import library
from parity import check

import initium

TINY = "vit_tiny_patch16_224"
MODELS: list[tuple[str, str, dict[str, Any]]] = [
    ("timm-vit", TINY, {}),
    ("timm-vit", "deit_tiny_patch16_224", {}),
    ("timm-vit", "vit_medium_patch16_reg4_gap_256", {}),
    ("timm-vit-jax", TINY, {"weight_init": "jax"}),
    ("timm-vit-jax-nlhb", TINY, {"weight_init": "jax_nlhb"}),
    ("timm-vit-moco", TINY, {"weight_init": "moco"}),
    ("timm-convnext", "convnext_atto", {}),
    ("timm-convnext", "convnextv2_atto", {}),
    ("timm-resnet", "resnet18", {}),
    ("timm-resnet", "resnet26", {}),
    ("timm-efficientnet", "efficientnet_b0", {}),
    ("timm-efficientnet", "mobilenetv3_small_050", {}),
    ("timm-efficientnet", "efficientnet_lite0", {}),
    ("timm-efficientnet", "mobilenetv4_hybrid_medium", {}),
    ("timm-vit", "deit_tiny_distilled_patch16_224", {"depth": 2}),
    ("timm-vit", TINY, {"depth": 2, "global_pool": "map"}),
    ("timm-vit", TINY, {"depth": 2, "class_token": False, "global_pool": "avg", "qkv_bias": False, "qk_norm": True}),
    ("timm-vit", "vit_small_patch16_18x2_224", {"depth": 2}),
    ("timm-vit-jax", TINY, {"depth": 2, "weight_init": "jax", "num_classes": 0, "qkv_bias": False}),
    ("timm-beit", "beit_base_patch16_224", {"depth": 2}),
    ("timm-convnext", "convnext_atto", {"ls_init_value": None}),
    ("timm-resnet", "ecaresnet26t", {}),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("recipe", "model", "knobs"), MODELS)
def test_the_recipe_is_what_the_library_does(recipe: str, model: str, knobs: dict[str, Any]) -> None:
    check(recipe, library("timm").create_model, model, **knobs)


def test_the_knobs_are_the_library_s() -> None:
    timm = library("timm")
    check(initium.recipe("timm-vit", fix_init=True), timm.create_model, TINY, fix_init=True)
    check(initium.recipe("timm-resnet", zero_init_last=False), timm.create_model, "resnet18", zero_init_last=False)
    check(initium.recipe("timm-convnext", head_init_scale=0.5), timm.create_model, "convnext_atto", head_init_scale=0.5)
    hidden = {"head_init_scale": 0.01, "head_hidden_size": 64, "num_classes": 7}
    check(initium.recipe("timm-convnext", head_init_scale=0.01), timm.create_model, "convnext_atto", **hidden)
    check(initium.recipe("timm-vit", init_values=0.1), timm.create_model, TINY, init_values=0.1, depth=2)
    check(initium.recipe("timm-beit", head_init_scale=1.0), timm.create_model, "eva02_tiny_patch14_224", depth=2)


def test_the_table_of_the_tiny_vit() -> None:
    make = library("timm").create_model
    stds = {}
    for recipe, mode in (("timm-vit-jax", "jax"), ("timm-vit-moco", "moco")):
        plan = check(recipe, make, TINY, weight_init=mode)
        stds[mode] = [plan[f"blocks.0.{n}.weight"].std for n in ("attn.qkv", "attn.proj", "mlp.fc1")]
        stds[mode].append(plan["patch_embed.proj.weight"].std)
    assert stds["jax"] == pytest.approx([0.0510, 0.0722, 0.0456, 0.0361], abs=5e-5)
    assert stds["moco"][0] == pytest.approx(0.0722, abs=5e-5), "q, k and v each for itself"


@pytest.mark.parametrize("classes", [10, 1000])
def test_head_biases_for_sigmoids(classes: int) -> None:
    net = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, classes))
    assert initium.plan(net, "timm-vit-jax-nlhb", seed=0)["1.bias"].mean == pytest.approx(-math.log(classes), rel=1e-12)
