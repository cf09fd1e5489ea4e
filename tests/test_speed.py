"""What small tensors cost, guarded loosely: benchmarks/small.py has the numbers, this notices when they become several times as large."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

import pytest
import torch
from torch import nn

import initium
from initium import Normal, Recipe, Rule, init
from initium.backends import backend_for

pytestmark = pytest.mark.skipif(backend_for(torch.empty(1)).name == "reference", reason="the torch-ops backend is the slow one")
COUNT = 3000


def ratio(ours: Callable[[], object], theirs: Callable[[], object]) -> float:
    """Our processor time over theirs: medians of seven rounds in turn, after one that does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(8):
        for call, taken in zip((ours, theirs), times, strict=True):
            begin = time.process_time()
            call()
            taken.append(time.process_time() - begin)
    return statistics.median(times[0][1:]) / statistics.median(times[1][1:])


@pytest.mark.parametrize("kind", ["one list", "a layer each"])
def test_many_small_parameters_take_little_more_than_torch_s_loop(kind: str) -> None:
    """Planning, checking and writing, against writing alone: about once torch's time on a quiet machine, ten times before."""
    model: nn.Module = (
        nn.ParameterList([nn.Parameter(torch.empty(8, 8)) for _ in range(COUNT)])
        if kind == "one list"
        else nn.ModuleList([nn.Linear(8, 8, bias=False) for _ in range(COUNT)])
    )
    rules = Recipe([Rule("**", Normal(std=0.02))])

    def loop() -> None:
        for parameter in model.parameters():
            nn.init.kaiming_normal_(parameter)

    assert ratio(lambda: initium.initialize(model, rules, seed=0), loop) < 5


def test_tensors_that_look_alike_are_decided_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand tensors of one shape under names of their own cost one decision, which is what makes the above cheap."""
    from initium._planner import _Planner

    decided: list[str] = []
    worked_out = _Planner._worked_out
    monkeypatch.setattr(
        _Planner, "_worked_out", lambda self, slot, *rest: (decided.append(slot.name), worked_out(self, slot, *rest))[1]
    )
    model = nn.ParameterList([nn.Parameter(torch.empty(8, 8)) for _ in range(1000)])
    initium.plan(model, Recipe([Rule("**", Normal(std=0.02))]), seed=0)
    assert len(decided) == 1
    initium.plan(model, Recipe([Rule("**", Normal(std=0.02)), Rule("7", 0)]), seed=0)
    assert len(decided) == 1 + 2


@pytest.mark.parametrize("name", ["normal_", "kaiming_uniform_", "zeros_"])
def test_a_call_on_a_small_tensor_costs_a_few_of_torch_s(name: str) -> None:
    """A few Python calls, a key and one call of the library: some 15 µs against torch's 5."""
    tensor = torch.empty(8, 8)
    ours, theirs = getattr(init, name), getattr(nn.init, name)
    assert ratio(lambda: [ours(tensor) for _ in range(300)], lambda: [theirs(tensor) for _ in range(300)]) < 25


def test_the_collector_is_put_back() -> None:
    model = nn.Linear(2, 2)
    assert gc.isenabled()
    initium.initialize(model, "he", seed=0)
    with pytest.raises(initium.InitiumError):
        initium.plan(model, Recipe([]), seed=0)
    assert gc.isenabled()
    gc.disable()
    try:
        initium.initialize(model, "he", seed=0)
        assert not gc.isenabled()
    finally:
        gc.enable()
