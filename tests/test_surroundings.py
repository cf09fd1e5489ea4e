"""What is around a call changes nothing about what it does: modes, defaults, threads, copies."""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

import initium
from initium import Normal, Recipe, Rule, TruncNormal, init


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))


def initialised(recipe: str = "he", seed: int = 3) -> list[torch.Tensor]:
    model = network()
    initium.initialize(model, recipe, seed=seed)
    return list(model.parameters())


def alike(found: list[torch.Tensor], expected: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b.to(a.dtype)) for a, b in zip(found, expected, strict=True))


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


AROUND: dict[str, Callable[[], Any]] = {
    "no_grad": torch.no_grad,
    "enable_grad": torch.enable_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "float64": lambda: default_dtype(torch.float64),
    "on meta": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("recipe", ["he", "orthogonal", "sparse"])
def test_modes_and_defaults(around: str, recipe: str) -> None:
    rules = Recipe([Rule("**", 0), Rule("**.weight", initium.Sparse(sparsity=0.5))]) if recipe == "sparse" else recipe
    expected, model = network(), network()
    initium.initialize(expected, rules, seed=3)
    with AROUND[around]():
        initium.initialize(model, rules, seed=3)
    assert alike(list(model.parameters()), list(expected.parameters()))
    assert all(parameter.requires_grad and not parameter.is_inference() for parameter in model.parameters())
    model(torch.ones(2, 8)).sum().backward()
    assert initialised()[0].grad is None


def test_a_thread_that_first_draws_in_inference_mode_draws_outside_it_too() -> None:
    """Its bits are drawn into a tensor that it keeps, and that must not be an inference tensor."""
    found: list[torch.Tensor] = []

    def work() -> None:
        with torch.inference_mode():
            init.normal_(torch.empty(3))
        found.append(init.normal_(torch.empty(3)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(found) == 1


def test_threads_that_initialise_at_once() -> None:
    expected = initialised()
    wrong: list[object] = []

    def work(recipe: str) -> None:
        try:
            mine = initialised(recipe)
            for _ in range(10):
                if not alike(initialised(recipe), mine):
                    wrong.append(recipe)
        except BaseException as error:
            wrong.append(error)

    before = torch.get_num_threads()
    threads = [threading.Thread(target=work, args=(recipe,)) for recipe in ("he", "xavier", "orthogonal", "he", "orthogonal")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert alike(initialised(), expected)
    assert gc.isenabled()
    assert torch.get_num_threads() == before


def ways() -> dict[str, Callable[[Any], Any]]:
    return {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda x: pickle.loads(pickle.dumps(x))}


@pytest.mark.parametrize("way", ways())
def test_plans_recipes_rules_and_initializers_are_copied_as_what_they_are(way: str) -> None:
    model = network()
    narrow = initium.initialize(model, [Rule("**", TruncNormal(std=0.1, bounds=(3, 3.001)))], seed=0)  # a law with a table
    things: list[Any] = [
        initium.plan(model, "he", seed=0),
        narrow,
        initium.capture(network, seed=0)[1],
        initium.recipe("gpt2-residual"),
        Recipe([Rule(nn.Linear, weight="xavier_normal", bias=0)], knobs={"a": 1}, roles={"2.*": "head"}),
        Rule("**", Normal(std="0.02 / sqrt(fan_in)"), shape=(None, 3)),
        Normal(std=0.1),
        initium.plan(model, "he", seed=0)["0.weight"],
    ]
    for thing in things:
        found = ways()[way](thing)
        assert type(found) is type(thing)
        assert (found, hash(found), str(found)) == (thing, hash(thing), str(thing))
    other = network()
    ways()[way](narrow).apply(other)
    assert alike(list(other.parameters()), list(model.parameters()))


def test_a_plan_lies_in_a_checkpoint_of_torch_s() -> None:
    plan, file = initium.plan(network(), "he", seed=0), io.BytesIO()
    torch.save({"plan": plan}, file)
    file.seek(0)
    assert torch.load(file, weights_only=False)["plan"] == plan


def test_what_declare_said_goes_with_the_layer() -> None:
    layer = initium.declare(nn.Linear(4, 4), weight=Normal(std=0.01), bias=0)
    for way in ways().values():
        assert initium.plan(way(layer), "he", seed=0)["weight"].std == 0.01
