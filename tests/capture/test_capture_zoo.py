"""A dozen real models of three libraries: built by the engine and the ordinary way, compared by law. All of them: docs/capture.md."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from alike import differences

import initium

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "zoo"), str(ROOT / "tools")]
from _shim import library  # noqa: E402
from capture_table import maker  # noqa: E402

MODELS = (
    *("torchvision:shufflenet_v2_x0_5", "torchvision:mobilenet_v3_small", "torchvision:squeezenet1_1"),
    *("timm:convnext_atto", "timm:levit_128s", "timm:xcit_nano_12_p16_224"),
    *("hf:gpt2", "hf:mamba", "hf:t5", "hf:mixtral", "hf:bart", "hf:llama"),
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_a_real_model_is_built_alike(name: str) -> None:
    library("transformers" if name.startswith("hf:") else name.partition(":")[0])
    make = maker(name)
    torch.manual_seed(1)
    ordinary, plan = make(), initium.capture(make, seed=0)[1]
    assert all(entry.kind != "undefined" for entry in plan.values())
    built = initium.build(make, seed=0)
    assert differences(ordinary, built, plan) == []
    assert not any(bool(t.isnan().any()) for t in built.state_dict().values() if t.is_floating_point())


@pytest.mark.filterwarnings("ignore")
def test_the_comparison_sees_another_initialisation() -> None:
    library("torchvision")
    make = maker("torchvision:squeezenet1_1")
    plan = initium.capture(make, seed=0)[1]
    other = initium.build(make, seed=0, recipe=[initium.Rule(role="weight", initializer=initium.Normal(std=0.03))])
    assert differences(make(), other, plan) != []
