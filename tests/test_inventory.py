"""Inventory: canonical names, keys, ties, computed weights."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn.utils import parametrizations

from initium import InitiumError
from initium._inventory import inventory


def names(model: nn.Module) -> list[str]:
    return [slot.name for slot in inventory(model).slots]


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)))


def wrapped_in_ddp(model: nn.Module) -> nn.Module:
    return nn.DataParallel(model)


def compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model)  # type: ignore[return-value]


def checkpointed(model: nn.Module) -> nn.Module:
    model = copy.deepcopy(model)
    model[1] = checkpoint_wrapper(model[1])  # type: ignore[index, operator]
    return model


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch.compile imports torch.jit
@pytest.mark.parametrize("wrap", [wrapped_in_ddp, compiled, checkpointed])
def test_wrappers_leave_no_trace_in_names_and_keys_stay_the_state_dicts(wrap: object) -> None:
    model = network()
    wrapped = wrap(model)  # type: ignore[operator]
    assert names(wrapped) == names(model)
    assert [slot.key for slot in inventory(wrapped).slots] == list(wrapped.state_dict())


def test_a_component_goes_for_its_owner_and_not_for_its_spelling() -> None:
    class Residual(nn.Module):  # LeViT has such a child
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(2, 2)

    assert names(nn.Sequential(Residual())) == ["0.module.weight", "0.module.bias"]


def test_names_are_those_of_named_parameters_in_their_order() -> None:
    model = nn.Transformer(16, 2, 1, 1, 32, batch_first=True)
    expected = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    assert [slot.name for slot in inventory(model).slots if not slot.is_buffer] == expected


def test_ties_point_to_the_first_name_for_shared_parameters_modules_and_memory() -> None:
    model = nn.Module()
    model.embed = nn.Embedding(5, 3)
    model.head = nn.Linear(3, 5, bias=False)
    model.head.weight = model.embed.weight
    model.twin = model.head  # a shared module
    model.view = nn.Parameter(model.embed.weight.data)  # other Parameter, same memory
    ties = {slot.name: slot.tied_to for slot in inventory(model).slots}
    assert ties == {"view": None, "embed.weight": "view", "head.weight": "view", "twin.weight": "view"}


def test_a_view_of_other_shape_is_no_tie() -> None:
    model = nn.Module()
    model.a = nn.Parameter(torch.zeros(4, 3))
    model.b = nn.Parameter(model.a.data[:2])
    assert [slot.tied_to for slot in inventory(model).slots] == [None, None]


def test_ties_on_meta_are_found_by_identity() -> None:
    with torch.device("meta"):
        a, b = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
    b.weight = a.weight
    assert [slot.tied_to for slot in inventory(nn.Sequential(a, b)).slots] == [None, "0.weight"]


def test_a_parametrised_weight_has_its_logical_name_and_its_originals_derive_from_it() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 3)))
    slots = {slot.name: slot for slot in inventory(model).slots}
    assert slots["0.weight"].computed is not None
    assert slots["0.weight"].shape == (3, 4)
    assert slots["0.weight"].role == "weight"
    assert slots["0.parametrizations.weight.original0"].derived_from == "0.weight"
    assert slots["0.parametrizations.weight.original1"].derived_from == "0.weight"
    assert slots["0.bias"].derived_from is None


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_older_hooks_too() -> None:
    model = nn.Sequential(torch.nn.utils.weight_norm(nn.Linear(4, 3)), torch.nn.utils.spectral_norm(nn.Linear(4, 3)))
    derived = {slot.name: slot.derived_from for slot in inventory(model).slots if slot.derived_from}
    assert derived == {"0.weight_g": "0.weight", "0.weight_v": "0.weight", "1.weight_orig": "1.weight"}


def test_reading_changes_nothing() -> None:
    model = nn.Sequential(parametrizations.spectral_norm(nn.Linear(4, 3)))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    training = [m.training for m in model.modules()]
    inventory(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [m.training for m in model.modules()] == training


def test_a_collision_is_an_error_that_names_both() -> None:
    class Odd(nn.DataParallel):
        pass

    model = Odd(nn.Linear(2, 2))
    model.weight = nn.Parameter(torch.zeros(2))
    with pytest.raises(InitiumError, match=r"canonical name 'weight': (module\.)?weight and (module\.)?weight"):
        inventory(model)


def test_a_module_that_contains_itself_is_an_error() -> None:
    model = nn.Module()
    model.a = nn.Sequential()
    model.a.add_module("back", model.a)
    with pytest.raises(InitiumError, match="contains itself"):
        inventory(model)


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(InitiumError, match="nn.Module, got dict"):
        inventory({})  # type: ignore[arg-type]
