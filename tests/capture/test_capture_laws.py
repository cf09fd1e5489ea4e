"""What a constructor's writes to one tensor are recorded as: laws with the init function's own words, values, computations."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy
import pytest
import torch
from alike import Holder, of, planned
from torch import nn

import initium
from initium._laws import Uniform


@pytest.mark.parametrize(
    ("draw", "said", "std"),
    [
        (nn.init.xavier_uniform_, "xavier_uniform(fan_in=300, fan_out=200)", math.sqrt(2 / 500)),
        (lambda w: nn.init.xavier_normal_(w, 2.0), "xavier_normal(gain=2, fan_in=300, fan_out=200)", 2 * math.sqrt(2 / 500)),
        (lambda w: nn.init.kaiming_uniform_(w, a=math.sqrt(5)), "kaiming_uniform(a=√5, fan_in=300)", 1 / math.sqrt(900)),
        (
            lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"),
            "kaiming_normal(nonlinearity=relu, fan_out=200)",
            math.sqrt(2 / 200),
        ),
        (lambda w: nn.init.normal_(w, 1, 0.02), "normal(std=0.02, mean=1)", 0.02),
        (lambda w: nn.init.uniform_(w, -1, 2), "uniform(a=-1, b=2)", 3 / math.sqrt(12)),
        (lambda w: nn.init.trunc_normal_(w, std=0.02), "cut_normal(std=0.02)", 0.02),
        (nn.init.orthogonal_, "orthogonal", None),
        (lambda w: nn.init.sparse_(w, 0.1), "sparse(sparsity=0.1)", None),
        (nn.init.eye_, "eye", None),
        (lambda w: nn.init.constant_(w, 0.3), "0.3", 0.0),
    ],
)
def test_an_init_function_is_recorded_by_name_with_its_arguments(draw: Callable, said: str, std: float | None) -> None:
    entry = of(draw)["w"]
    assert str(entry.initializer) == said
    if std is not None:
        assert entry.std == pytest.approx(std, abs=1e-12)


def test_dirac_is_recorded_whole() -> None:
    assert str(of(nn.init.dirac_, 8, 4, 3)["w"].initializer) == "dirac(groups=1)"


@pytest.mark.parametrize(
    ("draw", "mean", "std"),
    [
        (lambda w: w.normal_(0, 2).mul_(0.5), 0, 1),
        (lambda w: w.normal_().add_(3), 3, 1),
        (lambda w: w.uniform_(-1, 1).mul_(2).sub_(1), -1, 2 / math.sqrt(3)),
        (lambda w: w.uniform_().div_(math.sqrt(12)), 1 / (2 * math.sqrt(12)), 1 / 12),
        (lambda w: w.copy_(torch.randn(w.shape) * 0.1 + 1), 1, 0.1),
        (lambda w: w.copy_(2 * torch.rand(w.shape) - 1), 0, 1 / math.sqrt(3)),
        (lambda w: w.data.normal_(0, 0.3), 0, 0.3),
        (lambda w: w.copy_(torch.empty_like(w).uniform_(-3, 3)), 0, math.sqrt(3)),
    ],
)
def test_arithmetic_after_a_draw_is_a_law(draw: Callable, mean: float, std: float) -> None:
    entry = of(draw)["w"]
    assert entry.kind == "drawn"
    assert (entry.mean, entry.std) == (pytest.approx(mean, abs=1e-12), pytest.approx(std))


@pytest.mark.parametrize(
    "draw",
    [
        lambda w: w.exponential_(2.0),
        lambda w: w.log_normal_(0.0, 0.5),
        lambda w: w.geometric_(0.3),
        lambda w: w.bernoulli_(0.3),
        lambda w: w.copy_(torch.bernoulli(torch.full(w.shape, 0.2))),
        lambda w: w.copy_(torch.normal(torch.linspace(-1, 1, 300).expand(200, 300), 0.1)),
        lambda w: w.copy_(-torch.randn(w.shape).abs()),
        lambda w: w.copy_(1 - torch.rand(w.shape)),
        lambda w: w.normal_().clamp_(-0.5, 0.5),
        lambda w: w.copy_(torch.nn.functional.dropout(torch.ones(w.shape), 0.25)),
    ],
)
def test_a_function_of_a_draw_is_a_program_of_that_draw(draw: Callable) -> None:
    plan = of(draw)
    assert plan["w"].kind == "drawn"
    assert not torch.equal(plan.values("w"), plan.reseed(1).values("w"))


def test_clamping_far_outside_the_law_changes_nothing() -> None:
    assert of(lambda w: w.normal_(0, 0.02).clamp_(-2, 2))["w"].std == 0.02


def test_mambas_dt_bias_is_a_program_of_its_draw() -> None:
    low, high = math.log(1e-3), math.log(0.1)

    def draw(w: torch.Tensor) -> None:
        dt = torch.exp(torch.rand(w.shape) * (high - low) + low).clamp(min=1e-4)
        w.copy_(dt + torch.log(-torch.expm1(-dt)))

    plan = of(draw, 4096)
    dt = torch.nn.functional.softplus(plan.values("w"))
    assert 1e-3 * 0.999 < float(dt.min()) < 1.05e-3
    assert 0.095 < float(dt.max()) < 0.1001


def test_erfinv_truncated_normals_of_timm_and_transformers() -> None:
    """Their own copies: a uniform draw, erfinv, scale, shift, clamp."""

    def draw(w: torch.Tensor) -> None:
        low, high = (1 + math.erf(-2 / math.sqrt(2))) / 2, (1 + math.erf(2 / math.sqrt(2))) / 2
        w.uniform_(2 * low - 1, 2 * high - 1).erfinv_().mul_(0.02 * math.sqrt(2)).add_(0.0).clamp_(min=-0.04, max=0.04)

    entry = of(draw)["w"]
    assert str(entry.initializer) == "cut_normal(std=0.02, a=-0.04, b=0.04)"
    assert entry.std == pytest.approx(0.02 * 0.8796, rel=1e-3)


def test_partial_writes_become_blocks() -> None:
    def draw(w: torch.Tensor) -> None:
        w.normal_(0, 1)
        w[:50].fill_(2.0)
        w[50:100, 10:20].uniform_(3, 4)
        w[:, -1] = 0

    plan = of(draw)
    w = plan.values("w").view(200, 300)
    assert bool((w[:50, :-1] == 2).all())
    assert 3 <= float(w[50:100, 10:20].min()) <= float(w[50:100, 10:20].max()) <= 4
    assert not w[:, -1].any()
    assert 0.97 < float(w[100:, :-1].std()) < 1.03


def test_a_padding_row_is_zero_and_the_rest_is_drawn() -> None:
    def fill(module: nn.Module) -> None:
        module.embed = nn.Embedding(1000, 16, padding_idx=3)

    plan = planned(fill)
    rows = plan.values("embed.weight").view(1000, 16)
    assert [row for row in range(1000) if not rows[row].any()] == [3]


def test_lstm_forget_gates_by_slices_of_a_vector() -> None:
    def fill(module: nn.Module) -> None:
        module.rnn = nn.LSTM(8, 16)
        with torch.no_grad():
            module.rnn.bias_hh_l0.zero_()
            module.rnn.bias_hh_l0[16:32].fill_(1.0)

    values = planned(fill).values("rnn.bias_hh_l0")
    assert values.tolist() == [0.0] * 16 + [1.0] * 16 + [0.0] * 32


def test_what_is_computed_from_constants_is_kept_as_it_is() -> None:
    def fill(module: nn.Module) -> None:
        module.A_log = nn.Parameter(torch.log(torch.arange(1, 17).float()).repeat(8, 1))
        module.gamma = nn.Parameter(1e-5 * torch.ones(64))
        position = torch.arange(32).float()[:, None] * torch.exp(-torch.arange(0, 16, 2).float() / 16)
        module.register_buffer("sinusoid", torch.cat([position.sin(), position.cos()], 1), persistent=False)
        module.register_buffer("index", torch.arange(64).view(8, 8) - 1)
        module.register_buffer("mask", torch.ones(8, 8).tril().bool())

    plan = planned(fill)
    built = initium.build(Holder, fill, seed=0)
    ordinary = Holder(fill)
    for name, tensor in [*ordinary.named_parameters(), *ordinary.named_buffers()]:
        assert plan[name].kind == "constant"
        assert torch.equal(dict([*built.named_parameters(), *built.named_buffers()])[name], tensor)
    assert plan["gamma"].mean == pytest.approx(1e-5)


def test_draw_then_overwrite_is_recorded_once_and_counted() -> None:
    def fill(module: nn.Module) -> None:
        module.l = nn.Linear(100, 50)
        nn.init.xavier_uniform_(module.l.weight)
        nn.init.zeros_(module.l.bias)

    plan = planned(fill)
    assert str(plan["l.weight"].initializer).startswith("xavier_uniform")
    (lost,) = plan["l.weight"].overridden
    assert lost.startswith("kaiming_uniform(a=√5, fan_in=100) at ")
    assert "the constructor would have drawn 10,050 elements, 5,050 of them in vain" in plan.notes
    assert plan.seconds is not None
    assert f"captured in {plan.seconds:.2f} s" in str(plan)


def test_dtypes_strides_and_flags_are_the_constructors_own() -> None:
    def fill(module: nn.Module) -> None:
        module.half = nn.Linear(16, 16).to(torch.bfloat16)
        module.frozen = nn.Linear(16, 16).requires_grad_(False)
        module.last = nn.Conv2d(8, 8, 3).to(memory_format=torch.channels_last)
        module.wide = nn.Parameter(torch.randn(100, dtype=torch.float64))
        module.eval()

    plan = planned(fill)  # dtype, strides, requires_grad and training are compared there
    assert plan["half.weight"].dtype is torch.bfloat16
    assert isinstance(plan["frozen.weight"].program, Uniform)


class Listed(nn.Module):
    """Parameters from values, and layers from comprehensions, which Python 3.12 runs without a frame of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, 0.5]))
        self.shift = nn.Parameter(torch.from_numpy(numpy.zeros(3, dtype="float32")))
        self.layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(2)])


def test_values_and_comprehensions_are_told_by_the_line_of_their_function() -> None:
    _, plan = initium.capture(Listed, seed=0)
    first = Listed.__init__.__code__.co_firstlineno
    found = {name: entry.source.rpartition(":")[2] for name, entry in plan.items()}
    assert found["scale"] == f"{first + 2} __init__"
    assert found["shift"] == f"{first + 3} __init__"
    assert found["layers.1.bias"] == f"{first + 4} __init__"
