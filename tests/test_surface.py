"""The public surface: the names and argument names that users' code holds on to."""

from __future__ import annotations

import inspect

import pytest
from torch import nn

import initium

SIGNATURES = {
    "plan": "model, recipe, *, seed=None, prefix=''",
    "initialize": "model, recipe=None, *, seed=None, only=None, prefix=''",
    "declaring": "recipe=None, *, seed=None",
    "declare": "layer, **initializers",
}
PLAN = {
    "apply": "model, only=None, prefix='', rename=None, part=False",
    "values": "name=None, start=0, stop=None",
    "reseed": "seed",
}


def said(function: object) -> str:
    """A signature without its annotations and without self."""
    signature = inspect.signature(function)  # type: ignore[arg-type]
    parameters = [p.replace(annotation=p.empty) for name, p in signature.parameters.items() if name != "self"]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))[1:-1]


@pytest.mark.parametrize("name", SIGNATURES)
def test_functions_have_the_arguments_that_are_promised(name):
    assert said(getattr(initium, name)) == SIGNATURES[name]


@pytest.mark.parametrize("name", PLAN)
def test_a_plans_methods_have_the_arguments_that_are_promised(name):
    assert said(getattr(initium.Plan, name)) == PLAN[name]


def test_a_constructor_may_have_arguments_of_any_name():
    """What capture and build are called with is the constructor's own; only their documented keywords win."""

    class Net(nn.Module):
        def __init__(self, fn, self_, source):
            super().__init__()
            self.layer = nn.Linear(fn, self_ + source)

    skeleton, plan = initium.capture(Net, fn=2, self_=3, source=4, seed=0)
    assert plan["layer.weight"].shape == skeleton.layer.weight.shape == (7, 2)
    assert initium.build(Net, fn=2, self_=3, source=4, seed=0).layer.weight.equal(plan.values("layer.weight").view(7, 2))


def test_names_come_sorted_and_each_exists():
    assert initium.__all__ == sorted(initium.__all__)
    assert all(hasattr(initium, name) for name in initium.__all__)
