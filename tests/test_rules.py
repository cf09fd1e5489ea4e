"""Rules and recipes: what matches, what wins, and what is said when nothing does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import initium
from initium import Constant, InitiumError, Keep, Normal, Recipe, Rule, XavierNormal
from initium._inventory import inventory


def network() -> nn.Module:
    model = nn.Module()
    model.stem = nn.Conv2d(3, 8, 3, bias=False)
    model.norm = nn.BatchNorm2d(8)
    model.blocks = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])
    model.head = nn.Linear(8, 4)
    return model


def hit(rule: Rule) -> list[str]:
    return [slot.name for slot in inventory(network()).slots if rule.initializer_for(slot) is not None]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("head.*", 0), ["head.weight", "head.bias"]),
        (Rule(nn.Conv2d, 0), ["stem.weight"]),
        (Rule(nn.modules.conv._ConvNd, weight=0), ["stem.weight"]),
        (Rule(type="*Conv2d*", initializer=0), ["stem.weight"]),
        (Rule(type="*Norm*", weight=1), ["norm.weight"]),
        (Rule(type="_NormBase", initializer=1), ["norm.weight", "norm.bias"]),
        (Rule("blocks.*", weight=0), ["blocks.0.weight", "blocks.1.weight", "blocks.2.weight"]),
        (Rule(role="norm", initializer=1), ["norm.weight", "norm.bias"]),
        (Rule(role=("norm", "bias"), ndim=1, test=lambda slot: slot.name.startswith("head"), initializer=0), ["head.bias"]),
        (Rule(ndim=4, initializer=0), ["stem.weight"]),
        (Rule(shape=(None, 8), initializer=0), ["blocks.0.weight", "blocks.1.weight", "blocks.2.weight", "head.weight"]),
        (Rule(shape=(4, 8), dtype="float32", initializer=0), ["head.weight"]),
        (Rule(dtype=torch.float64, initializer=0), []),
        (Rule("norm.running_*", 0), []),
        (Rule("norm.running_*", 0, buffers=True), ["norm.running_mean", "norm.running_var"]),
        (Rule(nn.Linear, "normal", type="Line*", ndim=2), [*(f"blocks.{i}.weight" for i in range(3)), "head.weight"]),
    ],
    ids=str,
)
def test_all_conditions_must_hold(rule: Rule, expected: list[str]) -> None:
    assert hit(rule) == expected


def test_the_last_rule_that_matches_wins_and_the_plan_names_those_it_overrode() -> None:
    rules = [Rule("**", Keep()), Rule(nn.Linear, weight=XavierNormal()), Rule("head.weight", Normal(0.01))]
    plan = initium.plan(network(), rules, seed=0)
    assert plan["head.weight"].std == 0.01
    assert len(plan["head.weight"].overridden) == 2
    assert plan["blocks.0.weight"].std == pytest.approx((2 / 16) ** 0.5)
    assert plan["stem.weight"].kind == "kept"


def test_an_unclaimed_parameter_is_an_error_with_groups_and_lines_to_paste() -> None:
    with pytest.raises(initium._errors.RuleError) as caught:
        initium.plan(network(), [Rule(nn.Linear, weight=0)], seed=0)
    text = str(caught.value)
    assert "blocks.{0..2}.bias" in text
    assert 'Rule("blocks.*.bias", Keep()),' in text
    assert "(8,)" in text
    assert isinstance(caught.value, ValueError)


def test_a_rule_that_matches_nothing_is_an_error_that_offers_the_nearest_name() -> None:
    with pytest.raises(InitiumError, match=r"Did you mean 'head\.weight'") as caught:
        initium.plan(network(), [Rule("**", 0), Rule("hed.weight", 1)], seed=0)
    assert "test_rules.py" in str(caught.value)
    initium.plan(network(), [Rule("**", 0), Rule("hed.weight", 1, optional=True)], seed=0)


def test_a_tensor_that_a_rule_names_but_the_module_lacks_is_no_error() -> None:
    plan = initium.plan(network(), [Rule("**", 0), Rule(nn.Conv2d, bias=1)], seed=0)
    assert plan["stem.weight"].kind == "constant"


def test_a_buffer_named_without_buffers_says_what_to_write() -> None:
    with pytest.raises(InitiumError, match="buffers=True"):
        initium.plan(network(), [Rule("**", 0), Rule(nn.BatchNorm2d, running_mean=1)], seed=0)


def test_a_rule_reaches_buffers_only_when_it_says_so() -> None:
    plan = initium.plan(network(), [Rule("**", 3)], seed=0)
    assert plan["norm.running_var"].mean == 1.0
    plan = initium.plan(network(), [Rule("**", 3), Rule("norm.running_*", 5, buffers=True)], seed=0)
    assert plan["norm.running_var"].mean == 5.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rule("a"), "one initializer"),
        (lambda: Rule("a", 0, weight=1), "one initializer"),
        (lambda: Rule(3, 0), "glob or a module class"),  # type: ignore[arg-type]
        (lambda: Rule(int, 0), "glob or a module class"),
        (lambda: Rule("a", 0, type=int), "module class or a glob"),
        (lambda: Rule("a", 0, dtype="floot32"), "Did you mean 'float32'"),
        (lambda: Rule("a", "xavier_norml"), "Did you mean 'xavier_normal'"),
        (lambda: Rule("a", True), "an initializer is expected"),
        (lambda: Rule("re:(", 0), "not a regular expression"),
        (lambda: Recipe([3]), "made of rules"),  # type: ignore[list-item]
        (lambda: initium.recipe("hee"), "Did you mean 'he'"),
        (lambda: initium.recipe("normal", sdt=1), "it takes std, mean"),
        (lambda: initium.recipe(3), "a recipe is a name"),  # type: ignore[arg-type]
    ],
)
def test_bad_input_gets_a_sentence(make: object, message: str) -> None:
    with pytest.raises(InitiumError, match=message):
        make()  # type: ignore[operator]


def test_an_error_in_the_users_own_test_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        initium.plan(network(), [Rule("**", "normal", test=lambda slot: bool(1 / 0))], seed=0)


def test_an_initializer_that_does_not_fit_names_parameter_and_rule() -> None:
    with pytest.raises(InitiumError, match=r"blocks\.0\.bias: .*no fan(.|\n)*test_rules\.py"):
        initium.plan(network(), [Rule("**", 0), Rule("blocks.**", "xavier_normal")], seed=0)


def test_a_recipe_on_a_module_touches_its_own_tensors_only() -> None:
    model = network()
    before = model.head.weight.clone()
    initium.recipe("he")(model.blocks[0])
    assert torch.equal(model.head.weight, before)
    assert not model.blocks[0].bias.detach().any()


def test_a_recipe_on_a_module_follows_torchs_generator() -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        model = network()
        model.apply(initium.recipe("he"))
        drawn.append([p.clone() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*drawn, strict=True))


def test_a_recipe_that_needs_names_refuses_a_lone_module() -> None:
    with pytest.raises(InitiumError, match=r"initium\.initialize"):
        network().apply(Recipe([Rule("head.*", 0)]))


def test_nothing_matched_is_no_error_on_a_module() -> None:
    Recipe([Rule(nn.Conv3d, weight=0)])(nn.Linear(2, 2))


def test_a_plan_is_not_applied_by_model_apply() -> None:
    model = network()
    with pytest.raises(InitiumError, match=r"plan\.apply\(model\)"):
        model.apply(initium.plan(model, "he", seed=0))


def test_expressions_know_depth_and_fans() -> None:
    plan = initium.plan(network(), [Rule("**", 0), Rule("head.weight", Normal(std="1 / sqrt(depth * fan_in)"))], seed=0)
    assert plan["head.weight"].std == pytest.approx((3 * 8) ** -0.5)
    recipe = initium.recipe([Rule("**", 0), Rule("head.weight", Normal(std="x"))], x=0.25)
    assert initium.plan(network(), recipe, seed=0)["head.weight"].std == 0.25


def test_a_recipe_made_longer_keeps_the_order() -> None:
    longer = initium.recipe("he") + [Rule("head.weight", Constant(7))]  # noqa: RUF005
    assert initium.plan(network(), longer, seed=0)["head.weight"].mean == 7
