"""declare and declaring: initialised where, and when, it is made."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import initium
from initium import InitiumError, Normal, declare, declaring


class Net(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.head = nn.Linear(width, 2)


class Loop(nn.Module):
    """A constructor that draws by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                m.weight.data.normal_(0, 5.0)


def test_declare_draws_now_from_torchs_generator() -> None:
    torch.manual_seed(0)
    layer = declare(nn.Linear(64, 64), weight=Normal(std=0.01), bias=0.5)
    assert 0.009 < float(layer.weight.detach().std()) < 0.011
    assert bool((layer.bias == 0.5).all())


def test_later_plans_remember_it_over_any_recipe() -> None:
    model = Net()
    declare(model.head, weight=Normal(std=0.01))
    for net in (model, copy.deepcopy(model)):
        plan = initium.initialize(net, "he", seed=0)
        assert plan["head.weight"].std == 0.01
        assert plan["head.weight"].rule == "declared on the layer"
        assert plan["head.bias"].kind == "constant"


def test_declare_twice_adds_up() -> None:
    layer = declare(declare(nn.Linear(2, 2), weight=1), bias=2)
    plan = initium.plan(layer, "he", seed=0)
    assert (plan["weight"].mean, plan["bias"].mean) == (1, 2)


def test_a_tensor_that_the_layer_lacks_is_no_error_but_a_wrong_name_is() -> None:
    declare(nn.Linear(2, 2, bias=False), weight=0, bias=0)
    with pytest.raises(InitiumError, match="Did you mean 'weight'"):
        declare(nn.Linear(2, 2), wieght=0)
    with pytest.raises(InitiumError, match="declare expects a layer"):
        declare(3, weight=0)  # type: ignore[type-var]


def test_declaring_fills_models_when_it_closes() -> None:
    with declaring("he", seed=0):
        model = Net()
    other = Net()
    initium.initialize(other, "he", seed=0)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_a_second_root_model_is_keyed_under_its_number() -> None:
    with declaring("he", seed=0) as block:
        first, second = Net(), nn.Sequential(nn.Linear(4, 4))
    assert list(block.plans[1]) == ["#1.0.weight", "#1.0.bias"]
    alone = nn.Sequential(nn.Linear(4, 4))
    initium.initialize(alone, "he", seed=0, prefix="#1.")
    assert torch.equal(second[0].weight, alone[0].weight)
    assert "head.weight" in block.plans[0]
    assert first is not second


def test_it_wins_over_a_loop_in_the_constructor() -> None:
    with declaring("he", seed=0):
        model = Loop()
    assert float(model.conv.weight.detach().std()) < 1.0


def test_on_an_exception_nothing_is_filled_and_nothing_stays_changed() -> None:
    block = declaring("he", seed=0)
    torch.manual_seed(0)

    def build() -> None:
        with block:
            Net()
            raise KeyError("x")

    with pytest.raises(KeyError):
        build()
    assert block.plans == []
    drawn = Net().head.weight
    torch.manual_seed(0)
    assert torch.equal(drawn, Net().head.weight)


def test_a_model_that_existed_before_is_not_touched() -> None:
    model = Net()
    before = model.body[0].weight.detach().clone()
    with declaring("xavier", seed=0):
        model.head = nn.Linear(8, 3)
    assert torch.equal(model.body[0].weight, before)
    assert not model.head.bias.detach().any()


def test_modules_made_and_dropped_inside_leave_no_trace() -> None:
    with declaring("he", seed=0) as block:
        Net()
        nn.CrossEntropyLoss()
        model = Net()
    assert [sorted(plan) for plan in block.plans] == [sorted(name for name, _ in model.named_parameters())]


def test_what_is_declared_inside_counts() -> None:
    class Declared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(8, 8)
            self.b = declare(nn.Linear(8, 8), weight=Normal(std=0.125))

    with declaring("he", seed=0) as block:
        Declared()
    del block
    with declaring("he", seed=0) as block:
        model = Declared()
    assert block.plans[0]["b.weight"].std == 0.125
    assert torch.equal(model.b.weight.flatten(), block.plans[0].values("b.weight"))


def test_a_model_initialised_within_the_block_keeps_that() -> None:
    """``initialize`` in a constructor, or another block within the block, is the model's own initialisation to the outer block."""
    with initium.declaring(seed=0) as outer:
        model = nn.Linear(64, 64)
        initium.initialize(model, "normal", seed=5)
        with initium.declaring("xavier", seed=1) as inner:
            other = nn.Linear(32, 32)
    assert outer.plans[0]["weight"].std == pytest.approx(0.02)
    assert inner.plans[0]["weight"].std == pytest.approx(32**-0.5)
    for layer, std in ((model, 0.02), (other, 32**-0.5)):
        assert (
            abs(float(layer.weight.detach().std()) / std - 1) < 0.15
        )  # at least 4σ: 1,024 elements have a relative error of 2.2 %
