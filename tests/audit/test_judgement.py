"""What was a false finding in a released model, made small: quiet here, and loud once it is really wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import initium
from initium._audit.measure.likeness import rows_of, rows_of_all
from initium._audit.measure.moments import moments_of, moments_of_all


def codes(make: Any, inputs: Any = None, level: str | None = None) -> set[tuple[str, str]]:
    return {(finding.code, finding.severity) for finding in initium.audit(make, inputs, level=level).findings}


class Tied(nn.Module):
    """T5's way: embeddings of std 1 that are the output layer too, after a division by √d."""

    def __init__(self, divides: bool, padding: int | None = None) -> None:
        super().__init__()
        self.head = nn.Linear(64, 100, bias=False)
        self.tokens = nn.Embedding(100, 64, padding_idx=padding)
        self.head.weight = self.tokens.weight
        self.divides = divides
        if padding is not None:
            nn.init.normal_(self.tokens.weight, std=0.02)
            self.tokens._fill_padding_idx_with_zero()

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids)
        return self.head(x / 8 if self.divides else x)


IDS = torch.arange(32).reshape(2, 16) + 1


def test_a_tied_embedding_of_std_1_is_judged_by_the_logits_that_it_makes() -> None:
    assert not codes(lambda: Tied(True), IDS)
    assert codes(lambda: Tied(False), IDS) == {("S020", "warning")}


def test_a_padding_row_under_the_output_layers_name_is_no_dead_unit() -> None:
    assert not codes(lambda: Tied(False, padding=0), IDS)


class Gate(nn.Module):
    def __init__(self, bias: float) -> None:
        super().__init__()
        self.first, self.gate = nn.Linear(32, 32), nn.Linear(32, 32)
        nn.init.normal_(self.gate.weight, std=1e-7)
        nn.init.constant_(self.gate.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return x * self.gate(x)


def test_a_gate_that_starts_open_is_no_dead_layer() -> None:
    assert not codes(lambda: Gate(1.0))
    assert codes(lambda: Gate(0.0)) == {("S010", "warning")}


class ClassToken(nn.Module):
    """CaiT's end: a token that looks at the image through a small LayerScale, then a module that sees no input at all."""

    def __init__(self, scale: float | None) -> None:
        super().__init__()
        self.mix, self.table = nn.Linear(32, 32), nn.Linear(32, 32)
        self.token = nn.Parameter(torch.randn(32) * 0.02)
        if scale is not None:
            self.scale = nn.Parameter(torch.full((32,), scale))
        self.register_buffer("places", torch.linspace(0, 1, 32).repeat(64, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scale = self.scale if hasattr(self, "scale") else 1e-7
        token = nn.functional.layer_norm(self.token + scale * self.mix(x), (32,))
        return token, self.table(self.places)


def test_a_class_token_behind_a_trained_small_scale_does_not_ignore_its_input() -> None:
    x = torch.randn(64, 32)
    assert not codes(lambda: ClassToken(1e-5), x)
    assert not codes(lambda: ClassToken(1.0), x)  # what comes last, a table, is not what comes out alone
    assert codes(lambda: ClassToken(None), x) == {("P005", "warning")}


class Queries(nn.Module):
    """A decoder whose queries start at 0: all places alike, half of the units off at all of them."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.first, self.act, self.last = nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 32)
        nn.init.constant_(self.first.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.act(self.first(x.mean((0, 1)).expand_as(x)))) + x


def test_places_that_are_all_alike_are_no_dead_layer() -> None:
    x = torch.randn(2, 300, 32) + 1
    assert not codes(lambda: Queries(0.0), x)
    assert codes(lambda: Queries(-9.0), x) >= {("D010", "warning")}


class Caches(nn.Module):
    def __init__(self, early: bool) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.calls = 0
        self.cache = torch.ones(8, 8) if early else None

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.cache = self.first.weight.detach() * 2
        self.more = x
        return self.first(x)


def test_what_a_forward_pass_leaves_on_a_module_is_taken_away_again() -> None:
    model = Caches(early=False)
    before = dict(model.__dict__)
    assert initium.audit(model).ok
    assert model.__dict__ == before
    assert codes(lambda: Caches(early=True)) == {("B003", "warning")}


@pytest.mark.parametrize(("groups", "mode", "wrong"), [(1, "fan_in", True), (16, "fan_in", False), (16, "fan_out", True)])
def test_the_fans_of_a_transposed_convolution_count_its_groups(groups: int, mode: Any, wrong: bool) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose1d(16, 16 if groups > 1 else 8, 4, groups=groups)
            nn.init.kaiming_normal_(self.up.weight, mode=mode)

        def forward(self, x: Tensor) -> Tensor:
            return self.up(x)

    assert (("F002", "warning") in codes(Model, level="static")) is wrong


def test_a_loop_that_repeats_what_attention_does_itself_is_a_note() -> None:
    def made(law: Any) -> nn.Module:
        attention = nn.MultiheadAttention(32, 4)
        law(attention.in_proj_weight)
        return attention

    assert codes(lambda: made(nn.init.xavier_uniform_), level="static") == {("F003", "info")}
    assert codes(lambda: made(nn.init.xavier_normal_), level="static") == {("F003", "warning")}


def test_several_lines_that_lose_one_weight_are_one_finding() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.utils.parametrizations.weight_norm(nn.Linear(16, 16))
            nn.init.normal_(self.first.weight, std=0.02)
            nn.init.kaiming_uniform_(self.first.weight)

    (finding,) = initium.audit(Model, level="static").findings
    assert (finding.code, finding.name) == ("U012", "first.weight")
    assert finding.message.startswith("kaiming_uniform_ wrote to a tensor of 16×16")
    assert "as what " in finding.message
    assert "test_judgement.py:" in finding.message


def test_a_guilty_line_is_one_finding_and_the_rest_are_listed() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Sequential(*(nn.Linear(16, 16) for _ in range(3))), nn.Linear(16, 16)
            for name, parameter in self.named_parameters():
                if name.endswith("weight"):
                    nn.init.constant_(parameter, 0.1)

    report = initium.audit(Model, level="weights")
    (finding,) = report.findings
    assert finding.name == "a.{0..2}.weight"
    assert finding.names == ("a.0.weight", "a.1.weight", "a.2.weight", "b.weight")
    assert "a.{0..2}.weight  (×4)\n  and b.weight\n" in str(report)


def own_generator(seed: int | None) -> nn.Module:
    model = nn.Linear(16, 16)
    generator = torch.Generator().manual_seed(torch.initial_seed() if seed is None else seed)
    nn.init.normal_(model.weight, std=0.1, generator=generator)
    return model


def test_a_generator_with_a_seed_of_its_own_is_found_by_a_build_from_another_seed() -> None:
    assert codes(lambda: own_generator(5), level="weights") == {("R001", "warning")}
    assert not codes(lambda: own_generator(None), level="weights")

    class Seeds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.first = nn.Linear(16, 16)

    assert codes(Seeds, level="weights") == {("Y007", "warning")}  # its cause, and not R001 as well


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_many_small_tensors_at_once_measure_as_each_alone(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    tensors = [torch.randn(12, 20, dtype=dtype) for _ in range(40)]
    tensors[3].fill_(2.0)
    tensors[4][2, 2] = torch.inf
    tensors[5][0] = tensors[5][7]
    tensors[6][:, 3] = 0
    tensors[7].mul_(1e-42 if dtype is torch.float32 else 1.0)
    for one, many in zip(map(moments_of, tensors), moments_of_all(tensors), strict=True):
        assert (one.size, one.low, one.high, one.zeros, one.nan, one.inf) == (
            many.size,
            many.low,
            many.high,
            many.zeros,
            many.nan,
            many.inf,
        )
        assert one.subnormal == many.subnormal
        assert one.std == pytest.approx(many.std, rel=1e-5, abs=1e-50)
        assert one.kurtosis == pytest.approx(many.kurtosis, rel=1e-3, nan_ok=True)
    plain = [tensor for i, tensor in enumerate(tensors) if i != 4]
    assert list(map(rows_of, plain)) == rows_of_all(plain)
    assert rows_of_all(plain)[4].n_duplicates == 1
    assert rows_of_all(plain)[5].n_zero_columns == 1
