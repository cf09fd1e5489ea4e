"""LoRA: numbers by hand on adapters written as loralib's and PEFT's, and parity with PEFT where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent / "zoo"))
from _shim import library

import initium

IN, OUT, R = 48, 96, 6


class Loralib(nn.Linear):
    """microsoft/LoRA: the adapter is two bare parameters of a Linear's subclass."""

    def __init__(self) -> None:
        super().__init__(IN, OUT)
        self.lora_A, self.lora_B = nn.Parameter(torch.ones(R, IN)), nn.Parameter(torch.ones(OUT, R))


class Peft(nn.Module):
    """huggingface/peft: adapters by name, each a Linear; tables are bare parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = nn.Linear(IN, OUT)
        self.lora_A = nn.ModuleDict({"default": nn.Linear(IN, R, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(R, OUT, bias=False)})
        self.lora_embedding_A = nn.ParameterDict({"other": nn.Parameter(torch.ones(R, 50))})
        self.lora_embedding_B = nn.ParameterDict({"other": nn.Parameter(torch.zeros(IN, R))})


def test_a_is_uniform_by_its_inputs_and_b_is_zero() -> None:
    """reset_lora_parameters: kaiming_uniform_(A, a=√5) = U(±1 / √in), B = 0; tables the other way round."""
    net = nn.ModuleDict({"one": Loralib(), "two": Peft()})
    kept = net["one"].weight.clone(), net["two"].base_layer.weight.clone()
    plan = initium.initialize(net, "lora", seed=0)
    for name in ("one.lora_A", "two.lora_A.default.weight"):
        assert plan[name].initializer.b == pytest.approx(1 / math.sqrt(IN)), "not 1 / √r, and not √(6 / …)"
    assert plan["two.lora_embedding_B.other"].std == 1
    for name in ("one.lora_B", "two.lora_B.default.weight", "two.lora_embedding_A.other"):
        assert plan[name].std == plan[name].mean == 0
    assert torch.equal(net["one"].weight, kept[0])
    assert torch.equal(net["two"].base_layer.weight, kept[1])
    x = torch.randn(3, IN)
    two = net["two"]
    assert torch.equal(two.base_layer(x) + 2 * two.lora_B["default"](two.lora_A["default"](x)), two.base_layer(x))


@pytest.mark.parametrize(("down", "up"), [("lora_a", "lora_b"), ("lora_down", "lora_up")])
def test_torchtune_s_and_kohya_s_names(down: str, up: str) -> None:
    net = nn.ModuleDict({"q": nn.ModuleDict({"base": nn.Linear(IN, OUT), down: nn.Linear(IN, R), up: nn.Linear(R, OUT)})})
    plan = initium.plan(net, "lora", seed=0)
    assert plan[f"q.{down}.weight"].initializer.b == pytest.approx(1 / math.sqrt(IN))
    assert plan[f"q.{up}.weight"].std == 0
    assert plan["q.base.weight"].kind == "kept"


def test_gaussian_has_one_over_the_rank() -> None:
    plan = initium.plan(nn.ModuleDict({"one": Loralib(), "two": Peft()}), initium.recipe("lora", start="gaussian"), seed=0)
    assert plan["one.lora_A"].std == plan["two.lora_A.default.weight"].std == pytest.approx(1 / R)
    with pytest.raises(initium.InitiumError, match="start 'gauss' not supported. Did you mean 'gaussian'"):
        initium.recipe("lora", start="gauss")


def test_a_model_without_adapters_is_an_error() -> None:
    with pytest.raises(initium.InitiumError, match="match nothing"):
        initium.plan(nn.Linear(4, 4), "lora", seed=0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("start", ["kaiming", "gaussian"])
def test_parity_with_peft(start: str) -> None:
    library("transformers")
    if importlib.util.find_spec("peft") is None:
        pytest.skip("peft is not installed")
    peft = importlib.import_module("peft")

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.fc, self.conv = nn.Embedding(50, IN), nn.Linear(IN, OUT), nn.Conv2d(8, 16, 3)

    config = peft.LoraConfig(
        r=R, target_modules=["table", "fc", "conv"], init_lora_weights=True if start == "kaiming" else "gaussian"
    )
    torch.manual_seed(0)
    model = peft.get_peft_model(Net(), config)
    plan = initium.plan(model, initium.recipe("lora", start=start), seed=0)
    adapters = {name: p for name, p in model.named_parameters() if "lora_" in name}
    assert len(adapters) == 6
    for name, theirs in adapters.items():
        entry, theirs = plan[name], theirs.detach().double()
        spread = float(entry.std) / math.sqrt(theirs.numel())
        assert abs(float(theirs.mean()) - entry.mean) <= 6 * spread
        assert float(theirs.std(correction=0)) == pytest.approx(entry.std, rel=6 / math.sqrt(theirs.numel()))
        if entry.kind == "drawn" and entry.initializer.name == "uniform":
            assert entry.initializer.b * 0.9 < float(theirs.abs().max()) <= entry.initializer.b * (1 + 1e-6)
    others = [name for name in plan if "lora_" not in name]
    assert all(plan[name].kind == "kept" for name in others)
