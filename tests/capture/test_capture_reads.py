"""Constructors that look at what they draw: drawn first, the record kept, run twice; and what they leave behind."""

from __future__ import annotations

import copy
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import initium
from initium import InitiumError
from initium._errors import PlanError


class Looking(nn.Module):
    """A constructor that reads one of its weights by ``read`` and keeps what it saw."""

    def __init__(self, read: Callable[[torch.Tensor], Any], width: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(width, width), nn.Linear(width, width))
        self.seen = read(self.body[1].weight)


def in_numbers(value: Any) -> np.ndarray:
    return np.asarray(value.tolist() if isinstance(value, torch.Tensor) else value, dtype=np.float64).reshape(-1)


READS: dict[str, Callable[[torch.Tensor], Any]] = {
    "item": lambda w: [w[i, j].item() for i in range(8) for j in range(8)],
    "tolist": lambda w: w.tolist(),
    "numpy": lambda w: w.detach().numpy().copy(),
    "asarray": lambda w: np.array(np.asarray(w.detach())),
    "dlpack": lambda w: np.from_dlpack(w.detach()).copy(),
    "dlpack capsule": lambda w: torch.from_dlpack(torch.utils.dlpack.to_dlpack(w.detach())).tolist(),
    "bytes of safetensors": lambda w: safetensors.torch.load(safetensors.torch.save({"w": w.detach()}))["w"].tolist(),
    "float of each": lambda w: [float(x) for row in w.data for x in row],
    "list of rows": lambda w: [row.tolist() for row in w.data],
    "max": lambda w: [max(row).item() for row in w.data] and w.tolist(),
    "saved": lambda w: _saved(w),
    "parameter deep-copied": lambda w: copy.deepcopy(w).tolist(),
    "tensor deep-copied": lambda w: copy.deepcopy(w.data).tolist(),
    "storage": lambda w: [w.data.untyped_storage()[0] * 0 + x for x in w.flatten().tolist()],
    "state dict": lambda w: nn.ParameterList([w]).state_dict()["0"].tolist(),
    "shared": lambda w: w.data.share_memory_().tolist(),
}


def _saved(w: torch.Tensor) -> list[Any]:
    file = io.BytesIO()
    torch.save(w.data, file)
    file.seek(0)
    return torch.load(file).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("how", READS)
def test_a_read_sees_the_values_that_the_tensor_is_given(how: str) -> None:
    built = initium.build(Looking, READS[how], seed=0)
    assert np.array_equal(in_numbers(built.seen), in_numbers(built.body[1].weight.detach()))
    plain = initium.build(nn.Sequential, nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)), seed=0)
    assert len({tuple(p.detach().flatten().tolist()) for p in [*built.parameters(), *plain.parameters()]}) >= 6


def test_a_read_is_said_in_the_plans_notes() -> None:
    _, plan = initium.capture(Looking, READS["tolist"], seed=0)
    assert any("the constructor reads values of its own draws (tolist at " in note for note in plan.notes)
    _, plan = initium.capture(Looking, lambda w: None, seed=0)
    assert not any("reads" in note for note in plan.notes)


def test_what_was_read_has_its_streams_name_and_a_plan_of_the_model_gives_it_again() -> None:
    built = initium.build(Looking, READS["tolist"], seed=5)
    skeleton, plan = initium.capture(Looking, READS["tolist"], seed=5)
    assert plan["body.1.weight"].kind == "drawn"
    assert torch.equal(plan.values("body.1.weight"), built.body[1].weight.flatten())
    model = skeleton.to_empty(device="cpu")
    plan.apply(model)
    assert torch.equal(model.body[1].weight, built.body[1].weight)


def test_a_write_through_numpy_is_kept() -> None:
    class Numpy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.l = nn.Linear(4, 4)
            self.l.weight.data.numpy()[0] = 7.0

    built = initium.build(Numpy, seed=0)
    assert built.l.weight[0].tolist() == [7.0] * 4
    assert len(set(built.l.weight[1:].flatten().tolist())) == 12


def test_an_if_on_a_drawn_value_takes_the_branch_of_the_value() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate = nn.Parameter(torch.randn(1))
            self.sign = 1 if self.gate > 0 else -1

    seen = {seed: initium.build(Branch, seed=seed) for seed in range(8)}
    assert all(model.sign == (1 if model.gate.item() > 0 else -1) for model in seen.values())
    assert {model.sign for model in seen.values()} == {1, -1}


def test_a_constructor_that_probes_itself_keeps_its_record() -> None:
    class Probing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
            with torch.no_grad():
                features = self.body.eval()(torch.zeros(1, 3, 8, 8)).shape[1]
            self.body.train()
            self.head = nn.Linear(features, 2)

    _, plan = initium.capture(Probing, seed=0)
    assert [entry.kind for entry in plan.values() if entry.name.endswith(".weight")] == ["drawn", "constant", "drawn"]
    assert str(plan["body.0.weight"].initializer).startswith("kaiming_uniform")
    assert plan["head.weight"].shape == (2, 288)
    assert not any("reads" in note for note in plan.notes), "only shapes were asked for"


def test_data_dependent_initialisation_is_computed() -> None:
    """ActNorm's and LSUV's way: scale by the std of what comes out."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.l = nn.Linear(64, 32)
            x = torch.linspace(-1, 1, 640).view(10, 64)
            with torch.no_grad():
                self.l.weight.div_(self.l(x).std())
                self.factor = float(self.l.weight.abs().max())

    built = initium.build(Scaled, seed=0)
    assert built.factor == pytest.approx(float(built.l.weight.detach().abs().max()), rel=1e-6)
    other = nn.Linear(64, 32)
    initium.initialize(other, "torch", seed=0, prefix="l.")
    x = torch.linspace(-1, 1, 640).view(10, 64)
    assert torch.allclose(built.l.weight, other.weight / other(x).std(), rtol=1e-5)


CALLS = iter(range(1000))


class Fickle(nn.Module):
    """Does one thing in the first run and another in the second."""

    def __init__(self) -> None:
        super().__init__()
        first = next(CALLS) % 2 == 0
        self.a = nn.Parameter(torch.randn(4))
        self.top = self.a.max().item()
        if first:
            self.b = nn.Parameter(torch.randn(5))
        else:
            self.b = nn.Parameter(torch.rand(6))


def test_two_runs_that_differ_are_refused_with_both_lines_of_code() -> None:
    with pytest.raises(PlanError, match="ran twice, and did not do the same") as caught:
        initium.capture(Fickle, seed=0)
    text = str(caught.value)
    code = Path(__file__).read_text("utf-8").splitlines()
    lines = [number for number, line in enumerate(code, 1) if "self.b = nn.Parameter" in line][:2]
    assert all(f"test_capture_reads.py:{line} __init__" in text for line in lines)
    assert "one_pass=True" in text


def test_one_pass_takes_what_it_got_and_its_numbers_are_fixed() -> None:
    built = initium.build(Fickle, seed=0, one_pass=True)
    assert built.top == built.a.max().item()
    again = initium.build(Fickle, seed=0, one_pass=True)
    assert torch.equal(built.a, again.a)


def test_in_a_declaring_block_what_is_read_has_a_stream_of_its_own() -> None:
    with initium.declaring(seed=0) as block:
        model = Looking(READS["tolist"])
    assert np.array_equal(in_numbers(model.seen), in_numbers(model.body[1].weight.detach()))
    assert torch.equal(block.plans[0].values("body.1.weight"), model.body[1].weight.flatten())


def test_python_random_is_the_users_unless_asked() -> None:
    class Width(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.l = nn.Linear(random.randrange(2, 2000), int(np.random.randint(2, 2000)))

    before, numpys = random.getstate(), np.random.get_state()[1].copy()
    shapes = {initium.capture(Width, seed=0, seed_python=True)[1]["l.weight"].shape for _ in range(3)}
    assert len(shapes) == 1
    assert random.getstate() == before
    assert (np.random.get_state()[1] == numpys).all()
    assert {initium.capture(Width, seed=1, seed_python=True)[1]["l.weight"].shape} != shapes
    assert len({initium.capture(Width, seed=0)[1]["l.weight"].shape for _ in range(3)}) > 1


def test_torchs_generator_is_seeded_from_the_plans_seed_and_put_back() -> None:
    class Shuffled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("order", torch.randperm(100))
            self.choice = torch.randint(0, 1000, ()).item()
            self.l = nn.Linear(4, 4)

    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    first, other = initium.build(Shuffled, seed=0), initium.build(Shuffled, seed=1)
    assert torch.equal(torch.rand(3), expected)
    assert sorted(first.order.tolist()) == list(range(100))
    again = initium.build(Shuffled, seed=0)
    assert torch.equal(first.order, again.order)
    assert first.choice == again.choice
    assert not torch.equal(first.order, other.order)


def test_generators_are_put_back_after_an_exception_too() -> None:
    def broken() -> nn.Module:
        torch.rand(5)
        random.random()
        raise KeyError("x")

    torch.manual_seed(3)
    state, pythons = torch.get_rng_state(), random.getstate()
    with pytest.raises(KeyError):
        initium.capture(broken, seed=0, seed_python=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert random.getstate() == pythons


def test_reads_beyond_the_limit_are_refused_by_name() -> None:
    with pytest.raises(InitiumError, match=r"tolist on a tensor of shape \(8, 8\).*more than read_limit=63") as caught:
        initium.capture(Looking, READS["tolist"], seed=0, read_limit=63)
    assert "test_capture_reads.py:" in str(caught.value)
    initium.capture(Looking, READS["tolist"], seed=0, read_limit=64)
    with pytest.raises(InitiumError, match="read_limit=63"):
        initium.build(Looking, READS["tolist"], seed=0, read_limit=63)


def test_capture_expects_a_module() -> None:
    with pytest.raises(InitiumError, match=r"capture expects a callable that returns an nn.Module; .*<lambda> returned int"):
        initium.capture(lambda: 3, seed=0)  # type: ignore[arg-type, return-value]
