"""Applying: everything is checked before anything is written, and nothing silently does nothing."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

import initium
from initium import Constant, InitiumError, Normal, Orthogonal, Plan, Recipe, Rule
from initium._errors import PlanError, WriteError


def pair() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))


def test_initialize_without_a_recipe_offers_torch_and_build() -> None:
    with pytest.raises(InitiumError, match=r"'torch'(.|\n)*initium\.build"):
        initium.initialize(pair(), seed=0)


def test_it_returns_the_plan_it_applied() -> None:
    model = pair()
    plan = initium.initialize(model, "he", seed=0)
    assert plan == initium.plan(model, "he", seed=0)


@pytest.mark.parametrize("only", ["1.*", ["1.weight", "1.bias"], "re:1.*", ["1.weight", "1.bi?s"]])
def test_only_touches_nothing_else(only: Any) -> None:
    model, whole = pair(), pair()
    before = model[0].weight.detach().clone()
    initium.initialize(model, "he", seed=0, only=only)
    initium.initialize(whole, "he", seed=0)
    assert torch.equal(model[0].weight, before)
    assert torch.equal(model[1].weight, whole[1].weight)
    assert torch.equal(model[1].bias, whole[1].bias)


def test_only_takes_what_load_state_dict_reports() -> None:
    source, model = pair(), pair()
    checkpoint = {k: v for k, v in source.state_dict().items() if k.startswith("0")}
    missing, _ = model.load_state_dict(checkpoint, strict=False)
    plan = initium.plan(model, "he", seed=0)
    plan.apply(model, only=missing)
    assert torch.equal(model[0].weight, source[0].weight)
    assert torch.equal(model[1].weight.flatten(), plan.values("1.weight"))


def test_only_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(InitiumError, match=r"only='1\.wight'.*Did you mean '1\.weight'"):
        initium.initialize(pair(), "he", seed=0, only="1.wight")


def test_unclaimed_parameters_outside_only_are_not_asked_for() -> None:
    initium.initialize(pair(), [Rule("1.*", 0)], seed=0, only="1.**")


def test_a_model_that_lacks_tensors_of_the_plan_is_an_error_unless_said() -> None:
    plan = initium.plan(pair(), "he", seed=0)
    stage = nn.Sequential(nn.Linear(4, 4))
    with pytest.raises(InitiumError, match="1.weight(.|\n)*part=True"):
        plan.apply(stage)
    plan.apply(stage, part=True)
    assert torch.equal(stage[0].weight.flatten(), plan.values("0.weight"))


def test_a_stage_that_counts_from_0_again_is_renamed() -> None:
    plan = initium.plan(pair(), "he", seed=0)
    for rename in ({"0.weight": "1.weight", "0.bias": "1.bias"}, lambda name: name.replace("0.", "1.")):
        stage = nn.Sequential(nn.Linear(4, 4))
        plan.apply(stage, rename=rename, part=True)
        assert torch.equal(stage[0].weight.flatten(), plan.values("1.weight"))


def test_a_stage_with_only_the_second_name_gets_the_first_ones_values() -> None:
    model = nn.ModuleDict({"embed": nn.Embedding(5, 4), "head": nn.Linear(4, 5, bias=False)})
    model["head"].weight = model["embed"].weight
    plan = initium.plan(model, [Rule("**", Normal())], seed=0)
    stage = nn.ModuleDict({"head": nn.Linear(4, 5, bias=False)})
    plan.apply(stage, part=True)
    assert torch.equal(stage["head"].weight.flatten(), plan.values("embed.weight"))


def test_parameters_that_the_plan_does_not_know_are_an_error() -> None:
    plan = initium.plan(nn.Sequential(nn.Linear(4, 4)), "he", seed=0)
    with pytest.raises(InitiumError, match="2 parameters that the plan does not know(.|\n)*1.weight"):
        plan.apply(pair())


def test_another_shape_is_an_error() -> None:
    plan = initium.plan(pair(), "he", seed=0)
    with pytest.raises(InitiumError, match=r"shape \(5, 4\) in the model and \(4, 4\)"):
        plan.apply(nn.Sequential(nn.Linear(4, 5), nn.Linear(4, 4)))


def meta() -> nn.Module:
    return nn.Linear(4, 4, device="meta")


def inference() -> nn.Module:
    with torch.inference_mode():
        return nn.Linear(4, 4)


def expanded() -> nn.Module:
    model = nn.Linear(4, 4)
    model.weight = nn.Parameter(torch.zeros(4, 1).expand(4, 4))
    return model


def integer() -> nn.Module:
    model = nn.Linear(4, 4)
    model.weight = nn.Parameter(torch.zeros(4, 4, dtype=torch.int32), requires_grad=False)
    return model


def fp8() -> nn.Module:
    model = nn.Linear(4, 4)
    model.weight = nn.Parameter(torch.zeros(4, 4).to(torch.float8_e4m3fn), requires_grad=False)
    return model


def lazy() -> nn.Module:
    return nn.LazyLinear(4)


def fake() -> nn.Module:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        return nn.Linear(4, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (meta, "on meta.*to_empty"),
        (inference, "inference tensor"),
        (expanded, "share memory"),
        (integer, "floating or complex dtype, not int32"),
        (fp8, "float8_e4m3fn"),
        (lazy, "lazy"),
        (fake, "fake"),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_what_cannot_be_written_says_why_and_names_the_parameter(make: Any, message: str) -> None:
    with pytest.raises(InitiumError, match=f"weight(.|\n)*{message}"):
        initium.initialize(nn.Sequential(make()), "he", seed=0)


def test_a_zero_placeholder_is_named() -> None:
    plan = initium.plan(nn.Linear(4, 4), "he", seed=0)
    model = nn.Linear(4, 4)
    model.weight = nn.Parameter(torch.empty(0))
    with pytest.raises(InitiumError, match="weight has 0 elements.*placeholder"):
        plan.apply(model)


def test_nothing_is_written_when_anything_is_wrong() -> None:
    model = nn.Sequential(nn.Linear(4, 4), expanded())
    before = model[0].weight.detach().clone()
    with pytest.raises(InitiumError):
        initium.initialize(model, "he", seed=0)
    assert torch.equal(model[0].weight, before)


class Refuses(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


class Swallows(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(x)

    def right_inverse(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Breaks(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def right_inverse(self, x: torch.Tensor) -> torch.Tensor:
        if not bool((x == self.first).all()) if hasattr(self, "first") else False:
            raise ValueError("not invertible")
        self.first = x.clone()
        return x


def parametrised(parametrization: nn.Module) -> nn.Module:
    model = nn.Linear(4, 4)
    parametrize.register_parametrization(model, "weight", parametrization)
    return model


def test_weight_norm_gets_the_planned_weight() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(16, 16)))
    plan = initium.initialize(model, "he", seed=0)
    assert torch.allclose(model[0].weight.flatten(), plan.values("0.weight"), rtol=1e-6, atol=0)
    assert plan["0.parametrizations.weight.original0"].kind == "derived"
    assert plan["0.parametrizations.weight.original1"].derived_from == "0.weight"


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_older_weight_norm_too() -> None:
    model = nn.Sequential(torch.nn.utils.weight_norm(nn.Linear(16, 16)))
    plan = initium.initialize(model, "he", seed=0)
    model(torch.zeros(1, 16))
    assert torch.allclose(model[0].weight.flatten(), plan.values("0.weight"), rtol=1e-6, atol=0)


def test_a_parametrization_that_changes_the_weight_is_reported() -> None:
    model = nn.Sequential(parametrizations.spectral_norm(nn.Linear(32, 32)))
    plan = initium.initialize(model, "he", seed=0)
    assert "the forward pass sees std" in plan["0.weight"].note
    assert "parametrization" in str(plan)


def test_an_orthogonal_parametrization_accepts_an_orthogonal_weight() -> None:
    model = nn.Sequential(parametrizations.orthogonal(nn.Linear(8, 8)))
    plan = initium.initialize(model, [Rule("0.weight", Orthogonal()), Rule("0.bias", 0)], seed=0)
    assert torch.allclose(model[0].weight.flatten(), plan.values("0.weight"), atol=1e-5)
    assert plan["0.weight"].note == ""


def test_a_parametrization_without_right_inverse_is_an_error_with_a_way_out() -> None:
    model = nn.Sequential(parametrised(Refuses()))
    with pytest.raises(InitiumError, match="right_inverse"):
        initium.initialize(model, "he", seed=0)


def test_a_parametrization_that_swallows_the_write_is_an_error() -> None:
    model = nn.Sequential(parametrised(Swallows()))
    with pytest.raises(InitiumError, match="changed nothing in the forward pass"):
        initium.initialize(model, "he", seed=0)


def test_a_parametrization_that_fails_halfway_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)), parametrised(Breaks()), nn.Linear(4, 4))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="not invertible"):
        initium.initialize(model, "he", seed=0)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_constants_are_written_in_the_tensors_own_dtype() -> None:
    model = nn.Linear(2, 2, dtype=torch.float64)
    initium.initialize(model, [Rule("**", Constant(0.1))], seed=0)
    assert model.bias[0].item() == 0.1


def test_a_tensor_whose_memory_has_the_other_sign_gets_the_planned_values() -> None:
    """A lazily negated view is contiguous and plain: only ``is_neg`` tells."""
    model = nn.Linear(3, 2)
    model.weight = nn.Parameter(torch._neg_view(torch.zeros(2, 3)))  # type: ignore[attr-defined]
    assert model.weight.is_neg()
    plan = initium.initialize(model, "he", seed=0)
    assert torch.equal(model.weight.detach().flatten(), plan.values("weight"))


def test_a_plan_is_applied_to_a_model_of_another_dtype() -> None:
    """The tensors' dtypes count, not those of the plan, and tensors that share a decision may differ in it."""
    plan = initium.plan(nn.ModuleList([nn.Linear(8, 8) for _ in range(3)]), "he", seed=0)
    mixed = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8).half(), nn.Linear(8, 8).double()])
    plan.apply(mixed)
    for index, layer in enumerate(mixed):
        assert torch.equal(layer.weight.detach().flatten(), plan.values(f"{index}.weight").to(layer.weight.dtype))


def test_an_empty_model_has_an_empty_plan() -> None:
    plan = initium.initialize(nn.Sequential(), "he", seed=0)
    assert isinstance(plan, Plan)
    assert len(plan) == 0
    assert "0 tensors" in str(plan)


def test_empty_tensors_are_written_without_a_word() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    model.empty = nn.Parameter(torch.empty(0, 4))
    assert initium.initialize(model, [Rule("**", Normal())], seed=0)["empty"].shape == (0, 4)


def test_torch_s_defaults_of_device_and_dtype_change_nothing() -> None:
    """What is worked out on the host stays there, in the precision that the contract says."""

    def drawn() -> dict[str, torch.Tensor]:
        found = {}
        for name in ("he", "xavier", "orthogonal"):
            model = nn.Linear(12, 8, device="cpu", dtype=torch.float32)
            plan = initium.initialize(model, name, seed=0)
            found[name], found[f"{name} values"] = model.weight.detach(), plan.values("weight", 5, 50)
        return found

    expected = drawn()
    try:
        torch.set_default_device("meta")
        torch.set_default_dtype(torch.float64)
        found = drawn()
        assert isinstance(initium.plan(nn.Linear(2, 2), "he").seed, int)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    for name, values in expected.items():
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name], values), name


def test_sparse_tensors_and_scripted_modules_are_refused_in_a_sentence() -> None:
    with pytest.raises(WriteError, match=r"it is sparse \(torch.sparse_coo\): initialise a dense tensor"):
        initium.init.normal_(torch.eye(3).to_sparse())
    model = nn.Module()
    model.w = nn.Parameter(torch.eye(3).to_sparse())
    with pytest.raises(WriteError, match="w cannot be written: it is sparse"):
        initium.initialize(model, Recipe([Rule("w", 1)]), seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is on its way out
        scripted = torch.jit.script(nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(PlanError, match="the model is a scripted module"):
        initium.plan(scripted, "he", seed=0)
