"""Nothing is garbage: fresh memory is full of NaN here, and what nobody fills is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import initium
from initium import Rule
from initium._capture import blank as _blank
from initium._errors import PlanError


class Canary(TorchDispatchMode):
    """Fills fresh memory with NaN (integers with a number nobody uses)."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        made = func(*args, **(kwargs or {}))
        if (
            func.overloadpacket.__name__ in ("empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided")
            and not made.is_meta
        ):
            made.fill_(float("nan") if made.is_floating_point() else True if made.dtype is torch.bool else 77)
        return made


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> Callable[..., nn.Module]:
    """``initium.build`` where fresh memory, blanks included, is NaN."""
    monkeypatch.setattr(_blank, "LARGE", 1 << 60)

    def build(*args: object, **kwargs: object) -> nn.Module:
        with Canary():
            return initium.build(*args, **kwargs)  # type: ignore[arg-type]

    return build


class Everything(nn.Module):
    """All the ways of filling at once."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.conv, self.rnn = nn.Linear(8, 8), nn.Conv2d(3, 8, 3), nn.LSTM(8, 8, 2)
        self.embed = nn.Embedding(20, 8, padding_idx=0)
        self.attention, self.norm = nn.MultiheadAttention(8, 2), nn.BatchNorm1d(8)
        self.normed = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8))
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
        self.rows = nn.Parameter(torch.empty(6, 8))
        with torch.no_grad():
            for row in self.rows:
                row.uniform_(-1, 1)
        self.parts = nn.Parameter(torch.empty(4, 4))
        self.parts.data[:2].normal_()
        self.parts.data[2:].zero_()
        self.dt = nn.Parameter(torch.log(torch.expm1(torch.rand(8) + 0.1)))
        self.eye = nn.Parameter(nn.init.eye_(torch.empty(8, 8)))
        self.orthogonal = nn.Parameter(nn.init.orthogonal_(torch.empty(8, 8)))
        self.sparse = nn.Parameter(nn.init.sparse_(torch.empty(8, 8), 0.5))
        self.large = nn.Parameter(torch.zeros(300, 300))
        self.register_buffer("mask", torch.full((8, 8), float("-inf")).triu(1))
        self.register_buffer("table", torch.arange(8).float().outer(torch.ones(8)), persistent=False)


def tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def test_no_memory_is_left_unfilled(canary: Callable[..., nn.Module]) -> None:
    built, plain = canary(Everything, seed=0), initium.build(Everything, seed=0)
    for name, tensor in tensors(built).items():
        assert not bool(tensor.isnan().any()), name
        assert torch.equal(tensor, tensors(plain)[name]), name


def test_the_canary_sings(canary: Callable[..., nn.Module]) -> None:
    """Where one value is not written, this test sees it."""
    made = canary(lambda: nn.Sequential(nn.Linear(2, 2)), seed=0)
    assert not bool(made[0].weight.isnan().any())
    with Canary():
        assert bool(torch.empty(3).isnan().all())


class Unfilled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.experts = nn.Parameter(torch.empty(8, 4, 4))
        self.part = nn.Parameter(torch.empty(4, 4))
        self.part.data[0].normal_()
        self.sum = nn.Parameter(self.experts.detach().sum(0))
        self.skipped = torch.nn.utils.skip_init(nn.Linear, 4, 4)


UNFILLED = {"experts", "part", "sum", "skipped.weight", "skipped.bias"}


def test_what_nobody_fills_is_listed_as_undefined() -> None:
    _, plan = initium.capture(Unfilled, seed=0)
    assert {name for name, entry in plan.items() if entry.kind == "undefined"} == UNFILLED
    assert "5 undefined" in str(plan)
    with pytest.raises(PlanError, match="undefined"):
        plan.values("experts")


def test_build_refuses_unless_a_rule_claims_it() -> None:
    with pytest.raises(PlanError, match="nobody ever fills 5 tensors") as caught:
        initium.build(Unfilled, seed=0)
    assert "experts  (made at " in str(caught.value)
    assert "test_capture_garbage.py" in str(caught.value)
    rules = [Rule("experts", "normal"), Rule("part", 0), Rule("sum", 1), Rule("skipped.*", 2)]
    built = initium.build(Unfilled, seed=0, recipe=rules)
    assert bool((built.skipped.bias == 2).all())
    assert 0.7 < float(built.experts.detach().std()) < 1.3
    assert not built.part.any()


def test_a_captured_plan_with_undefined_tensors_is_not_applied() -> None:
    skeleton, plan = initium.capture(Unfilled, seed=0)
    with pytest.raises(PlanError, match="nobody ever fills 5 tensors"):
        plan.apply(skeleton.to_empty(device="cpu"))


def test_filled_bit_by_bit_is_filled() -> None:
    def rows() -> nn.Module:
        module = nn.Module()
        module.w = nn.Parameter(torch.empty(10, 3))
        for i in range(10):
            module.w.data[i] = i
        return module

    assert initium.build(rows, seed=0).w[:, 0].tolist() == list(range(10))
