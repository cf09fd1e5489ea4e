"""Plans: every tensor has one entry, and the value of an element depends on its address alone."""

from __future__ import annotations

import copy
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import initium
from initium import ClassDefault, Constant, InitiumError, Keep, Normal, Orthogonal, Parts, Recipe, Rule
from initium._stream import derive_key, normal_from, words


def network(width: int = 8) -> nn.Module:
    torch.manual_seed(1)
    model = nn.Module()
    model.embed = nn.Embedding(11, width, padding_idx=0)
    model.blocks = nn.ModuleList([nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width)) for _ in range(3)])
    model.head = nn.Linear(width, 11, bias=False)
    model.head.weight = model.embed.weight
    model.register_buffer("table", torch.arange(3))
    return model


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_every_parameter_and_buffer_has_exactly_one_entry() -> None:
    model = network()
    plan = initium.plan(model, "he", seed=0)
    expected = [n for n, _ in model.named_parameters(remove_duplicate=False)] + [n for n, _ in model.named_buffers()]
    assert sorted(plan) == sorted(expected)
    kinds = {name: entry.kind for name, entry in plan.items()}
    assert kinds["embed.weight"] == "kept"
    assert kinds["head.weight"] == "tied"
    assert kinds["table"] == "kept"
    assert kinds["blocks.0.0.weight"] == "drawn"
    assert kinds["blocks.0.1.weight"] == kinds["blocks.0.0.bias"] == "constant"


def test_the_value_is_that_of_the_address() -> None:
    model = nn.Sequential(nn.Linear(3, 5))
    initium.initialize(model, [Rule("**", Normal(std=0.5, mean=1.0))], seed=12)
    z = normal_from(words(derive_key(12, "0.weight"), 0, 15))
    assert torch.equal(model[0].weight.detach().flatten(), z * 0.5 + 1.0)


def test_neither_order_nor_the_other_parameters_matter() -> None:
    wide = nn.ModuleDict({name: nn.Linear(4, 4) for name in ("a", "b", "c", "d")})
    names = ["d", "b", "a"]
    other = nn.ModuleDict({name: nn.Linear(4, 4) for name in names})
    initium.initialize(wide, "he", seed=5)
    initium.initialize(other, "he", seed=5)
    assert all(torch.equal(wide[name].weight, other[name].weight) for name in names)


def test_the_global_generator_is_neither_read_nor_moved() -> None:
    model = network()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    initium.initialize(model, "xavier", seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    first = state(model)
    torch.manual_seed(99)
    initium.initialize(model, "xavier", seed=0)
    assert all(torch.equal(value, first[name]) for name, value in model.state_dict().items())


def test_without_a_seed_torchs_generator_gives_one_and_the_plan_shows_it() -> None:
    torch.manual_seed(4)
    a = initium.plan(network(), "he")
    b = initium.plan(network(), "he")
    assert a.seed != b.seed or a == b
    assert str(a.seed) in str(a)
    assert 0 <= a.seed < 2**63


@pytest.mark.parametrize("seed", [0, 1, -1, 2**63, 2**64 - 1, -(2**63)])
def test_seeds_are_those_of_manual_seed(seed: int) -> None:
    assert initium.plan(nn.Linear(2, 2), "he", seed=seed).seed == seed % 2**64


@pytest.mark.parametrize(
    ("seed", "error"), [(2**64, ValueError), (-(2**63) - 1, ValueError), (1.5, TypeError), (True, TypeError), ("0", TypeError)]
)
def test_other_seeds_are_refused(seed: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="seed") as caught:
        initium.plan(nn.Linear(2, 2), "he", seed=seed)  # type: ignore[arg-type]
    assert isinstance(caught.value, InitiumError)


def test_dtype_is_one_rounding_away() -> None:
    plain, half = network(), network().to(torch.bfloat16)
    initium.initialize(plain, "he", seed=3)
    initium.initialize(half, "he", seed=3)
    for name, value in half.state_dict().items():
        if name.startswith("blocks"):
            assert torch.equal(value, plain.state_dict()[name].to(value.dtype))


def test_prefix_goes_before_every_name() -> None:
    whole = nn.ModuleDict({"q": nn.Linear(3, 3), "q2": nn.Linear(3, 3)})
    initium.initialize(whole, "he", seed=0)
    lone = nn.Linear(3, 3)
    plan = initium.initialize(lone, "he", seed=0, prefix="q2.")
    assert torch.equal(lone.weight, whole["q2"].weight)
    again = nn.Linear(3, 3)
    plan.apply(again)
    assert torch.equal(again.weight, lone.weight)
    initium.plan(whole, "he", seed=0).apply(again, prefix="q.", part=True)
    assert torch.equal(again.weight, whole["q"].weight)


def test_values_are_random_access() -> None:
    model = network()
    plan = initium.initialize(model, "he", seed=2)
    whole = model.blocks[1][0].weight.detach().flatten()
    assert torch.equal(plan.values("blocks.1.0.weight"), whole)
    for _ in range(10):
        a = random.Random(0).randrange(len(whole))
        assert torch.equal(plan.values("blocks.1.0.weight", a, a + 3), whole[a : a + 3])


def test_values_say_what_they_cannot_give() -> None:
    plan = initium.plan(network(), "he", seed=2)
    for name, start, stop, message in (
        ("embed.weight", 0, None, "kept"),
        ("head.weight", 0, None, "kept"),
        ("blocks.0.0.weight", 0, 65, "64 elements"),
        ("blocks.0.0.weigt", 0, None, "Did you mean 'blocks.0.0.weight'"),
    ):
        with pytest.raises(InitiumError, match=message):
            plan.values(name, start, stop)
    assert "nothing" not in plan
    assert plan.get("nothing") is None


def test_reseed_is_another_plan_of_the_same_decisions() -> None:
    plan = initium.plan(network(), "he", seed=0)
    other = plan.reseed(1)
    assert other != plan
    assert other.reseed(0) == plan
    assert not torch.equal(plan.values("blocks.0.0.weight"), other.values("blocks.0.0.weight"))


def test_a_plan_made_on_meta_is_the_plan_of_the_real_model() -> None:
    with torch.device("meta"):
        skeleton = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    plan = initium.plan(skeleton, "he", seed=0)
    assert plan == initium.plan(model, "he", seed=0)
    skeleton.to_empty(device="cpu")
    plan.apply(skeleton)
    initium.initialize(model, "he", seed=0)
    assert all(torch.equal(a, b) for a, b in zip(skeleton.state_dict().values(), model.state_dict().values(), strict=True))


def test_a_kept_tensor_on_meta_stays_an_error_after_to_empty() -> None:
    with torch.device("meta"):
        skeleton = network()
    plan = initium.plan(skeleton, "he", seed=0)
    skeleton.to_empty(device="cpu")
    with pytest.raises(InitiumError, match="kept as constructed(.|\n)*embed.weight"):
        plan.apply(skeleton)


def test_a_tie_follows_the_first_name_and_the_other_rule_is_reported() -> None:
    rules = [Rule("**", 0), Rule("embed.weight", Normal(0.02)), Rule("head.weight", Normal(1.0))]
    model = network()
    plan = initium.initialize(model, rules, seed=0)
    assert plan["head.weight"].tied_to == "embed.weight"
    assert "shadowed" in plan["head.weight"].note
    assert float(model.head.weight.detach().abs().max()) < 0.2
    assert torch.equal(plan.values("head.weight"), plan.values("embed.weight"))


def test_ties_that_a_device_move_broke_are_tied_again() -> None:
    with torch.device("meta"):
        model = network()
    rules = [Rule("**", 0), Rule("embed.weight", Normal()), Rule("table", 0, buffers=True)]
    plan = initium.plan(model, rules, seed=0)
    model.to_empty(device="cpu")
    assert model.head.weight is not model.embed.weight
    plan.apply(model)
    assert model.head.weight is model.embed.weight


def test_the_padding_row_stays_zero() -> None:
    model = network()
    initium.initialize(model, [Rule("**", Normal())], seed=0)
    assert not model.embed.weight[0].detach().any()
    assert model.embed.weight[1:].detach().all()


def test_frozen_means_nothing_to_it_and_requires_grad_is_left_alone() -> None:
    model = network()
    model.requires_grad_(False)
    initium.initialize(model, "he", seed=0)
    assert not any(p.requires_grad for p in model.parameters())


def test_autograd_sees_the_write() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    loss = model(torch.ones(1, 8)).sum()  # the second layer's weight is saved for the backward pass
    initium.initialize(model, "he", seed=0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**64 - 1), st.text(min_size=1, max_size=20))
def test_keys_differ_by_seed_name_and_tag(seed: int, name: str) -> None:
    keys = {derive_key(seed, name), derive_key(seed ^ 1, name), derive_key(seed, name + "x"), derive_key(seed, name, "signs")}
    assert len(keys) == 4
    assert derive_key(seed, name) == derive_key(seed, name)


def test_lengths_keep_names_and_tags_apart() -> None:
    assert derive_key(0, "bc", "a") != derive_key(0, "c", "ab")


def test_equal_plans_and_their_text() -> None:
    plan = initium.plan(network(), "he", seed=0)
    assert plan == copy.deepcopy(plan)
    assert hash(plan) == hash(copy.deepcopy(plan))
    text = plan.table(200)
    assert "blocks.{0..2}.0.weight" in text
    assert "kept as constructed" in text
    assert all(len(line) <= 100 for line in plan.table(100).splitlines())
    assert "<table>" in plan._repr_html_()


def test_orthogonal_is_marked_as_inexact() -> None:
    text = str(initium.plan(nn.Linear(4, 4), [Rule("weight", Orthogonal()), Rule("bias", Constant(0))], seed=0))
    assert "1e-6" in text


def test_keep_in_so_many_words() -> None:
    model = nn.Linear(3, 3)
    before = model.weight.detach().clone()
    initium.initialize(model, [Rule("weight", Keep()), Rule("bias", 0)], seed=0)
    assert torch.equal(model.weight, before)


def test_what_a_class_does_itself_is_worked_out_for_each_module() -> None:
    """A bias's default follows its layer's fan_in, which its own shape does not tell, however the rule says so."""
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(400, 8))
    expected = [0.5, 0.05]  # 1 / √fan_in
    for rule in (
        Rule(nn.Linear, ClassDefault()),
        Rule(nn.Linear, weight=ClassDefault(), bias=ClassDefault()),
        Rule(nn.Linear, weight=0, bias=Parts(ClassDefault(), (("0:2", 0),))),
    ):
        plan = initium.plan(model, Recipe([rule]), seed=0)
        bounds = [float(plan.values(f"{layer}.bias", 2, 8).abs().max()) for layer in (0, 1)]
        for bound, most in zip(bounds, expected, strict=True):
            assert most / 4 < bound <= most  # all six below a quarter: (1/4)^6
